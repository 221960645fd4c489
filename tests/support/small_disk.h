#pragma once

#include <string>

namespace waggle::test {

// A small file system in memory, mounted over a directory (made if missing) while this lives. Needs root: a
// failure of the test otherwise.
class SmallDisk {
 public:
  // `options` as of mount(8): "size=24m", "size=8m,nr_inodes=200".
  SmallDisk(std::string path, const std::string& options);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  void Fill();  // another program writes until nothing is left
  void Free();  // and its file is deleted
  void Remount(const std::string& options);

 private:
  const std::string path_;
  bool mounted_ = false;
};

}  // namespace waggle::test
