// The drone's side of the wire: hostile until checked here.
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "proto/waggle_proto.h"
#include "queen/api/convert.h"
#include "queen/core/said.h"

namespace waggle::queen {
namespace {

absl::Status Bad(std::string_view field, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(absl::string_view(field.data(), field.size()), ": ",
                                                 absl::string_view(why.data(), why.size())));
}

// What is shown in lists as it is.
absl::Status CheckText(std::string_view field, const std::string& text, std::size_t limit) {
  if (text.size() > limit) return Bad(field, absl::StrCat(text.size(), " bytes; at most ", limit));
  if (!IsPresentable(text)) return Bad(field, "has control characters");
  return absl::OkStatus();
}

absl::StatusOr<DroneInfo> ReadInfo(const v1::Info& in) {
  DroneInfo info;
  if (!(in.speed() >= 0) || in.speed() > 1e12) return Bad("info.speed", "must be between 0 and 1e12");
  if (in.capacity() > limits::kMaxCapacity) {
    return Bad("info.capacity", absl::StrCat(in.capacity(), " slots; at most ", limits::kMaxCapacity));
  }
  if (in.labels_size() > static_cast<int>(limits::kLabels)) {
    return Bad("info.labels", absl::StrCat(in.labels_size(), " labels; at most ", limits::kLabels));
  }
  if (in.plugins_size() > static_cast<int>(limits::kLabels)) {
    return Bad("info.plugins", absl::StrCat(in.plugins_size(), " plugins; at most ", limits::kLabels));
  }
  if (in.intake() < v1::Info::OPEN || in.intake() > v1::Info::DRAINING) {
    return Bad("info.intake", absl::StrCat("value ", static_cast<int>(in.intake()), " is not known"));
  }
  info.intake = static_cast<Intake>(in.intake());
  info.intake_reason = Presentable(in.intake_reason(), limits::kReasonBytes);
  info.intake_until = std::max<std::int64_t>(0, in.intake_until());
  info.speed = in.speed();
  info.capacity = in.capacity();
  for (const auto& [label, value] : in.labels()) {
    RETURN_IF_ERROR(CheckText("info.labels", label, limits::kLabelBytes));
    RETURN_IF_ERROR(CheckText("info.labels", value, limits::kLabelBytes));
    info.labels[label] = value;
  }
  for (const v1::PluginVersion& plugin : in.plugins()) {
    RETURN_IF_ERROR(CheckText("info.plugins.name", plugin.name(), limits::kNameBytes));
    RETURN_IF_ERROR(CheckText("info.plugins.version", plugin.version(), limits::kNameBytes));
    info.plugins[plugin.name()] = plugin.version();
  }
  return info;
}

absl::StatusOr<HeldAttempt> ReadAttempt(const v1::HeldAttempt& in) {
  HeldAttempt held;
  if (in.epoch() == 0) return Bad("attempt.epoch", "missing");
  if (in.state() < v1::HeldAttempt::ACCEPTED || in.state() > v1::HeldAttempt::LOST) {
    return Bad("attempt.state", absl::StrCat("value ", static_cast<int>(in.state()), " is not known"));
  }
  held.epoch = Epoch(in.epoch());
  held.state = static_cast<HeldState>(in.state());
  held.last_seq = in.last_seq();
  held.wants_grant = in.wants_grant();
  held.counter = in.counter();
  held.received = in.received_at();
  held.started = in.started_at();
  held.finished = in.finished_at();
  held.test_code = in.test_code();
  held.deploy_code = in.deploy_code();
  held.detail = Presentable(in.lost().detail(), limits::kReasonBytes);
  held.trimmed = in.lost().trimmed();
  held.handed_back = in.lost().handed_back();
  return held;
}

absl::Status CheckProtocol(const v1::Hello& in) {
  constexpr std::uint32_t kProtocol = 1;
  if (in.protocol_min() > in.protocol_max()) {
    return Bad("hello.protocol_min",
               absl::StrCat(in.protocol_min(), " is above protocol_max ", in.protocol_max()));
  }
  if (in.protocol_min() <= kProtocol && in.protocol_max() >= kProtocol) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the drone speaks protocol ", in.protocol_min(), " to ", in.protocol_max(), ", this queen speaks ",
      kProtocol,
      in.protocol_min() > kProtocol ? "\nnext: upgrade the queen first (drones may be older, never newer)"
                                    : "\nnext: upgrade the drone"));
}

absl::StatusOr<Event> ReadHello(const v1::Hello& in, ConnectionId connection, bool local) {
  constexpr std::uint64_t kHighestEpoch = std::uint64_t{1} << 62;  // the store keeps signed numbers
  RETURN_IF_ERROR(CheckProtocol(in));
  event::Hello hello;
  hello.connection = connection;
  hello.local = local;
  if (in.identity().size() != 32 ||
      in.identity().find_first_not_of("0123456789abcdef") != std::string::npos) {
    return Bad("hello.identity", "must be 32 hex digits");
  }
  if (!IsName(in.name()))
    return Bad("hello.name", "must be 1 to 128 of [A-Za-z0-9._-], not starting with . or -");
  RETURN_IF_ERROR(CheckText("hello.host", in.host(), limits::kLabelBytes));
  RETURN_IF_ERROR(CheckText("hello.version", in.version(), limits::kNameBytes));
  RETURN_IF_ERROR(CheckText("hello.boot_id", in.boot_id(), limits::kNameBytes));
  RETURN_IF_ERROR(CheckText("hello.place", in.place(), limits::kNameBytes));
  if (in.attempts_size() > static_cast<int>(limits::kAttemptsInHello)) {
    return Bad("hello.attempts",
               absl::StrCat(in.attempts_size(), " attempts; at most ", limits::kAttemptsInHello));
  }
  if (in.highest_epoch() > kHighestEpoch) return Bad("hello.highest_epoch", "above 2^62");
  hello.identity = in.identity();
  hello.name = in.name();
  hello.host = in.host();
  hello.version = in.version();
  hello.place = in.place();
  hello.said_at = in.said_at();
  hello.highest_epoch = Epoch(in.highest_epoch());
  if (in.has_info()) {
    ASSIGN_OR_RETURN(hello.info, ReadInfo(in.info()));
  }
  std::set<Epoch> listed;
  for (const v1::HeldAttempt& attempt : in.attempts()) {
    ASSIGN_OR_RETURN(HeldAttempt held, ReadAttempt(attempt));
    if (!listed.insert(held.epoch).second) {
      return Bad("hello.attempts", absl::StrCat("epoch ", attempt.epoch(), " is listed twice"));
    }
    hello.attempts.push_back(held);
  }
  return Event(std::move(hello));
}

}  // namespace

