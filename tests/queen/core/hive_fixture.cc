#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {

void HiveTest::Boot(Snapshot snapshot) {
  hive_ = std::make_unique<Hive>(config_, std::move(snapshot), now_);
  Perform(hive_->Start(now_, wall_));
}

void HiveTest::Restart() {
  for (auto& [name, drone] : drones_) drone.connection = ConnectionId();
  sent_.clear();
  seals_.clear();
  Boot(store_.Load());
}

void HiveTest::Step(const Event& event) {
  Perform(hive_->Step(now_, wall_, event));
}

void HiveTest::Perform(const Effects& effects) {
  store_.Apply(effects.rows);
  rows_written_ += effects.rows.jobs.size() + effects.rows.attempts.size();
  wake_at_ = effects.wake_at;
  for (const Effect& effect : effects.after) {
    if (const auto* e = std::get_if<effect::Send>(&effect)) {
      EXPECT_TRUE(e->connection) << "a message to nobody";
      sent_[e->connection].push_back(e->message);
      if (const auto* assign = std::get_if<to_drone::Assign>(&e->message)) {
        EXPECT_TRUE(store_.attempts.contains(assign->epoch)) << "stored before it is said";
        for (const auto& [name, id] : ids_) {
          if (id == assign->job) assigned_.push_back(name);
        }
      }
    } else if (const auto* e = std::get_if<effect::Close>(&effect)) {
      closed_[e->connection] = e->status;
    } else if (const auto* e = std::get_if<effect::Answer>(&effect)) {
      EXPECT_FALSE(answers_.contains(e->request)) << "answered twice";
      answers_[e->request] = e->value;
    } else if (const auto* e = std::get_if<effect::Publish>(&effect)) {
      published_.push_back(e->job);
    } else if (const auto* e = std::get_if<effect::OpenLog>(&effect)) {
      log_sessions_[e->epoch] = e->session;
      if (e->late) late_logs_[e->epoch] = *e->late;
      closed_logs_.erase(e->epoch);
    } else if (const auto* e = std::get_if<effect::SealLog>(&effect)) {
      EXPECT_FALSE(closed_logs_.contains(e->epoch)) << "a closed log is not sealed";
      seals_[e->epoch] = *e;
    } else if (const auto* e = std::get_if<effect::CloseLog>(&effect)) {
      closed_logs_.insert(e->epoch);
      seals_.erase(e->epoch);
    } else if (const auto* e = std::get_if<effect::EndSession>(&effect)) {
      ended_sessions_.insert(e->session);
    }
  }
}

JobId HiveTest::Submit(const std::string& name, JobOptions options) {
  event::SubmitJob submit;
  submit.request = NewRequest();
  submit.draft.document = "document of " + name;
  JobRow& row = submit.draft.row;
  row.name = name;
  row.type = options.type;
  row.priority = options.priority;
  row.needs = options.needs;
  row.plugins = options.plugins;
  row.local_only = options.local_only;
  row.repo = options.repo;
  row.branch = options.branch;
  ids_[name] = JobId(store_.counters.job + 1);
  Step(submit);
  EXPECT_EQ(AnswerTo<JobRow>(submit.request).id, ids_[name]);
  return ids_[name];
}

void HiveTest::SubmitRun(const std::string& repo, const std::string& branch,
                         const std::vector<std::string>& jobs) {
  event::SubmitRun submit;
  submit.request = NewRequest();
  submit.run.repo = repo;
  submit.run.branch = branch;
  for (const std::string& name : jobs) {
    JobDraft draft;
    draft.row.name = name;
    draft.row.repo = repo;
    draft.row.branch = branch;
    draft.document = "document of " + name;
    ids_[name] = JobId(store_.counters.job + 1 + submit.jobs.size());
    submit.jobs.push_back(std::move(draft));
  }
  Step(submit);
  EXPECT_EQ(AnswerTo<SubmittedRun>(submit.request).jobs.size(), jobs.size());
}

RunId HiveTest::SubmitRun(RunRow run, const std::vector<RunJob>& jobs, bool cancel_previous) {
  event::SubmitRun submit{
      .request = NewRequest(), .run = run, .jobs = {}, .key = {}, .cancel_previous = cancel_previous};
  std::map<std::string, std::size_t> index;
  for (const RunJob& job : jobs) index.emplace(job.name, index.size());
  for (const RunJob& job : jobs) {
    JobDraft draft;
    draft.row.name = job.name;
    draft.row.repo = run.repo;
    draft.row.branch = run.branch;
    draft.row.type = job.type;
    draft.row.runs_after = job.runs_after;
    draft.row.allow_failure = job.allow_failure;
    draft.row.retry_failed = job.retry_failed;
    draft.row.retry_infra = job.retry_infra;
    draft.skipped = job.skipped;
    for (const std::string& name : job.after) draft.after.push_back(index.at(name));
    draft.document = "document of " + job.name;
    ids_[job.name] = JobId(store_.counters.job + 1 + submit.jobs.size());
    submit.jobs.push_back(std::move(draft));
  }
  Step(submit);
  return AnswerTo<SubmittedRun>(submit.request).run.id;
}

