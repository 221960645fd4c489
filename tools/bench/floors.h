#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "tools/bench/bench.h"
#include "tools/bench/client.h"
#include "tools/bench/processes.h"

// What this machine can do at best: every figure of Waggle is shown beside one of these, measured just before
// it.
namespace waggle::bench {

struct SpawnFloor {
  double per_second = 0;   // `sh -c true`, on all cores
  double cpu_seconds = 0;  // of each child
};
absl::StatusOr<SpawnFloor> MeasureSpawn(int count);
// One `sh -c true` after the other, seconds each.
absl::StatusOr<double> MeasureSpawnLatency(int count);

absl::StatusOr<double> MeasureCommits(const std::string& directory, int count);           // per second
absl::StatusOr<double> MeasureSyncs(const std::string& directory, int count);             // p50, seconds
absl::StatusOr<double> MeasureAppend(const std::string& directory, std::uint64_t bytes);  // F5, MB/s
// A program that writes `write` bytes at once into a pipe; MB/s.
absl::StatusOr<double> MeasurePipe(const Bench& bench, std::uint64_t bytes, std::size_t write);

// A bare gRPC server in a process of its own, on a Unix socket.
class RpcFloor {
 public:
  static absl::StatusOr<std::unique_ptr<RpcFloor>> Start(const Bench& bench);
  ~RpcFloor();

  absl::StatusOr<double> Stream(std::uint64_t bytes);  // 64 KiB messages, MB/s
  absl::StatusOr<double> PingPong(int rounds);         // p50, seconds
  absl::StatusOr<double> IdleConnection(int count);    // KiB of the server for each, with one stream

 private:
  RpcFloor() = default;
  std::string directory_, socket_;
  Program server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace waggle::bench
