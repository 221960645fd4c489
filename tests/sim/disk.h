#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/random.h"

namespace waggle::sim {

// The files of every host of one world, in memory, below /HOST/. What a program wrote is seen at once by
// everybody on the host; what of it outlives a loss of power is decided by SyncData and SyncDirectory and,
// for the rest, by chance. fd.cc in this folder maps common/base/fd.h to the disk of the thread's current
// world.
class Disk {
 public:
  struct File {
    std::string data;      // as programs see it
    std::string durable;   // as it was at the last sync
    std::size_t same = 0;  // leading bytes in which the two agree
    bool linked = false;   // its name outlives a loss of power
  };

  Disk() { current = this; }
  ~Disk() { current = nullptr; }
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  // The power of this host is gone: of what was not synced any prefix may be there, with or without garbage
  // behind it; names that were not synced may be missing or back again.
  void LosePower(const std::string& host, Random& random);
  void SetFull(const std::string& host, bool full);
  // The next `count` syncs on the host fail.
  void FailSyncs(const std::string& host, int count) { failing_syncs_[host] = count; }
  bool Full(const std::string& host) const { return full_.count(host) > 0; }

  const File* Find(const std::string& path) const;
  void Remove(const std::string& prefix);  // every file whose path starts with it, for good
  // Every file below one directory, as it is now, below another one; durable.
  void Copy(const std::string& from, const std::string& to);
  // One bit of one file below `directory`, where the medium keeps it. Gives the path; "" = there are none.
  std::string FlipBit(const std::string& directory, Random& random);
  std::uint64_t refused_writes() const { return refused_writes_; }

  // What fd.h asks for. Negative: -errno.
  int Open(const std::string& path, int flags);
  int Duplicate(int fd);
  void Close(int fd);
  long Write(int fd, std::string_view data, std::uint64_t position);
  long Read(int fd, char* to, std::size_t size, std::uint64_t position) const;
  int Sync(int fd);
  int Truncate(int fd, std::uint64_t size);
  std::uint64_t Size(int fd) const;
  int Unlink(const std::string& path);
  void SyncDirectory(const std::string& path);
  std::vector<std::string> List(const std::string& path) const;

  static thread_local Disk* current;

 private:
  struct OpenFile {
    std::shared_ptr<File> file;
    std::string host;
  };
  static std::string HostOf(const std::string& path) { return path.substr(0, path.find('/', 1)); }

  std::map<std::string, std::shared_ptr<File>> files_;
  std::map<std::string, std::shared_ptr<File>> unlinked_;  // until the directory is synced
  std::vector<OpenFile> open_;
  std::set<std::string> full_;
  std::map<std::string, int> failing_syncs_;
  std::uint64_t refused_writes_ = 0;
};

}  // namespace waggle::sim
