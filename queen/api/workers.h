#pragma once

#include <functional>
#include <memory>

namespace waggle::queen {

// A few threads for what gRPC's own pool must never do: SQL, files, helpers. Thread-safe.
class Workers {
 public:
  // At most `bound` tasks wait.
  Workers(int threads, std::size_t bound);
  ~Workers();                            // what is queued is still done
  bool Run(std::function<void()> task);  // false: too much is queued

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace waggle::queen
