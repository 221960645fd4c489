#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "queen/store/sqlite/connection.h"

namespace waggle::queen::sqlite {

// A few read-only connections, lent to one thread each. Thread-safe.
class ReaderPool {
 public:
  // Must not outlive the pool.
  class Lease {
   public:
    Lease(ReaderPool& pool, Connection* connection) : pool_(pool), connection_(connection) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { pool_.Return(connection_); }
    Connection& operator*() const { return *connection_; }

   private:
    ReaderPool& pool_;
    Connection* connection_;
  };

  static absl::StatusOr<std::unique_ptr<ReaderPool>> Open(const std::string& path);
  // Waits while all are lent; a lease is held for one call of StoreReader, so this is short.
  Lease Acquire();

 private:
  ReaderPool() = default;
  void Return(Connection* connection);
  bool HasFree() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !free_.empty(); }

  std::vector<std::unique_ptr<Connection>> connections_;  // constant after Open()
  absl::Mutex mu_;
  std::vector<Connection*> free_ ABSL_GUARDED_BY(mu_);
};

}  // namespace waggle::queen::sqlite
