#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "common/journal/writer.h"

namespace waggle::journal {

// Deletes a journal from its front, segment by segment, as its records are acknowledged. The newest segment
// stays, so the journal always says how far it goes: what is left is read with Reader::SeekTo() and
// ScanLeft(). Deletes in order: a crash leaves a journal without a hole. May run beside a Writer and Readers.
// One thread.
class Trimmer {
 public:
  explicit Trimmer(Location location) : location_(std::move(location)) {}

  // Deletes every segment but the newest that holds nothing behind `acked`. A segment that cannot be deleted
  // stays, and the next call tries again.
  absl::Status Trim(Seq acked);

 private:
  const Location location_;
  std::optional<std::uint32_t> first_;  // that is left; nullopt: not looked yet
  std::optional<Seq> next_;             // first record of the segment behind it, once there is one
};

}  // namespace waggle::journal
