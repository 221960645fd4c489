#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tools/waggle/json.h"
#include "tools/waggle/narrate.h"

namespace waggle::cli {

// A watch as one JSON object per line: {"event": "state" | "output" | "command_start" | … | "end", "job": N,
// …}. Output bytes that are not UTF-8 come as "data_base64". Notices go to standard error as text.
class JsonSink : public WatchSink {
 public:
  JsonSink(ShowOptions options, const std::vector<WatchedJob>& jobs, Output& out, Output& err);

  bool OnBatch(std::size_t stream, const v1::Batch& batch) override;
  void OnState(std::size_t stream, const v1::Job& job) override;
  void OnEnd(std::size_t stream, const v1::Job& job) override;
  void OnNotice(std::string_view line) override;
  absl::Status Flush() override;

 private:
  struct View {
    std::uint64_t id = 0;
    std::uint32_t attempt = 0;
    LineFilter filter{0, 0};
  };

  void Put(const Json& line);
  void PutOutput(View& view, const v1::Fragment& fragment);

  const ShowOptions options_;
  Output& out_;
  Output& err_;
  std::vector<View> views_;
};

}  // namespace waggle::cli
