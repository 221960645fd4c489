#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "drone/attempt/layout.h"
#include "drone/attempt/spares.h"

namespace waggle::attempt {

// The names in an open directory, in no order.
std::vector<std::string> NamesIn(int directory);

// Removes everything below an open directory, whatever its modes and depth; symbolic links are removed, never
// followed. Asks `go_on` after each entry; false: it was told to end.
bool EmptyDirectory(int directory, const std::function<bool()>& go_on);

// One entry of an open directory, in the same way. False: some of it is still there.
bool RemoveEntry(int directory, const std::string& name);

// Makes spares of DATA/used and empties DATA/trash, in a thread of its own, because a work directory may hold
// a million files. What is left when the process ends is for the next one.
class Janitor {
 public:
  explicit Janitor(const Layout& layout);
  ~Janitor();  // waits for the entry under way
  void Sweep();
  // The directory of an attempt that left no process: the next one may have it, once it is swept.
  absl::Status Retire(const std::string& directory, Listener listener);
  Spares* spares() { return &spares_; }

 private:
  void Run();
  bool GoOn();

  const Layout layout_;
  Spares spares_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, Listener> listeners_;  // of what is below DATA/used
  bool asked_ = true;                          // what an earlier process left
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace waggle::attempt