RequestId HiveTest::CancelRun(RunId run) {
  event::CancelRun cancel{NewRequest(), run, "alice", "enough", false};
  Step(cancel);
  return cancel.request;
}

RequestId HiveTest::Retry(const std::vector<std::string>& jobs) {
  event::Retry retry;
  retry.request = NewRequest();
  retry.by = "alice";
  for (const std::string& name : jobs) retry.again.insert(Id(name));
  const JobRow& first = Job(jobs.at(0));
  if (first.run) retry.run = store_.runs.at(first.run);
  for (const auto& [id, row] : store_.jobs) {
    if (first.run ? row.run == first.run : id == first.id) retry.jobs.push_back(row);
  }
  Step(retry);
  return retry.request;
}

RequestId HiveTest::Cancel(const std::string& job, bool now, const std::string& reason) {
  event::CancelJob cancel{NewRequest(), Id(job), "alice", reason, now};
  Step(cancel);
  return cancel.request;
}

std::string HiveTest::WhyWaiting(const std::string& job) {
  event::Explain explain{NewRequest(), {Id(job)}};
  Step(explain);
  return AnswerTo<Explanations>(explain.request).texts.at(0);
}

FleetView HiveTest::Fleet() {
  event::ListFleet list{NewRequest()};
  Step(list);
  return AnswerTo<FleetView>(list.request);
}

DroneView HiveTest::View(const std::string& drone) {
  for (const DroneView& view : Fleet().drones) {
    if (view.row.name == drone) return view;
  }
  ADD_FAILURE() << drone << " is not listed";
  return {};
}

event::Hello HiveTest::HelloOf(const std::string& name, std::uint32_t capacity, double speed) {
  FakeDrone& drone = drones_[name];
  if (drone.identity.empty()) drone.identity = "identity of " + name;
  event::Hello hello;
  hello.identity = drone.identity;
  hello.name = name;
  hello.host = drone.host;
  hello.version = "1";
  hello.local = drone.local;
  hello.info = DroneInfo{.speed = speed, .capacity = capacity};
  return hello;
}

void HiveTest::EnrolDrone(const std::string& name, std::map<std::string, std::string> labels) {
  drones_[name].identity = "key of " + name;
  drones_[name].local = false;
  InvitationRow invitation;
  invitation.hash = "hash of " + name;
  invitation.name = name;
  invitation.labels = std::move(labels);
  invitation.expires = wall_ + 1000;
  Step(event::Invite{NewRequest(), invitation});
  event::Enrol enrol{NewRequest(), "hash of " + name, "key of " + name, ""};
  Step(enrol);
  EXPECT_EQ(AnswerTo<PeerRow>(enrol.request).name, name);
}

void HiveTest::SayHello(const std::string& name, event::Hello hello) {
  FakeDrone& drone = drones_[name];
  hello.connection = drone.connection = ConnectionId(++next_connection_);
  Step(hello);
  auto welcomes = SentTo<to_drone::Welcome>(drone.connection);
  if (!welcomes.empty()) drone.session = welcomes.back().session;
}

void HiveTest::DroneUp(const std::string& name, std::uint32_t capacity, double speed) {
  SayHello(name, HelloOf(name, capacity, speed));
}

void HiveTest::DroneUp(const std::string& name, std::uint32_t capacity,
                       const std::vector<HeldAttempt>& held) {
  event::Hello hello = HelloOf(name, capacity, 1);
  hello.attempts = held;
  for (const HeldAttempt& attempt : held) hello.highest_epoch = std::max(hello.highest_epoch, attempt.epoch);
  SayHello(name, hello);
}

void HiveTest::Disconnect(const std::string& name) {
  Step(event::Disconnected{ConnectionOf(name)});
}

void HiveTest::Heartbeat(const std::string& name) {
  constexpr std::uint32_t kRunning = 1000;  // more than it has slots: the test knows better
  Step(event::Heartbeat{ConnectionOf(name), 1, {}, kRunning});
}

