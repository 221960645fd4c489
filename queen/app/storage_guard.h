#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace waggle::queen {

struct DiskSpace {
  std::uint64_t bytes = 0, free_bytes = 0;    // free: to the queen, without what is kept for root
  std::uint64_t inodes = 0, free_inodes = 0;  // 0 of 0: the file system has no fixed number
};

absl::StatusOr<DiskSpace> SpaceOf(const std::string& path);

// One sentence for people when that is too little to take new work; "" when it is enough. `before`: there was
// trouble, so it takes a quarter more than the limit to be over it.
std::string StorageTrouble(const DiskSpace& space, bool before);

// Watches the file system of the queen's data and keeps a ballast file there (DATA/ballast): given up when a
// write finds no space, so that what was accepted already can be stored, made again when there is enough.
// One thread, which looks once a second.
class StorageGuard {
 public:
  // `changed`, on the guard's thread: the sentence of StorageTrouble(), or what a write said; "" once it is
  // over. Never the same state twice.
  StorageGuard(std::string data, std::function<void(const std::string&)> changed);
  ~StorageGuard();  // Stop()
  void Stop();      // `changed` is not called any more; Starved() may be

  // A write found no space. Thread-safe, does not block; `changed` follows, and once more when it is over.
  void Starved(const absl::Status& why);

  // Before anything of DATA is opened: when it is full the ballast goes, so that the queen can start.
  static void Lighten(const std::string& data);

 private:
  void Loop();
  void Look(const std::string& starved);
  std::string Ballast() const;

  const std::string data_;
  const std::function<void(const std::string&)> changed_;
  bool in_trouble_ = false;  // its thread
  absl::Mutex mutex_;
  std::string starved_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace waggle::queen
