#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tools/waggle/lines.h"
#include "tools/waggle/output.h"
#include "tools/waggle/text.h"
#include "tools/waggle/watch.h"

namespace waggle::v1 {
class CommandRecord;
class Fragment;
}  // namespace waggle::v1

namespace waggle::cli {

enum class Streams { kBoth, kStdout, kStderr };

// What of a watch is shown, and where.
struct ShowOptions {
  enum class Narration {
    kOutput,  // between the bytes of the job, on standard output (logs)
    kAside,   // on standard error (watch)
    kNone,    // nothing but the bytes (logs --raw, logs --lines)
  };
  Narration narration = Narration::kAside;
  Streams streams = Streams::kBoth;
  bool prefix = false;           // each line begins with the job's name
  bool quiet = false;            // verdicts only
  int verbose = 0;               // 1: also phases and commands that passed
  std::uint64_t first_line = 0;  // 0 = all lines
  std::uint64_t last_line = 0;   // 0 = to the end
};

// The lines to show of a later attempt, which begins at its first line: all, when only the start was skipped.
inline LineFilter NextFilter(const ShowOptions& options) {
  return LineFilter(options.last_line == 0 ? 0 : options.first_line, options.last_line);
}

struct WatchedJob {
  std::uint64_t id = 0;
  std::string name;
  bool verdict = true;  // say how it ended when it ends
};

// A watch as text: the job's bytes to `out`, unchanged unless prefixed; what happens around them as options
// say. One thread. Holds at most 64 KiB per job (an unfinished line, only with prefixes).
class TextSink : public WatchSink {
 public:
  TextSink(ShowOptions options, const std::vector<WatchedJob>& jobs, Output& out, Output& err,
           Style out_style, Style err_style);

  bool OnBatch(std::size_t stream, const v1::Batch& batch) override;
  void OnState(std::size_t stream, const v1::Job& job) override;
  void OnEnd(std::size_t stream, const v1::Job& job) override;
  void OnNotice(std::string_view line) override;
  absl::Status Flush() override;

 private:
  struct View {
    WatchedJob job;
    std::string prefix;      // "unit   | "; "" without prefixes
    std::string partial;     // with prefixes: the line that has no end yet
    std::string last_state;  // what was said last, to say each change once
    std::uint32_t attempt = 0;
    std::map<std::int64_t, std::string> labels;  // by command number
    LineFilter filter{0, 0};
  };

  bool Record(View& view, const v1::Fragment& fragment);
  void Bytes(View& view, const v1::Fragment& fragment);
  void PrefixedBytes(View& view, std::string_view data);
  void ClosePartial(View& view);
  void CommandStart(View& view, const v1::Fragment& fragment);
  void CommandEnd(View& view, const v1::Fragment& fragment);
  // One line about what happens in the job, where the narration goes.
  void Say(View& view, std::string_view line);
  void SayAside(std::string_view line);
  const Style& style() const;
  std::string Label(View& view, const v1::CommandRecord& command, std::int64_t number);

  const ShowOptions options_;
  Output& out_;
  Output& err_;
  const Style out_style_;
  const Style err_style_;
  const bool
      terminal_;  // standard output: an unfinished line there must not swallow a line on standard error
  std::vector<View> views_;
  std::string scratch_;
};

}  // namespace waggle::cli
