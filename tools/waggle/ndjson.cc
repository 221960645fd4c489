#include "tools/waggle/ndjson.h"

#include "absl/strings/ascii.h"
#include "common/wire/enums.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

bool IsOutput(const v1::Fragment& fragment) {
  return fragment.kind() == v1::Fragment::STDOUT || fragment.kind() == v1::Fragment::STDERR;
}

Json Head(std::string_view event, std::uint64_t job) {
  Json line = Json::object();
  line["event"] = event;
  line["job"] = job;
  return line;
}

// The fields every record has.
void Place(const v1::Fragment& fragment, Json* line) {
  auto phase = wire::FromProto(fragment.phase());
  (*line)["phase"] = phase ? Name(*phase) : "?";
  (*line)["command"] = fragment.command();
  (*line)["elapsed_ms"] = fragment.elapsed_ms();
}

// The job's fields beside the event's own.
Json JobEvent(std::string_view event, std::uint64_t id, const v1::Job& job) {
  Json line = Head(event, id);
  Json fields = ToJson(job);
  for (auto& [key, value] : fields.items()) {
    if (key != "id") line[key] = std::move(value);
  }
  return line;
}

Json RecordEvent(std::uint64_t job, std::uint32_t attempt, const v1::Fragment& fragment) {
  Json line = Head(absl::AsciiStrToLower(v1::Fragment::Kind_Name(fragment.kind())), job);
  line["attempt"] = attempt;
  line["seq"] = fragment.seq();
  Place(fragment, &line);
  if (fragment.has_command_record()) line["command_record"] = ToJson(fragment.command_record());
  if (fragment.has_phase_record()) line["phase_record"] = ToJson(fragment.phase_record());
  if (fragment.has_warning()) line["warning"] = ToJson(fragment.warning());
  if (fragment.has_gap()) line["gap"] = ToJson(fragment.gap());
  if (!fragment.data().empty()) SetBytes("data", fragment.data(), &line);
  return line;
}

}  // namespace

JsonSink::JsonSink(ShowOptions options, const std::vector<WatchedJob>& jobs, Output& out, Output& err)
    : options_(options), out_(out), err_(err) {
  for (const WatchedJob& job : jobs) {
    views_.push_back({job.id, 0, LineFilter(options_.first_line, options_.last_line, /*joined=*/true)});
  }
}

bool JsonSink::OnBatch(std::size_t stream, const v1::Batch& batch) {
  View& view = views_[stream];
  if (batch.attempt() != view.attempt) {
    if (view.attempt != 0) view.filter = NextFilter(options_);
    view.attempt = batch.attempt();
  }
  for (const v1::Fragment& fragment : batch.fragments()) {
    if (IsOutput(fragment)) {
      PutOutput(view, fragment);
    } else if (options_.narration != ShowOptions::Narration::kNone) {
      Put(RecordEvent(view.id, view.attempt, fragment));
    }
    if (fragment.kind() == v1::Fragment::COMMAND_END) view.filter.CloseLines();
    if (view.filter.done()) return false;
  }
  return true;
}

void JsonSink::PutOutput(View& view, const v1::Fragment& fragment) {
  bool is_stderr = fragment.kind() == v1::Fragment::STDERR;
  std::string_view data = fragment.data();
  std::uint64_t first = fragment.line();
  std::string wanted;
  if (options_.first_line != 0) {
    first = view.filter.Take(is_stderr ? 1 : 0, fragment.line(), data, &wanted);
    data = wanted;
    if (first == 0) return;
  }
  if (options_.streams != Streams::kBoth && (options_.streams == Streams::kStderr) != is_stderr) return;
  Json line = Head("output", view.id);
  line["attempt"] = view.attempt;
  line["seq"] = fragment.seq();
  line["stream"] = is_stderr ? "stderr" : "stdout";
  Place(fragment, &line);
  line["line"] = first;
  line["offset"] = fragment.offset();
  SetBytes("data", data, &line);
  Put(line);
}

void JsonSink::OnState(std::size_t stream, const v1::Job& job) {
  Put(JobEvent("state", views_[stream].id, job));
}

void JsonSink::OnEnd(std::size_t stream, const v1::Job& job) {
  Put(JobEvent("end", views_[stream].id, job));
}

void JsonSink::OnNotice(std::string_view line) {
  if (options_.quiet) return;
  err_.Write(line);
  err_.Write("\n");
}

void JsonSink::Put(const Json& line) {
  out_.Write(Compact(line));
  out_.Write("\n");
}

absl::Status JsonSink::Flush() {
  out_.Flush();
  err_.Flush();
  return out_.status();
}

}  // namespace waggle::cli
