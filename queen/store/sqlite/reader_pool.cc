#include "queen/store/sqlite/reader_pool.h"

#include "common/base/status_macros.h"

namespace waggle::queen::sqlite {
namespace {

// Readers at the same time. Reads are short and come from memory; more would only add page caches.
constexpr int kReaders = 4;

}  // namespace

absl::StatusOr<std::unique_ptr<ReaderPool>> ReaderPool::Open(const std::string& path) {
  std::unique_ptr<ReaderPool> pool(new ReaderPool());
  for (int i = 0; i < kReaders; ++i) {
    ASSIGN_OR_RETURN(auto connection, Connection::Open(path, Connection::Mode::kReader));
    pool->Return(connection.get());
    pool->connections_.push_back(std::move(connection));
  }
  return pool;
}

ReaderPool::Lease ReaderPool::Acquire() {
  absl::MutexLock lock(&mu_, absl::Condition(this, &ReaderPool::HasFree));
  Connection* connection = free_.back();
  free_.pop_back();
  return Lease(*this, connection);
}

void ReaderPool::Return(Connection* connection) {
  absl::MutexLock lock(&mu_);
  free_.push_back(connection);
}

}  // namespace waggle::queen::sqlite
