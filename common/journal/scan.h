#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "common/journal/events.h"
#include "common/journal/writer.h"

namespace waggle::journal {

// Where a record stands: the segment and the byte it starts at.
struct Position {
  std::uint32_t segment = 0;
  std::uint64_t byte = 0;
};

// Walks every record of a journal from the start, checking segment headers, checksums, epoch and numbering,
// and calls `visit` (may be empty) for each. Stops at the first problem, which Tail::problem names by file
// and byte. Errors only for files that cannot be read; a journal without files is an empty one.
absl::StatusOr<Tail> Scan(const Location& location, Epoch epoch,
                          const std::function<void(const RecordView&, Position)>& visit);

// The same for what is left of a journal whose acknowledged segments were deleted (trim.h): begins with the
// first segment there is. Tail::last of one without records is the record before its first.
absl::StatusOr<Tail> ScanLeft(const Location& location, Epoch epoch,
                              const std::function<void(const RecordView&, Position)>& visit);

// The same for a journal that goes on behind record `after` of another one.
absl::StatusOr<Tail> ScanBehind(const Location& location, Epoch epoch, Seq after,
                                const std::function<void(const RecordView&, Position)>& visit);

struct VerifyResult {
  bool complete = false;      // every record is there, unharmed, and agrees with the final record
  std::string problem;        // the first thing that is wrong; empty when complete
  std::uint64_t records = 0;  // valid records before it
  StreamTotal out, err;       // of the valid records
};

// Reads a whole stored log and checks everything that can be checked.
absl::StatusOr<VerifyResult> Verify(const Location& location, Epoch epoch);
// The same for a journal that goes on behind record `after` of `before`: totals and digests are of both.
absl::StatusOr<VerifyResult> VerifyBehind(const Location& before, Seq after, const Location& location,
                                          Epoch epoch);

}  // namespace waggle::journal
