#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace waggle::v1 {
class CancelJobRequest;
class Job;
class ListJobsRequest;
class SubmitJobRequest;
class SubmitRunRequest;
class WatchEvent;
class WatchRequest;
}  // namespace waggle::v1

namespace waggle::cli {

// A queen with behaviour on a real Unix socket. Jobs are what the test says they are; each Watch call of a
// job plays the next script of that job (the last one again and again). Calls may come while a test scripts
// more.
class FakeQueen {
 public:
  enum class Then {
    kClose,
    kUnavailable,
    kNotFound,
    kHang
  };  // how a scripted call ends; hang: until cut off

  explicit FakeQueen(std::string socket);
  ~FakeQueen();
  void Start();
  void Stop();  // cuts every stream; the socket file goes

  void PutJob(const v1::Job& job);
  void ScriptWatch(std::uint64_t job, std::vector<v1::WatchEvent> events, Then then = Then::kClose);
  void RefuseSubmit(int code, std::string message, int times = 1'000'000);
  void Damage(std::string problem);  // what Verify says

  const std::string& socket() const { return socket_; }
  std::vector<v1::WatchRequest> watches() const;
  std::vector<std::string> keys() const;  // of all submissions
  v1::SubmitRunRequest last_run() const;
  v1::SubmitJobRequest last_job() const;
  v1::CancelJobRequest last_cancel() const;
  v1::ListJobsRequest last_list() const;

 private:
  struct Impl;
  const std::string socket_;
  std::unique_ptr<Impl> impl_;
};

// Verbs for scripts.
v1::Job MakeJob(std::uint64_t id, std::string name, int state);
v1::Job Passed(std::uint64_t id, std::string name);
v1::Job Failed(std::uint64_t id, std::string name, int code);
v1::Job Errored(std::uint64_t id, std::string name, std::string reason);
// Records of attempt 1, epoch 7, unless said otherwise; one record per event.
v1::WatchEvent Out(std::uint64_t seq, std::uint64_t line, std::string_view data, std::uint64_t epoch = 7);
v1::WatchEvent Err(std::uint64_t seq, std::uint64_t line, std::string_view data, std::uint64_t epoch = 7);
v1::WatchEvent CommandStart(std::uint64_t seq, std::string name, std::string display);
v1::WatchEvent CommandEnd(std::uint64_t seq, std::string name, int code, std::int64_t millis);
v1::WatchEvent State(const v1::Job& job);
v1::WatchEvent End(const v1::Job& job);

}  // namespace waggle::cli
