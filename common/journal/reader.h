#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/fd.h"
#include "common/journal/writer.h"

namespace waggle::journal {

// Reads records of one journal in order, while a writer may still append to it. Not thread-safe; cheap to
// make. An incomplete or bad record at the current end reads as "nothing there yet": whoever appends has a
// way of knowing (watermark), and Verify() tells damage from growth.
class Reader {
 public:
  explicit Reader(Location location);

  // Positions before the record with this number, by the segment headers and a scan. Default: 1. NotFound: it
  // is not there yet. OutOfRange: its segment was deleted, later ones are there.
  absl::Status SeekTo(Seq seq);
  // Positions at a known byte: the start of a record whose number is `next`.
  void SeekToPosition(std::uint32_t segment, std::uint64_t position, Seq next);

  // Appends whole records to `*out` until it holds at least one and would exceed `max_bytes`, or `last` was
  // taken, or the end is reached. Returns how many. A checksum error ahead of `last` gives DataLoss naming
  // file and byte.
  absl::StatusOr<std::size_t> ReadRaw(std::size_t max_bytes, Seq last, std::string* out);

  // Number of the record the next ReadRaw starts with.
  Seq next() const { return next_; }

 private:
  absl::Status OpenSegment(std::uint32_t number);
  absl::StatusOr<std::size_t> TakeRecords(std::string_view fresh, std::size_t max_bytes, std::size_t used,
                                          Seq last, std::size_t* count, bool* full);

  Location location_;
  UniqueFd file_;
  std::uint32_t segment_ = 0;
  std::uint64_t position_ = 0;
  Seq next_{1};
};

// Calls visit(record) for each record in `raw`, whole valid records as ReadRaw gives them.
template <typename Visit>
void ForEachRecord(std::string_view raw, Visit&& visit) {
  RecordView record;
  while (!raw.empty() && DecodeRecord(raw, &record) == DecodeResult::kOk) {
    raw.remove_prefix(record.raw.size());
    visit(record);
  }
}

}  // namespace waggle::journal
