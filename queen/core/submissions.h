#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <unordered_map>

#include "absl/status/status.h"
#include "queen/core/rows.h"

namespace waggle::queen {

// The newest submissions that carried a key, so that a repeat of one starts nothing. Older ones are found in
// the store before the core is asked; here must be those that may not have been stored yet when somebody
// looked there: more than the inbox and a batch hold.
class Submissions {
 public:
  static constexpr std::size_t kRemembered = 131'072;

  const SubmissionRow* Find(const std::string& key) const {
    auto found = by_key_.find(key);
    return found == by_key_.end() ? nullptr : &found->second;
  }

  void Add(SubmissionRow row) {
    if (order_.size() >= kRemembered) {
      by_key_.erase(order_.front());
      order_.pop_front();
    }
    order_.push_back(row.key);
    by_key_.emplace(row.key, std::move(row));
  }

 private:
  std::unordered_map<std::string, SubmissionRow> by_key_;
  std::deque<std::string> order_;  // oldest first
};

// AlreadyExists: the key stands for something else.
absl::Status KeyConflict(const SubmissionRow& known);

}  // namespace waggle::queen
