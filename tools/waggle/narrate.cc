#include "tools/waggle/narrate.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/wire/enums.h"
#include "tools/waggle/render.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

constexpr std::size_t kDisplayColumns = 160;

bool Shown(Streams streams, v1::Fragment::Kind kind) {
  return streams == Streams::kBoth || (streams == Streams::kStdout) == (kind == v1::Fragment::STDOUT);
}

std::string PhaseText(const v1::PhaseRecord& phase) {
  auto known = wire::FromProto(phase.phase());
  std::string name = known ? std::string(Name(*known)) : "?";
  if (!phase.end()) return absl::StrCat("phase ", name);
  if (phase.ran_nothing()) return absl::StrCat("phase ", name, " had nothing to run");
  return absl::StrCat("phase ", name, " ended with ", phase.code());
}

}  // namespace

TextSink::TextSink(ShowOptions options, const std::vector<WatchedJob>& jobs, Output& out, Output& err,
                   Style out_style, Style err_style)
    : options_(options),
      out_(out),
      err_(err),
      out_style_(out_style),
      err_style_(err_style),
      terminal_(isatty(out.fd()) == 1) {
  std::size_t width = 0;
  for (const WatchedJob& job : jobs) width = std::max(width, Columns(job.name));
  for (const WatchedJob& job : jobs) {
    View view{job};
    if (options_.prefix) view.prefix = absl::StrCat(Padded(job.name, width), " | ");
    views_.push_back(std::move(view));
    views_.back().filter = LineFilter(options_.first_line, options_.last_line, /*joined=*/true);
  }
}

const Style& TextSink::style() const {
  return options_.narration == ShowOptions::Narration::kOutput ? out_style_ : err_style_;
}

bool TextSink::OnBatch(std::size_t stream, const v1::Batch& batch) {
  View& view = views_[stream];
  if (batch.attempt() != view.attempt) {
    if (batch.attempt() > 1 && options_.narration == ShowOptions::Narration::kOutput) {
      Say(view, absl::StrCat("attempt ", batch.attempt()));
    }
    if (view.attempt != 0) view.filter = NextFilter(options_);
    view.attempt = batch.attempt();
    view.labels.clear();
  }
  for (const v1::Fragment& fragment : batch.fragments()) {
    if (!Record(view, fragment)) return false;
  }
  return true;
}

bool TextSink::Record(View& view, const v1::Fragment& fragment) {
  switch (fragment.kind()) {
    case v1::Fragment::STDOUT:
    case v1::Fragment::STDERR:
      Bytes(view, fragment);
      break;
    case v1::Fragment::COMMAND_START:
      CommandStart(view, fragment);
      break;
    case v1::Fragment::COMMAND_END:
      CommandEnd(view, fragment);
      break;
    case v1::Fragment::PHASE:
      if (options_.verbose > 0) Say(view, PhaseText(fragment.phase_record()));
      break;
    case v1::Fragment::STATUS:
    case v1::Fragment::COMMENT:
      Say(view, absl::StrCat("# ", OneLine(fragment.data(), kDisplayColumns, style())));
      break;
    case v1::Fragment::WARNING: {
      const v1::WarningRecord& warning = fragment.warning();
      std::string text = warning.title();
      if (!warning.description().empty()) absl::StrAppend(&text, ": ", warning.description());
      Say(view, absl::StrCat("warning: ", OneLine(text, kDisplayColumns, style())));
      break;
    }
    case v1::Fragment::MARKER:
      Say(view,
          absl::StrCat(Count(fragment.gap().missing_bytes()), " bytes of ",
                       fragment.gap().stream() == v1::Fragment::STDERR ? "stderr" : "stdout",
                       " are missing here: ", OneLine(fragment.gap().reason(), kDisplayColumns, style())));
      break;
    default:
      break;
  }
  return !view.filter.done();
}

void TextSink::Bytes(View& view, const v1::Fragment& fragment) {
  std::string_view data = fragment.data();
  if (options_.first_line != 0) {
    scratch_.clear();
    view.filter.Take(fragment.kind() == v1::Fragment::STDERR ? 1 : 0, fragment.line(), data, &scratch_);
    data = scratch_;
  }
  if (!Shown(options_.streams, fragment.kind())) return;
  if (options_.prefix) {
    PrefixedBytes(view, data);
  } else {
    out_.Write(data);
  }
}

