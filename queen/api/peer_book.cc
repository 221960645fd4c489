#include "queen/api/peer_book.h"

#include <utility>

namespace waggle::queen {

void PeerBook::Take(const std::vector<PeerRow>& rows) {
  std::vector<std::function<void()>> cuts;
  {
    absl::MutexLock lock(&mutex_);
    for (const PeerRow& row : rows) {
      if (row.revoked == 0) {
        peers_[row.key] = row;
        continue;
      }
      peers_.erase(row.key);
      auto watches = watches_.find(row.key);
      if (watches == watches_.end()) continue;
      for (const auto& [number, cut] : watches->second) cuts.push_back(cut);
    }
  }
  for (const std::function<void()>& cut : cuts) cut();  // may let go of its guard
}

std::optional<PeerRow> PeerBook::Find(const std::string& key) const {
  absl::MutexLock lock(&mutex_);
  auto found = peers_.find(key);
  if (found == peers_.end()) return std::nullopt;
  return found->second;
}

std::shared_ptr<void> PeerBook::OnRevoked(const std::string& key, std::function<void()> cut) {
  absl::ReleasableMutexLock lock(&mutex_);
  if (!peers_.contains(key)) {
    lock.Release();
    cut();
    return nullptr;
  }
  const std::uint64_t number = ++last_;
  watches_[key].emplace(number, std::move(cut));
  auto forget = [book = shared_from_this(), key, number](void*) { book->Forget(key, number); };
  return std::shared_ptr<void>(this, std::move(forget));
}

void PeerBook::Forget(const std::string& key, std::uint64_t number) {
  absl::MutexLock lock(&mutex_);
  auto watches = watches_.find(key);
  if (watches == watches_.end()) return;
  watches->second.erase(number);
  if (watches->second.empty()) watches_.erase(watches);
}

}  // namespace waggle::queen
