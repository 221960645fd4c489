#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/bench/bench.h"
#include "tools/bench/client.h"
#include "tools/bench/processes.h"

namespace waggle::bench {

// A queen and drones of the release binaries with data of their own, removed at the end of the bench. One
// thread.
class Hive {
 public:
  // Returns when the queen answers.
  static absl::StatusOr<std::unique_ptr<Hive>> Start(const Bench& bench);
  ~Hive();

  // Returns when all of them are connected.
  absl::Status AddDrones(int count, int slots);
  absl::Status StartQueen();
  void KillQueen();
  absl::Status RestartDrone(std::size_t index);

  Client& client() { return *client_; }
  const std::string& directory() const { return directory_; }
  std::string data() const { return directory_ + "/q"; }
  Program& queen() { return queen_; }
  Program& drone(std::size_t index) { return drones_[index]; }
  std::size_t drones() const { return drones_.size(); }
  // Drones the queen has a connection to.
  absl::StatusOr<int> Connected();

 private:
  Hive(const Bench& bench, std::string directory) : bench_(bench), directory_(std::move(directory)) {}
  absl::StatusOr<Program> StartDrone(std::size_t index) const;

  const Bench& bench_;
  const std::string directory_;
  Program queen_;
  std::vector<Program> drones_;
  int slots_ = 1;
  std::unique_ptr<Client> client_;
};

}  // namespace waggle::bench
