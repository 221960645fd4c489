#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <utility>

#include "common/base/ids.h"
#include "common/base/limits.h"

namespace waggle::queen {

// Documents of jobs that were just submitted, so that an assignment soon after needs no read. Writer thread
// only.
class DocumentCache {
 public:
  void Put(JobId job, std::string document) {
    bytes_ += document.size();
    order_.push_back(job);
    documents_[job] = std::move(document);
    while (bytes_ > kBytes && !order_.empty()) {
      Take(order_.front());
      order_.pop_front();
    }
  }
  // "" when it is not here (any more). The entry is gone after it.
  std::string Take(JobId job) {
    auto found = documents_.find(job);
    if (found == documents_.end()) return "";
    std::string document = std::move(found->second);
    bytes_ -= document.size();
    documents_.erase(found);
    if (documents_.empty()) order_.clear();
    return document;
  }

 private:
  static constexpr std::size_t kBytes = 8 * limits::kMiB;  // a few thousand ordinary documents
  std::size_t bytes_ = 0;
  std::deque<JobId> order_;
  std::unordered_map<JobId, std::string> documents_;
};

}  // namespace waggle::queen