void TextSink::PrefixedBytes(View& view, std::string_view data) {
  while (!data.empty()) {
    std::size_t newline = data.find('\n');
    std::string_view piece = data.substr(0, newline == std::string_view::npos ? newline : newline + 1);
    data.remove_prefix(piece.size());
    view.partial.append(piece);
    if (view.partial.back() == '\n' || view.partial.size() > limits::kRecordPayload) ClosePartial(view);
  }
}

void TextSink::ClosePartial(View& view) {
  if (view.partial.empty()) return;
  out_.Write(view.prefix);
  out_.Write(view.partial);
  if (view.partial.back() != '\n') out_.Write("\n");
  view.partial.clear();
}

std::string TextSink::Label(View& view, const v1::CommandRecord& command, std::int64_t number) {
  auto known = view.labels.find(number);
  return known != view.labels.end() ? known->second : StepLabel(command);
}

void TextSink::CommandStart(View& view, const v1::Fragment& fragment) {
  const v1::CommandRecord& command = fragment.command_record();
  std::string label = StepLabel(command);
  view.labels[fragment.command()] = label;
  std::string display = OneLine(command.display(), kDisplayColumns, style());
  if (options_.narration == ShowOptions::Narration::kOutput) {
    Say(view, absl::StrCat(label, " ", std::string(style().Rule()), " ", display));
  } else {
    Say(view, absl::StrCat(std::string(style().Arrow()), " ", label, ": ", display));
  }
}

void TextSink::CommandEnd(View& view, const v1::Fragment& fragment) {
  const v1::CommandRecord& command = fragment.command_record();
  view.filter.CloseLines();
  ClosePartial(view);
  std::string text = absl::StrCat("exit ", command.exit_code());
  std::string error =
      command.error().empty() ? "" : absl::StrCat(": ", OneLine(command.error(), kDisplayColumns, style()));
  if (options_.narration == ShowOptions::Narration::kOutput) {
    Say(view, absl::StrCat(Label(view, command, fragment.command()), " ", std::string(style().Rule()), " ",
                           text, " (", Seconds(command.duration_ms()), ")", error));
  } else if (command.exit_code() != 0 || options_.verbose > 0) {
    Say(view, absl::StrCat("  ", text, " after ", Seconds(command.duration_ms()), error));
  }
}

void TextSink::Say(View& view, std::string_view line) {
  if (options_.narration == ShowOptions::Narration::kNone || options_.quiet) return;
  ClosePartial(view);
  if (options_.narration == ShowOptions::Narration::kAside) {
    return SayAside(absl::StrCat(view.prefix, std::string(line)));
  }
  if (!out_.at_line_start()) out_.Write("\n");
  out_.Write(view.prefix);
  out_.Write(style().Rule());
  out_.Write(" ");
  out_.Write(line);
  out_.Write("\n");
}

void TextSink::SayAside(std::string_view line) {
  if (terminal_ && !out_.at_line_start()) out_.Write("\n");
  out_.Flush();
  err_.Write(line);
  err_.Write("\n");
}

void TextSink::OnState(std::size_t stream, const v1::Job& job) {
  View& view = views_[stream];
  if (options_.narration != ShowOptions::Narration::kAside || options_.quiet || IsTerminal(StateOf(job)))
    return;
  if (StateOf(job) == JobState::kQueued && !job.drone().empty())
    return;  // a drone has it: its answer is news
  std::string line = StateLine(job);
  if (line == view.last_state) return;
  view.last_state = line;
  SayAside(line);
}

void TextSink::OnEnd(std::size_t stream, const v1::Job& job) {
  View& view = views_[stream];
  ClosePartial(view);
  if (!view.job.verdict) return;
  if (options_.narration == ShowOptions::Narration::kAside) {
    SayAside(Verdict(job, err_style_));
  } else if (IsTerminal(StateOf(job))) {
    Say(view, absl::StrCat(job.id(), "@", view.attempt, " ", job.name(), " ", std::string(style().Rule()),
                           " ", DescribeState(job)));
  }
}

void TextSink::OnNotice(std::string_view line) {
  if (!options_.quiet) SayAside(line);
}

absl::Status TextSink::Flush() {
  out_.Flush();
  err_.Flush();
  return out_.status();
}

}  // namespace waggle::cli