void HiveTest::Accept(const std::string& job) {
  Step(event::Accept{DroneOf(job).connection, Current(job), wall_});
}

void HiveTest::Reject(const std::string& job, const std::string& reason) {
  Step(event::Reject{DroneOf(job).connection, Current(job), reason});
}

HeldAttempt HiveTest::Holds(const std::string& job, HeldState state) {
  HeldAttempt held;
  held.epoch = Current(job);
  held.state = state;
  held.counter = AttemptOf(job).counter + 1;
  held.received = wall_;
  if (state != HeldState::kAccepted) held.started = wall_;
  return held;
}

void HiveTest::Report(const std::string& job, HeldAttempt held) {
  held.epoch = Current(job);
  Step(event::Status{DroneOf(job).connection, held});
}

void HiveTest::Starts(const std::string& job) {
  Report(job, Holds(job));
}

void HiveTest::AsksForGrant(const std::string& job, std::int32_t test_code) {
  HeldAttempt held = Holds(job);
  held.wants_grant = true;
  held.test_code = test_code;
  Report(job, held);
}

void HiveTest::ShimDies(const std::string& job, std::uint64_t last_seq) {
  Step(event::ShimLost{DroneOf(job).connection, Current(job), last_seq, "killed by signal 9"});
}

void HiveTest::LogEnds(Epoch epoch, journal::Final final, const std::string& problem) {
  event::LogComplete complete;
  complete.epoch = epoch;
  complete.final = std::move(final);
  complete.last_seq = 9;
  complete.duration = 1500ms;
  complete.problem = problem;
  Step(complete);
}

void HiveTest::LateLogEnds(Epoch epoch, journal::Final final, const std::string& problem) {
  event::LogComplete complete;
  complete.epoch = epoch;
  complete.final = std::move(final);
  complete.last_seq = 20;
  complete.problem = problem;
  complete.late = true;
  Step(complete);
}

void HiveTest::Passes(const std::string& job) {
  journal::Final final;
  final.test_code = 0;
  LogEnds(Current(job), final);
}

void HiveTest::Fails(const std::string& job, int code) {
  journal::Final final;
  final.test_code = final.failed_code = code;
  final.failed_step = "test/unit";
  LogEnds(Current(job), final);
}

void HiveTest::SealsComplete() {
  std::map<Epoch, effect::SealLog> seals = seals_;
  for (const auto& [epoch, seal] : seals) {
    journal::Final final;
    final.reason = seal.reason;
    final.detail = seal.detail;
    final.test_code = seal.test_code;
    final.deploy_code = seal.deploy_code;
    LogEnds(epoch, final);
  }
}

void HiveTest::Advance(Duration time) {
  Time end = now_ + time;
  while (wake_at_ && *wake_at_ <= end) {
    Time at = std::max(now_, *wake_at_);
    wall_ += std::chrono::duration_cast<std::chrono::milliseconds>(at - now_).count();
    now_ = at;
    Step(event::Tick{});
    if (wake_at_ && *wake_at_ <= now_) {
      ADD_FAILURE() << "a wake-up that does not move on";
      return;
    }
  }
  wall_ += std::chrono::duration_cast<std::chrono::milliseconds>(end - now_).count();
  now_ = end;
}

Disposition HiveTest::WelcomedWith(const std::string& drone, Epoch epoch) const {
  auto welcomes = SentTo<to_drone::Welcome>(drone);
  if (!welcomes.empty()) {
    for (const Disposition& disposition : welcomes.back().attempts) {
      if (disposition.epoch == epoch) return disposition;
    }
  }
  ADD_FAILURE() << drone << " was told nothing about " << epoch.value();
  return {};
}

void HiveTest::ExpectQueued(const std::string& job) {
  EXPECT_EQ(Job(job).state, JobState::kQueued) << job << " is " << Name(Job(job).state);
  EXPECT_FALSE(Current(job)) << job << " is on " << Job(job).drone_name;
}

void HiveTest::ExpectAssigned(const std::string& job, const std::string& drone) {
  EXPECT_TRUE(Current(job)) << job << " is not assigned: " << Name(Job(job).state);
  EXPECT_EQ(Job(job).drone_name, drone) << job;
}

void HiveTest::ExpectState(const std::string& job, JobState state, Reason reason) {
  EXPECT_EQ(Job(job).state, state) << job << " is " << Name(Job(job).state) << " " << Job(job).detail;
  EXPECT_EQ(Job(job).reason, reason) << job << ": " << Name(Job(job).reason);
}

}  // namespace waggle::queen
