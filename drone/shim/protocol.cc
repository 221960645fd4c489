#include "drone/shim/protocol.h"

#include <type_traits>

#include "common/base/bytes.h"

namespace waggle::shim {
namespace {

constexpr std::size_t kSizeBytes = 4;

enum class FrameType : std::uint8_t { kStart = 1, kStatus = 2, kWatermark = 3, kGrant = 4, kCancel = 5 };

template <typename T>
struct TypeOf;
template <>
struct TypeOf<Start> : std::integral_constant<FrameType, FrameType::kStart> {};
template <>
struct TypeOf<Status> : std::integral_constant<FrameType, FrameType::kStatus> {};
template <>
struct TypeOf<Watermark> : std::integral_constant<FrameType, FrameType::kWatermark> {};
template <>
struct TypeOf<Grant> : std::integral_constant<FrameType, FrameType::kGrant> {};
template <>
struct TypeOf<Cancel> : std::integral_constant<FrameType, FrameType::kCancel> {};

void Put(ByteWriter& w, const std::vector<std::string>& strings) {
  w.U32(static_cast<std::uint32_t>(strings.size()));
  for (const std::string& s : strings) w.String(s);
}

void Put(ByteWriter& w, const std::map<std::string, std::string>& map) {
  w.U32(static_cast<std::uint32_t>(map.size()));
  for (const auto& [name, value] : map) {
    w.String(name);
    w.String(value);
  }
}

void Put(ByteWriter& w, const Step& step) {
  w.String(step.name);
  w.String(step.command);
  w.String(step.screen);
  w.String(step.cwd);
  Put(w, step.args);
  Put(w, step.env);
  w.U8(step.silent ? 1 : 0);
}

void Put(ByteWriter& w, const Plugins& plugins) {
  w.U32(static_cast<std::uint32_t>(plugins.uses.size()));
  for (const PluginUse& use : plugins.uses) {
    w.String(use.name);
    w.String(use.program);
    w.String(use.config);
    Put(w, use.variables);
    w.U8(use.phases);
  }
  w.I64(plugins.limit.count());
  w.String(plugins.job);
  w.String(plugins.fault);
}

void Put(ByteWriter& w, const StepRules& rules) {
  w.U8(rules.allow_failure ? 1 : 0);
  w.I64(rules.wall.count());
  w.I64(rules.silence.count());
  w.String(rules.shell);
}

void Put(ByteWriter& out, const sandbox::Plan& plan) {
  std::string text;
  ByteWriter w(&text);
  w.U8(static_cast<std::uint8_t>(plan.mode));
  w.U8(plan.network ? 1 : 0);
  w.U32(plan.first_user);
  w.U32(plan.last_user);
  w.String(plan.program);
  Put(w, plan.read_only);
  Put(w, plan.writable);
  Put(w, plan.hidden);
  w.String(plan.warning);
  out.String(text);
}

void Put(ByteWriter& w, const Start& start) {
  w.U64(start.job.value());
  w.U64(start.epoch.value());
  w.U32(start.attempt);
  w.U8(static_cast<std::uint8_t>(start.type));
  w.String(start.header);
  w.String(start.base_directory);
  w.String(start.job_directory);
  Put(w, start.env);
  Put(w, start.checkout.argv);
  w.String(start.checkout.input);
  w.String(start.checkout.comment);
  for (const std::vector<Step>& steps : start.phases) {
    w.U32(static_cast<std::uint32_t>(steps.size()));
    for (const Step& step : steps) Put(w, step);
  }
  for (std::chrono::nanoseconds d :
       {start.wall, start.silence, start.cleanup, start.interrupt, start.terminate}) {
    w.I64(d.count());
  }
  w.U64(start.log_bytes);
  w.String(start.attempts);
  w.U64(start.spool_budget);
  w.U64(start.spool_segment);
  w.U8(start.truncates ? 1 : 0);
  Put(w, start.plugins);
  for (const std::vector<Step>& steps : start.phases) {
    for (const Step& step : steps) Put(w, step.rules);
  }
  Put(w, start.sandbox);
}

void Put(ByteWriter& w, const Status& status) {
  w.U64(status.epoch.value());
  w.U8(static_cast<std::uint8_t>(status.state));
  w.U8(status.phase);
  w.U64(status.last);
  w.U8(status.wants_grant ? 1 : 0);
  w.U32(status.counter);
  w.I64(status.started_wall);
  w.I64(status.finished_wall);
  w.U32(static_cast<std::uint32_t>(status.test_code));
  w.U32(static_cast<std::uint32_t>(status.deploy_code));
}

void Put(ByteWriter& w, const Watermark& watermark) {
  w.U64(watermark.last);
}
void Put(ByteWriter&, const Grant&) {}
void Put(ByteWriter& w, const Cancel& cancel) {
  w.String(cancel.by);
  w.String(cancel.reason);
  w.U8(cancel.now ? 1 : 0);
}

// The getters stop at the first overrun: every element takes at least four bytes, so a lying count ends by
// itself.
void Get(ByteReader& r, std::vector<std::string>* out) {
  for (std::uint32_t n = r.U32(); n > 0 && r.ok(); --n) out->emplace_back(r.String());
}

void Get(ByteReader& r, std::map<std::string, std::string>* out) {
  for (std::uint32_t n = r.U32(); n > 0 && r.ok(); --n) {
    std::string name(r.String());
    (*out)[std::move(name)] = std::string(r.String());
  }
}

void Get(ByteReader& r, Step* step) {
  step->name = r.String();
  step->command = r.String();
  step->screen = r.String();
  step->cwd = r.String();
  Get(r, &step->args);
  Get(r, &step->env);
  step->silent = r.U8() != 0;
}

bool Get(ByteReader& r, Plugins* plugins) {
  for (std::uint32_t n = r.U32(); n > 0 && r.ok(); --n) {
    PluginUse& use = plugins->uses.emplace_back();
    use.name = r.String();
    use.program = r.String();
    use.config = r.String();
    Get(r, &use.variables);
    use.phases = r.U8();
  }
  plugins->limit = std::chrono::nanoseconds(r.I64());
  plugins->job = r.String();
  plugins->fault = r.String();
  return plugins->limit.count() >= 0;
}

bool Get(ByteReader& r, StepRules* rules) {
  rules->allow_failure = r.U8() != 0;
  rules->wall = std::chrono::nanoseconds(r.I64());
  rules->silence = std::chrono::nanoseconds(r.I64());
  rules->shell = r.String();
  return rules->wall.count() >= 0 && rules->silence.count() >= 0;
}

bool GetRules(ByteReader& r, Start* start) {
  for (std::vector<Step>& steps : start->phases) {
    for (Step& step : steps) {
      if (!Get(r, &step.rules)) return false;
    }
  }
  return true;
}

bool Get(ByteReader& in, sandbox::Plan* plan) {
  ByteReader r(in.String());
  const std::uint8_t mode = r.U8();
  plan->mode = static_cast<Isolation>(mode);
  plan->network = r.U8() != 0;
  plan->first_user = r.U32();
  plan->last_user = r.U32();
  plan->program = r.String();
  Get(r, &plan->read_only);
  Get(r, &plan->writable);
  Get(r, &plan->hidden);
  plan->warning = r.String();
  return r.ok() && mode >= static_cast<std::uint8_t>(Isolation::kNone) &&
         mode <= static_cast<std::uint8_t>(Isolation::kBubblewrap) && plan->first_user <= plan->last_user &&
         (plan->first_user != 0 || plan->last_user == 0);
}

bool Get(ByteReader& r, Start* start) {
  start->job = JobId(r.U64());
  start->epoch = Epoch(r.U64());
  start->attempt = r.U32();
  std::uint8_t type = r.U8();
  start->type = static_cast<JobType>(type);
  start->header = r.String();
  start->base_directory = r.String();
  start->job_directory = r.String();
  Get(r, &start->env);
  Get(r, &start->checkout.argv);
  start->checkout.input = r.String();
  start->checkout.comment = r.String();
  for (std::vector<Step>& steps : start->phases) {
    for (std::uint32_t n = r.U32(); n > 0 && r.ok(); --n) Get(r, &steps.emplace_back());
  }
  for (auto* d : {&start->wall, &start->silence, &start->cleanup, &start->interrupt, &start->terminate}) {
    *d = std::chrono::nanoseconds(r.I64());
    if (d->count() < 0) return false;
  }
  start->log_bytes = r.U64();
  start->attempts = r.String();
  start->spool_budget = r.U64();
  start->spool_segment = r.U64();
  start->truncates = r.U8() != 0;
  // What a daemon of a release before has not follows in parts, in the order in which they came.
  if (!r.done() && !Get(r, &start->plugins)) return false;
  if (!r.done() && !GetRules(r, start)) return false;
  if (!r.done() && !Get(r, &start->sandbox)) return false;
  return start->epoch && type >= static_cast<std::uint8_t>(JobType::kTest) &&
         type <= static_cast<std::uint8_t>(JobType::kTestAndDeploy);
}

bool Get(ByteReader& r, Status* status) {
  status->epoch = Epoch(r.U64());
  std::uint8_t state = r.U8();
  status->state = static_cast<AttemptState>(state);
  status->phase = r.U8();
  status->last = r.U64();
  status->wants_grant = r.U8() != 0;
  status->counter = r.U32();
  status->started_wall = r.I64();
  status->finished_wall = r.I64();
  status->test_code = static_cast<std::int32_t>(r.U32());
  status->deploy_code = static_cast<std::int32_t>(r.U32());
  return state >= static_cast<std::uint8_t>(AttemptState::kAccepted) &&
         state <= static_cast<std::uint8_t>(AttemptState::kCleaning) && status->phase < kPhaseCount;
}

bool Get(ByteReader& r, Watermark* watermark) {
  watermark->last = r.U64();
  return true;
}
bool Get(ByteReader&, Grant*) {
  return true;
}
bool Get(ByteReader& r, Cancel* cancel) {
  cancel->by = r.String();
  cancel->reason = r.String();
  cancel->now = r.U8() != 0;
  return true;
}

template <typename T>
std::optional<Frame> DecodeAs(ByteReader& r) {
  T value;
  if (!Get(r, &value) || !r.ok()) return std::nullopt;
  return std::optional<Frame>(std::in_place, std::in_place_type<T>, std::move(value));
}

std::optional<Frame> DecodeBody(std::string_view body) {
  ByteReader r(body);
  std::uint8_t version = r.U8();
  std::uint8_t type = r.U8();
  if (version != kVersion) return std::nullopt;  // 1 is the first: there is none before it to understand
  switch (static_cast<FrameType>(type)) {
    case FrameType::kStart:
      return DecodeAs<Start>(r);
    case FrameType::kStatus:
      return DecodeAs<Status>(r);
    case FrameType::kWatermark:
      return DecodeAs<Watermark>(r);
    case FrameType::kGrant:
      return DecodeAs<Grant>(r);
    case FrameType::kCancel:
      return DecodeAs<Cancel>(r);
  }
  return std::nullopt;
}

}  // namespace

std::string EncodeFrame(const Frame& frame) {
  std::string out(kSizeBytes, '\0');
  ByteWriter w(&out);
  w.U8(kVersion);
  std::visit(
      [&](const auto& value) {
        w.U8(static_cast<std::uint8_t>(TypeOf<std::decay_t<decltype(value)>>::value));
        Put(w, value);
      },
      frame);
  std::uint32_t size = static_cast<std::uint32_t>(out.size() - kSizeBytes);
  std::memcpy(out.data(), &size, sizeof size);
  return out;
}

std::optional<Frame> FrameReader::Next() {
  if (failed_ || buffer_.size() < kSizeBytes) return std::nullopt;
  std::uint32_t size = 0;
  std::memcpy(&size, buffer_.data(), sizeof size);
  if (size > kMaxFrame) {
    failed_ = true;
    return std::nullopt;
  }
  if (buffer_.size() - kSizeBytes < size) return std::nullopt;
  std::optional<Frame> frame = DecodeBody(std::string_view(buffer_).substr(kSizeBytes, size));
  buffer_.erase(0, kSizeBytes + size);
  failed_ = !frame.has_value();
  return frame;
}

}  // namespace waggle::shim
