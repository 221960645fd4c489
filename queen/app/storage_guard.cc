#include "queen/app/storage_guard.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/await.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/journal/reserve.h"

namespace waggle::queen {
namespace {

constexpr Duration kEvery = std::chrono::seconds(1);

std::uint64_t BallastOf(const DiskSpace& space) {
  return std::min(limits::kBallast, space.bytes / 50);
}

}  // namespace

absl::StatusOr<DiskSpace> SpaceOf(const std::string& path) {
  struct statvfs info = {};
  if (::statvfs(path.c_str(), &info) != 0) return ErrnoStatus("look at the file system of", path);
  return DiskSpace{info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize, info.f_files, info.f_favail};
}

std::string StorageTrouble(const DiskSpace& space, bool before) {
  auto wants = [before](std::uint64_t limit) { return before ? limit + limit / 4 : limit; };
  const std::uint64_t bytes = std::min(limits::kStorageLow, space.bytes / 20);
  if (space.free_bytes < wants(bytes)) {
    return absl::StrCat("the queen's disk is nearly full: less than ", bytes / limits::kKiB, " KiB free");
  }
  const std::uint64_t inodes = std::min(limits::kInodesLow, space.inodes / 20);
  if (space.free_inodes < wants(inodes)) {
    return absl::StrCat("the queen's file system has less than ", inodes, " files left");
  }
  return "";
}

StorageGuard::StorageGuard(std::string data, std::function<void(const std::string&)> changed)
    : data_(std::move(data)), changed_(std::move(changed)), thread_([this] { Loop(); }) {}

StorageGuard::~StorageGuard() {
  Stop();
}

void StorageGuard::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

std::string StorageGuard::Ballast() const {
  return data_ + "/ballast";
}

void StorageGuard::Lighten(const std::string& data) {
  absl::StatusOr<DiskSpace> space = SpaceOf(data);
  if (space.ok() && !StorageTrouble(*space, false).empty()) RemoveFile(data + "/ballast").IgnoreError();
}

void StorageGuard::Starved(const absl::Status& why) {
  absl::MutexLock lock(&mutex_);
  starved_ = std::string(why.message());
}

void StorageGuard::Loop() {
  for (;;) {
    std::string starved;
    {
      absl::MutexLock lock(&mutex_);
      starved = std::exchange(starved_, "");
    }
    Look(starved);
    absl::MutexLock lock(&mutex_);
    auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !starved_.empty(); };
    AwaitFor(mutex_, absl::Condition(&wanted), kEvery);
    if (stopping_) return;
  }
}

void StorageGuard::Look(const std::string& starved) {
  std::string trouble;
  if (!starved.empty()) {
    RemoveFile(Ballast()).IgnoreError();
    trouble = absl::StrCat("the queen's disk is full: ", starved.substr(0, starved.find('\n')));
  } else if (absl::StatusOr<DiskSpace> space = SpaceOf(data_); space.ok()) {
    const bool ballast = FileExists(Ballast());
    DiskSpace without = *space;
    if (!ballast) without.free_bytes -= std::min(without.free_bytes, BallastOf(*space));
    trouble = StorageTrouble(without, in_trouble_);
    if (trouble.empty() && !ballast) {
      // Somebody else may have been quicker.
      if (!journal::MakeReserve(Ballast(), BallastOf(*space)).ok()) return;
    }
  }
  if (trouble.empty() == !in_trouble_) return;
  in_trouble_ = !trouble.empty();
  changed_(trouble);
}

}  // namespace waggle::queen
