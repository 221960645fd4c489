#pragma once

#include <cstdint>
#include <string>

namespace waggle::shim {

// The room for what the queen has not stored yet, shared by all attempts of a drone. Nobody keeps an account:
// the daemon deletes what is acknowledged (journal/trim.h), so what lies on the disk is what is used, also
// while the daemon is away and after any crash. Looked at whenever a segment is full, and again while there
// is no room: some system calls per attempt, once a MiB. Two shims that look at the same time may both take a
// segment: the budget is kept but for a segment each.
class SpoolBudget {
 public:
  // `attempts`: the directory with the attempt directories of the drone. `bytes` 0: no budget.
  SpoolBudget(std::string attempts, std::uint64_t bytes) : attempts_(std::move(attempts)), bytes_(bytes) {}

  // Bytes of all spools.
  std::uint64_t Used() const;
  // No room for a segment of this size. Of an attempt that cannot be looked at nothing counts.
  bool Exceeded(std::uint64_t segment) const { return bytes_ > 0 && Used() + segment > bytes_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::string attempts_;
  std::uint64_t bytes_;
};

// The segments of a drone with so many slots: space comes back in pieces of this size, and each attempt may
// hold one whose records are all acknowledged.
std::uint64_t SpoolSegment(std::uint64_t budget, std::uint32_t slots);

}  // namespace waggle::shim
