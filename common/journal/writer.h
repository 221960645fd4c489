#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/journal/record.h"

namespace waggle::journal {

// Where the files of one attempt's journal live: DIR/PREFIX.NNN, each starting with a 32-byte segment header,
// and DIR/PREFIX.idx (see line_index.h).
struct Location {
  std::string directory;
  std::string prefix;
  std::string Segment(std::uint32_t number) const;
  std::string Index() const;
};

// Numbers of the segments that are there, ascending.
absl::StatusOr<std::vector<std::uint32_t>> ListSegments(const Location& location);

// The end of the valid records of a journal.
struct Tail {
  Seq last;                    // last valid record, 0 = none
  std::uint32_t segment = 0;   // segment that holds the end
  std::uint64_t position = 0;  // byte behind the last valid record in that segment
  bool final = false;          // the last record is a Final
  std::string problem;         // why the scan ended before the end of the files; empty if it did not
};

// Segment header, 32 bytes: "WGLJ", u32 version 1, u64 epoch, u64 first seq, u32 segment number, u32 crc32c
// of the 28 bytes before it.
inline constexpr std::size_t kSegmentHeaderBytes = 32;
std::string EncodeSegmentHeader(Epoch epoch, Seq first, std::uint32_t number);
struct SegmentHeader {
  Epoch epoch;
  Seq first;
  std::uint32_t number = 0;
};
// DataLoss when the bytes are not a segment header.
absl::StatusOr<SegmentHeader> DecodeSegmentHeader(std::string_view bytes);

// Appends records to segment files. One writer per journal, one thread. Does not sync by itself: Sync() does,
// and any error it gives is final for the process (never retry a failed sync). ResourceExhausted from an
// append means a full disk (or quota): nothing was appended, and it may be tried again.
class Writer {
 public:
  // Starts a new, empty journal. AlreadyExists if segment 000 is there; an empty file is used. With `syncs` =
  // false Sync() is never called: no segment that was left stays open, so that its space is free as soon as
  // it is deleted.
  static absl::StatusOr<std::unique_ptr<Writer>> Create(Location location, Epoch epoch,
                                                        std::size_t segment_bytes = limits::kSegment,
                                                        bool syncs = true);
  // Opens an existing journal (or creates an empty one), scans it and cuts off everything behind the first
  // record that is torn, damaged or out of order: behind it nothing was ever acknowledged.
  static absl::StatusOr<std::unique_ptr<Writer>> Recover(Location location, Epoch epoch,
                                                         std::size_t segment_bytes = limits::kSegment);
  // The same for a journal that goes on behind record `after` of another one.
  static absl::StatusOr<std::unique_ptr<Writer>> RecoverBehind(Location location, Epoch epoch, Seq after);

  // Appends encoded records (whole ones, in order, numbered from last()+1; the caller checked them). One
  // write(2) per call while no segment is rolled.
  absl::Status AppendRaw(std::string_view records, Seq new_last);
  // Makes the file at `reserve`, from MakeReserve() (reserve.h) in the same directory, the next segment: what
  // is appended from here goes into its space.
  absl::Status RollInto(const std::string& reserve);
  absl::Status Sync();  // fdatasync of every file written since the last Sync

  // The same in two steps, so that another thread can wait for the disk while this one appends: what was
  // appended before TakeSync() is durable once the pending sync has run.
  class PendingSync {
   public:
    // `directories`: those synced since this was taken; of several journals in one directory the first syncs
    // it.
    absl::Status Run(std::set<std::string>* directories = nullptr);

   private:
    friend class Writer;
    std::vector<UniqueFd> files_;
    std::string directory_;  // empty: no new entries
  };
  absl::StatusOr<PendingSync> TakeSync();

  Seq last() const { return tail_.last; }
  const Tail& tail() const { return tail_; }
  std::uint32_t segment() const { return tail_.segment; }
  std::uint64_t position() const { return tail_.position; }
  Epoch epoch() const { return epoch_; }

 private:
  Writer(Location location, Epoch epoch, std::size_t segment_bytes, bool syncs);
  absl::Status OpenSegment(std::uint32_t number, bool create);
  absl::Status Settle(Seq after);  // finds its end and cuts off what lies behind it
  absl::Status SettleRecovered();  // removes what lies behind the end and makes the rest durable

  const Location location_;
  const Epoch epoch_;
  const std::size_t segment_bytes_;
  const bool syncs_;
  Tail tail_;
  UniqueFd file_;
  UniqueFd unsynced_previous_;  // the segment before this one, not yet synced
  bool directory_dirty_ = false;
};

}  // namespace waggle::journal
