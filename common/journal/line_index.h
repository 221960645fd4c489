#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/fd.h"
#include "common/journal/scan.h"
#include "common/journal/stream_digest.h"

namespace waggle::journal {

// Numbers the lines of an attempt. A line belongs to (command, stream) and gets its number where its first
// byte appears: a pure function of the records, so every reader sees the same numbers for ever.
class LineCounter {
 public:
  // Takes the next record. For output: the number of the line its first byte belongs to; otherwise 0.
  std::uint64_t Feed(const RecordHeader& header, std::string_view payload);
  std::uint64_t lines() const { return lines_; }  // numbered so far

  static constexpr std::size_t kStateBytes = 3 * 8 + 4;
  void Save(std::string* out) const;
  bool Restore(std::string_view state);

 private:
  std::uint64_t lines_ = 0;
  std::uint64_t open_[2] = {0, 0};  // number of the unfinished line of stdout and stderr, 0 = none
  std::uint32_t command_ = kNoCommand;
};

// Everything that is a running function of the records: lines and the digest of each stream.
struct RunningState {
  LineCounter lines;
  StreamDigest out, err;
  std::uint64_t Feed(const RecordView& record);
};

// PREFIX.idx: fixed-size checkpoints, one per 64 KiB of log. It is a cache: never synced, each entry has its
// checksum, and what is missing or damaged is found again by reading records from the checkpoint before it.
struct Checkpoint {
  Position position;  // of record `next`
  Seq next{1};
  RunningState state;  // after the records before `next`

  static constexpr std::size_t kBytes =
      4 + 8 + 8 + LineCounter::kStateBytes + 2 * StreamDigest::kStateBytes + 4;
  std::string Encode() const;
  static bool Decode(std::string_view bytes, Checkpoint* out);
};

class IndexWriter {
 public:
  // Opens for append behind `entries` valid ones; the rest is cut off.
  static absl::StatusOr<std::unique_ptr<IndexWriter>> Open(const Location& location, std::uint64_t entries);
  // Appends a checkpoint if 64 KiB have passed since the last. Errors are not fatal to a log: the caller may
  // ignore them.
  absl::Status MaybeAppend(const Checkpoint& checkpoint, std::uint64_t total_bytes);

 private:
  explicit IndexWriter(UniqueFd file, std::uint64_t end) : file_(std::move(file)), end_(end) {}
  UniqueFd file_;
  std::uint64_t end_;
  std::uint64_t last_total_ = 0;
};

// The last checkpoint at or before a line or a record; the start of the log if there is none.
Checkpoint FindLine(const Location& location, std::uint64_t line);
Checkpoint FindRecord(const Location& location, Seq seq, std::uint64_t* entries = nullptr);

}  // namespace waggle::journal
