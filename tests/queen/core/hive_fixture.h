#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "queen/core/hive.h"
#include "tests/support/shadow_store.h"

namespace waggle::queen {

using namespace std::chrono_literals;

struct JobOptions {
  std::int32_t priority = 0;
  std::map<std::string, std::string> needs;
  std::vector<std::string> plugins;
  bool local_only = false;
  JobType type = JobType::kTest;
  std::string repo = "", branch = "";
};

// A job of a run, by the names of those it waits for.
struct RunJob {
  std::string name;
  std::vector<std::string> after = {};
  RunsAfter runs_after = RunsAfter::kPassed;
  bool allow_failure = false;
  std::int32_t retry_failed = 0, retry_infra = -1;
  std::string skipped = {};
  JobType type = JobType::kTest;
};

// A hive under virtual time, with a store and logs that do what the real ones do, and drones that only do
// what the test says. Jobs and drones are called by their names.
class HiveTest : public testing::Test {
 protected:
  struct FakeDrone {
    std::string identity, host = "host-1";
    ConnectionId connection;
    SessionId session;
    bool local = true;
  };

  void SetUp() override { Boot(Snapshot{}); }

  // ---- people ----
  JobId Submit(const std::string& name, JobOptions options = {});
  void SubmitRun(const std::string& repo, const std::string& branch, const std::vector<std::string>& jobs);
  RunId SubmitRun(RunRow run, const std::vector<RunJob>& jobs, bool cancel_previous = false);
  const RunRow& Run(RunId run) const { return store_.runs.at(run); }
  RequestId CancelRun(RunId run);
  RequestId Retry(const std::vector<std::string>& jobs);  // of one run, or one of none
  RequestId Cancel(const std::string& job, bool now = false, const std::string& reason = "");
  std::string WhyWaiting(const std::string& job);
  FleetView Fleet();
  DroneView View(const std::string& drone);

  // ---- drones ----
  event::Hello HelloOf(const std::string& drone, std::uint32_t capacity, double speed);
  void DroneUp(const std::string& drone, std::uint32_t capacity = 1, double speed = 1);
  void DroneUp(const std::string& drone, std::uint32_t capacity, const std::vector<HeldAttempt>& held);
  void SayHello(const std::string& drone, event::Hello hello);
  // From now on it is on another host, with these labels from the operator.
  void EnrolDrone(const std::string& drone, std::map<std::string, std::string> labels = {});
  void Disconnect(const std::string& drone);
  void Heartbeat(const std::string& drone);
  void Accept(const std::string& job);
  void Reject(const std::string& job, const std::string& reason = "no disk");
  void Report(const std::string& job, HeldAttempt held);  // status of the current attempt
  void Starts(const std::string& job);
  void AsksForGrant(const std::string& job, std::int32_t test_code = -1);
  void ShimDies(const std::string& job, std::uint64_t last_seq);
  HeldAttempt Holds(const std::string& job, HeldState state = HeldState::kRunning);

  // ---- logs ----
  void LogEnds(Epoch epoch, journal::Final final, const std::string& problem = "");
  void LateLogEnds(Epoch epoch, journal::Final final, const std::string& problem = "");
  void Passes(const std::string& job);
  void Fails(const std::string& job, int code = 2);
  void SealsComplete();  // every log that was asked to be sealed is

  // ---- time and restarts ----
  void Advance(Duration time);  // with every wake-up that was asked for, when it is due
  void AdvancePastLease(Duration more = 1s) { Advance(config_.LostAfter() + more); }
  void Restart();  // a queen that knows exactly the rows stored so far
  void Boot(Snapshot snapshot);
  void Step(const Event& event);

  // ---- what is known ----
  JobId Id(const std::string& job) const { return ids_.at(job); }
  const JobRow& Job(const std::string& job) const { return store_.jobs.at(Id(job)); }
  Epoch Current(const std::string& job) const { return Job(job).attempt; }
  const AttemptRow& AttemptOf(const std::string& job) const { return store_.attempts.at(Current(job)); }
  FakeDrone& DroneOf(const std::string& job) { return drones_.at(Job(job).drone_name); }
  ConnectionId ConnectionOf(const std::string& drone) const { return drones_.at(drone).connection; }
  template <typename T>
  std::vector<T> SentTo(ConnectionId connection) const {
    std::vector<T> found;
    auto at = sent_.find(connection);
    if (at == sent_.end()) return found;
    for (const ToDrone& message : at->second) {
      if (const T* m = std::get_if<T>(&message)) found.push_back(*m);
    }
    return found;
  }
  template <typename T>
  std::vector<T> SentTo(const std::string& drone) const {
    return SentTo<T>(ConnectionOf(drone));
  }
  template <typename T>
  T AnswerTo(RequestId request) const {
    auto at = answers_.find(request);
    EXPECT_NE(at, answers_.end()) << "no answer";
    if (at == answers_.end() || !std::holds_alternative<T>(at->second)) {
      ADD_FAILURE() << "no answer of this kind";
      return T{};
    }
    return std::get<T>(at->second);
  }
  Disposition WelcomedWith(const std::string& drone, Epoch epoch) const;
  std::vector<std::string> StartOrder() const { return assigned_; }

  void ExpectQueued(const std::string& job);
  void ExpectAssigned(const std::string& job, const std::string& drone);
  void ExpectState(const std::string& job, JobState state, Reason reason = Reason::kNone);
  // Runs `body` and checks that nothing was stored or said but perhaps a Fenced.
  template <typename Body>
  void ExpectNothingChanges(Body&& body) {
    std::size_t rows = rows_written_, published = published_.size();
    body();
    EXPECT_EQ(rows_written_, rows);
    EXPECT_EQ(published_.size(), published);
  }

  RequestId NewRequest() { return RequestId(++next_request_); }

  HiveConfig config_;
  std::unique_ptr<Hive> hive_;
  ShadowStore store_{[](const std::string& what) { ADD_FAILURE() << what; }};
  Time now_ = Time(1000s);
  WallMillis wall_ = 1'700'000'000'000;
  std::map<std::string, JobId> ids_;
  std::map<std::string, FakeDrone> drones_;
  std::map<ConnectionId, std::vector<ToDrone>> sent_;
  std::map<ConnectionId, absl::Status> closed_;
  std::map<RequestId, AnswerValue> answers_;
  std::map<Epoch, SessionId> log_sessions_;
  std::map<Epoch, Seq> late_logs_;          // that were opened, and behind which record they go on
  std::map<Epoch, effect::SealLog> seals_;  // asked for and not yet complete
  std::set<Epoch> closed_logs_;
  std::set<SessionId> ended_sessions_;
  std::vector<JobRow> published_;
  std::vector<std::string> assigned_;  // names of jobs in the order of their Assign
  std::optional<Time> wake_at_;
  std::size_t rows_written_ = 0;

 private:
  void Perform(const Effects& effects);
  std::uint64_t next_request_ = 0, next_connection_ = 0;
};

}  // namespace waggle::queen
