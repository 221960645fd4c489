#include "tests/torture/tally.h"

#include <cstdio>

namespace waggle::test {

void Tally::Fault(const std::string& kind, std::uint64_t times) {
  absl::MutexLock lock(&mutex_);
  figures_.faults[kind] += times;
  figures_.all_faults += times;
}

void Tally::Violation(const std::string& text) {
  absl::MutexLock lock(&mutex_);
  std::fprintf(stderr, "VIOLATION: %s\n", text.c_str());
  figures_.violations.push_back(text);
}

void Tally::Compared(std::uint64_t bytes, bool differs) {
  absl::MutexLock lock(&mutex_);
  ++figures_.streams;
  figures_.bytes += bytes;
  figures_.differences += differs ? 1 : 0;
}

void Tally::Resumed() {
  absl::MutexLock lock(&mutex_);
  ++figures_.resumed;
}

void Tally::Repeated() {
  absl::MutexLock lock(&mutex_);
  ++figures_.repeated;
}

Tally::Figures Tally::figures() const {
  absl::MutexLock lock(&mutex_);
  return figures_;
}

}  // namespace waggle::test
