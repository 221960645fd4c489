#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"

namespace grpc {
class Channel;
}

namespace waggle::bench {

// A job of one command that is started without a shell; `args` may be empty only for a script.
struct JobText {
  std::string command;
  std::vector<std::string> args;
};

struct FleetState {
  int connected = 0, used = 0;
  std::uint32_t queued = 0;
};

// What a watch brings. `output`: one fragment of standard output at its offset; false leaves the watch.
using OnOutput = std::function<bool(std::string_view data, std::uint64_t offset)>;

struct WatchEnded {
  bool passed = false;
  std::string state;  // of the job, with its reason
};

// The queen as her tools see her: one connection. Calls may come from any thread and have deadlines.
class Client {
 public:
  // Unavailable: nobody answers there yet.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const std::string& socket);
  ~Client();

  absl::StatusOr<std::uint64_t> Submit(const JobText& job);
  // `count` times the same job, with some requests under way at once. The ids.
  absl::StatusOr<std::vector<std::uint64_t>> SubmitMany(const JobText& job, int count);
  // Follows to the end of the job, or until `output` says false.
  absl::StatusOr<WatchEnded> Watch(std::uint64_t job, const OnOutput& output);
  absl::StatusOr<FleetState> Fleet();
  // Jobs that have not ended.
  absl::StatusOr<int> Unfinished();
  // NotFound-like errors name the first of these jobs that did not pass.
  absl::Status ExpectPassed(const std::vector<std::uint64_t>& jobs);
  absl::Status WaitPassed(std::uint64_t job, Duration patience);
  absl::Status Cancel(std::uint64_t job, bool now);
  // Reads and checks the stored log.
  absl::Status Verify(std::uint64_t job, std::uint64_t expected_bytes);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  struct Stubs;
  explicit Client(std::shared_ptr<grpc::Channel> channel);

  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<Stubs> stubs_;
};

}  // namespace waggle::bench