absl::StatusOr<Event> FromProto(const v1::FromDrone& in, ConnectionId connection, bool local,
                                bool expect_hello) {
  if (in.has_hello() != expect_hello) {
    return Bad("message", expect_hello ? "the first message must be Hello" : "a second Hello on one stream");
  }
  switch (in.message_case()) {
    case v1::FromDrone::kHello:
      return ReadHello(in.hello(), connection, local);
    case v1::FromDrone::kInfo: {
      ASSIGN_OR_RETURN(DroneInfo info, ReadInfo(in.info()));
      return Event(event::Info{connection, std::move(info)});
    }
    case v1::FromDrone::kHeartbeat: {
      const v1::Heartbeat& beat = in.heartbeat();
      const double load = std::isfinite(beat.load1()) && beat.load1() >= 0 ? beat.load1() : 0;
      return Event(event::Heartbeat{connection, beat.nonce(),
                                    Vitals{load, beat.memory_free_kib(), beat.disk_free_kib()},
                                    beat.running()});
    }
    case v1::FromDrone::kAccept:
      return Event(event::Accept{connection, Epoch(in.accept().epoch()), in.accept().received_at()});
    case v1::FromDrone::kReject:
      return Event(event::Reject{connection, Epoch(in.reject().epoch()),
                                 Presentable(in.reject().reason(), limits::kReasonBytes),
                                 in.reject().withdrawn()});
    case v1::FromDrone::kStatus: {
      ASSIGN_OR_RETURN(HeldAttempt held, ReadAttempt(in.status().attempt()));
      return Event(event::Status{connection, held});
    }
    case v1::FromDrone::kShimLost:
      return Event(event::ShimLost{connection, Epoch(in.shim_lost().epoch()), in.shim_lost().last_seq(),
                                   Presentable(in.shim_lost().detail(), limits::kReasonBytes),
                                   in.shim_lost().trimmed(), in.shim_lost().handed_back()});
    case v1::FromDrone::MESSAGE_NOT_SET:
      break;
  }
  return Bad("message", "a message of a kind this queen does not know");
}

namespace {

void Fill(const to_drone::Drain& drain, v1::Drain* out) {
  out->set_on(drain.on);
  out->set_by(drain.by);
  out->set_reason(drain.reason);
  out->set_deadline(drain.deadline);
  out->set_hand_back(drain.hand_back);
}

struct Writer {
  v1::FromQueen* out;
  void operator()(const to_drone::Welcome& m) const {
    v1::Welcome* welcome = out->mutable_welcome();
    welcome->set_protocol(1);
    welcome->set_session(m.session.value());
    for (const Disposition& d : m.attempts) {
      v1::Disposition* disposition = welcome->add_attempts();
      disposition->set_epoch(d.epoch.value());
      disposition->set_action(static_cast<v1::Disposition::Action>(d.action));
      disposition->set_cancel(d.cancel);
      disposition->set_granted(d.granted);
    }
    if (m.drain) Fill(*m.drain, welcome->mutable_drain());
  }
  void operator()(const to_drone::Assign& m) const {
    out->mutable_assign()->set_epoch(m.epoch.value());
    out->mutable_assign()->set_attempt(m.attempt);
  }
  void operator()(const to_drone::Cancel& m) const {
    v1::Cancel* cancel = out->mutable_cancel();
    cancel->set_epoch(m.epoch.value());
    cancel->set_by(m.by);
    cancel->set_reason(m.reason);
    cancel->set_now(m.now);
  }
  void operator()(const to_drone::Grant& m) const { out->mutable_grant()->set_epoch(m.epoch.value()); }
  void operator()(const to_drone::HeartbeatAck& m) const { out->mutable_heartbeat_ack()->set_nonce(m.nonce); }
  void operator()(const to_drone::Verdict& m) const {
    out->mutable_verdict()->set_epoch(m.epoch.value());
    out->mutable_verdict()->set_state(static_cast<v1::JobState>(m.state));
  }
  void operator()(const to_drone::Forget& m) const { out->mutable_forget()->set_epoch(m.epoch.value()); }
  void operator()(const to_drone::Fenced& m) const { out->mutable_fenced()->set_epoch(m.epoch.value()); }
  void operator()(const to_drone::Drain& m) const { Fill(m, out->mutable_drain()); }
};

}  // namespace

void ToProto(const ToDrone& message, v1::FromQueen* out) {
  std::visit(Writer{out}, message);
}

}  // namespace waggle::queen
