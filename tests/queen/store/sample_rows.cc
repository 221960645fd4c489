#include "tests/queen/store/sample_rows.h"

#include <tuple>

namespace waggle::queen {
namespace {

JobTimes FullTimes(std::int64_t n) {
  JobTimes t;
  t.created = 1'700'000'000'000 + n;
  t.queued = t.created + 1;
  t.received = t.created + 2;
  t.started = t.created + 3;
  t.finished = t.created + 4;
  return t;
}

auto Tie(const JobTimes& t) {
  const auto& [created, queued, received, started, finished] = t;
  return std::tie(created, queued, received, started, finished);
}

auto Tie(const Receipt& r) {
  const auto& [left, killed, took_ms] = r;
  return std::tie(left, killed, took_ms);
}

auto Tie(const LateTruth& r) {
  const auto& [state, reason, detail, test_code, deploy_code, failed_code, failed_step, finished, arrived,
               last_seq] = r;
  return std::tie(state, reason, detail, test_code, deploy_code, failed_code, failed_step, finished, arrived,
                  last_seq);
}

auto Tie(const JobRow& r) {
  const auto& [id, run, name, type, state, reason, detail, priority, needs, plugins, local_only, repo, branch,
               commit, attempt, drone_name, attempts, excused, times, duration_ms, test_code, deploy_code,
               failed_code, failed_step, cancel_requested, cancel_now, canceled_by, cancel_reason, receipt,
               late, after, runs_after, allow_failure, not_wanted, retry_infra, retry_failed, failed_before,
               retried] = r;
  return std::tuple_cat(
      std::tie(id, run, name, type, state, reason, detail, priority, needs, plugins, local_only),
      std::tie(repo, branch, commit, attempt, drone_name, attempts, excused, duration_ms, test_code,
               deploy_code),
      std::tie(failed_code, failed_step, cancel_requested, cancel_now, canceled_by, cancel_reason),
      std::tie(after, runs_after, allow_failure, not_wanted, retry_infra, retry_failed, failed_before,
               retried),
      Tie(times), Tie(receipt), Tie(late));
}

auto Tie(const AttemptRow& r) {
  const auto& [epoch, job, number, drone, drone_name, state, reason, detail, granted, log_closed, counter,
               times, test_code, deploy_code, failed_code, failed_step, last_seq, receipt, late, late_awaited,
               log_ended, log_removed] = r;
  return std::tuple_cat(
      std::tie(epoch, job, number, drone, drone_name, state, reason, detail, granted, log_closed),
      std::tie(counter, test_code, deploy_code, failed_code, failed_step, last_seq, late_awaited), Tie(times),
      std::tie(log_ended, log_removed), Tie(receipt), Tie(late));
}

auto Tie(const DroneRow& r) {
  const auto& [id, identity, name, host, version, speed, capacity, labels, plugins, last_seen, session,
               drained, drained_by, drain_reason, drain_deadline] = r;
  return std::tie(id, identity, name, host, version, speed, capacity, labels, plugins, last_seen, session,
                  drained, drained_by, drain_reason, drain_deadline);
}

auto Tie(const RunRow& r) {
  const auto& [id, repo, branch, commit, created, name, event, title, by, state, verdict, finished,
               duration_ms, fast_finish] = r;
  return std::tie(id, repo, branch, commit, created, name, event, title, by, state, verdict, finished,
                  duration_ms, fast_finish);
}

auto Tie(const Counters& c) {
  const auto& [job, run, drone, epoch, session, peer] = c;
  return std::tie(job, run, drone, epoch, session, peer);
}

std::string Word(const char* word, std::uint64_t n) {
  return word + std::to_string(n);
}

LateTruth FullLate(std::uint64_t n) {
  LateTruth r;
  r.state = JobState::kFailed;
  r.reason = Reason::kTimeout;
  r.detail = Word("late detail ", n);
  r.test_code = 21;
  r.deploy_code = 22;
  r.failed_code = 23;
  r.failed_step = Word("deploy/", n);
  r.finished = 1'700'000'000'456;
  r.arrived = 1'700'000'000'789;
  r.last_seq = (1ULL << 61) + n;
  return r;
}

}  // namespace

JobRow FullJob(std::uint64_t n) {
  JobRow r;
  r.id = JobId(n);
  r.run = RunId(n + 1000);
  r.name = Word("name \"ä\" ", n);
  r.type = JobType::kTestAndDeploy;
  r.state = JobState::kStarted;
  r.reason = Reason::kRejected;
  r.detail = Word("detail\nwith 'quotes' ", n);
  r.priority = -7 - static_cast<std::int32_t>(n);
  r.needs = {{"os", Word("linux", n)}, {"", "empty key"}, {"ü\"\\\n", ""}};
  r.plugins = {Word("docker", n), "", "a,b\"c"};
  r.local_only = true;
  r.repo = Word("repo", n);
  r.branch = Word("branch", n);
  r.commit = Word("commit", n);
  r.attempt = Epoch(n + 2000);
  r.drone_name = Word("drone of ", n);
  r.attempts = 4'000'000'000;
  r.excused = 3'000'000'000;
  r.times = FullTimes(static_cast<std::int64_t>(n));
  r.duration_ms = 5'000'000'000;
  r.test_code = 2;
  r.deploy_code = -3;
  r.failed_code = 504;
  r.failed_step = Word("step", n);
  r.cancel_requested = true;
  r.cancel_now = true;
  r.canceled_by = Word("person", n);
  r.cancel_reason = Word("because", n);
  r.late = FullLate(n);
  r.receipt = {.left = 0, .killed = 4'000'000'000, .took_ms = 5'000'000'001};
  r.after = {JobId(n + 1), JobId((1ULL << 62) + n)};
  r.runs_after = RunsAfter::kAlways;
  r.allow_failure = true;
  r.not_wanted = true;
  r.retry_infra = 7;
  r.retry_failed = 8;
  r.failed_before = 4'100'000'000;
  r.retried = 4'200'000'000;
  return r;
}

AttemptRow FullAttempt(std::uint64_t n) {
  AttemptRow r;
  r.epoch = Epoch(n);
  r.job = JobId(n + 1000);
  r.number = 3;
  r.drone = DroneId(n + 2000);
  r.drone_name = Word("drone", n);
  r.state = JobState::kErrored;
  r.reason = Reason::kLogIncomplete;
  r.detail = Word("detail", n);
  r.granted = true;
  r.log_closed = true;
  r.counter = 4'294'967'295;
  r.times = FullTimes(static_cast<std::int64_t>(n) + 500);
  r.test_code = 11;
  r.deploy_code = 12;
  r.failed_code = 7;
  r.failed_step = "test/unit";
  r.last_seq = (1ULL << 62) + n;
  r.late = FullLate(n + 7);
  r.late_awaited = true;
  r.log_ended = 1'700'000'000'987;
  r.receipt = {.left = 3, .killed = 2, .took_ms = 1};
  return r;
}

DroneRow FullDrone(std::uint64_t n) {
  DroneRow r;
  r.id = DroneId(n);
  r.identity = Word("identity", n);
  r.name = Word("name", n);
  r.host = Word("host", n);
  r.version = Word("version", n);
  r.speed = 0.1 + static_cast<double>(n);
  r.capacity = 1024;
  r.labels = {{"gpu", Word("yes", n)}, {"zone", ""}};
  r.plugins = {{"docker", Word("1.", n)}};
  r.last_seen = 1'700'000'000'000;
  r.session = SessionId(n + 3000);
  r.drained = 1'700'000'000'001;
  r.drained_by = Word("who ", n);
  r.drain_reason = Word("why\n", n);
  r.drain_deadline = 1'700'000'000'002;
  return r;
}

RunRow FullRun(std::uint64_t n) {
  RunRow r{RunId(n), Word("repo", n), Word("branch", n), Word("commit", n), 1'700'000'000'123};
  r.name = Word("name", n);
  r.event = Word("event", n);
  r.title = Word("title", n);
  r.by = Word("by", n);
  r.state = JobState::kStarted;
  r.verdict = JobState::kErrored;
  r.finished = 1'700'000'000'456;
  r.duration_ms = 5'000'000'000;
  r.fast_finish = true;
  return r;
}

Counters FullCounters(std::uint64_t n) {
  return {n + 1, n + 2, n + 3, n + 4, n + 5};
}

bool operator==(const JobRow& a, const JobRow& b) {
  return Tie(a) == Tie(b);
}
bool operator==(const AttemptRow& a, const AttemptRow& b) {
  return Tie(a) == Tie(b);
}
bool operator==(const DroneRow& a, const DroneRow& b) {
  return Tie(a) == Tie(b);
}
bool operator==(const RunRow& a, const RunRow& b) {
  return Tie(a) == Tie(b);
}
bool operator==(const Counters& a, const Counters& b) {
  return Tie(a) == Tie(b);
}

}  // namespace waggle::queen
