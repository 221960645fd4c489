#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "queen/logs/watch.h"
#include "queen/store/store.h"
#include "tests/queen/logs/logs_fixture.h"

namespace waggle::queen {

// The rows a watch reads, in memory. Thread-safe.
class FakeReader : public StoreReader {
 public:
  void Put(const JobRow& job) {
    absl::MutexLock lock(&mutex_);
    jobs_[job.id] = job;
  }
  void Put(const AttemptRow& attempt) {
    absl::MutexLock lock(&mutex_);
    attempts_[attempt.epoch] = attempt;
  }

  absl::StatusOr<JobRow> GetJob(JobId id) override {
    absl::MutexLock lock(&mutex_);
    auto at = jobs_.find(id);
    if (at == jobs_.end()) return absl::NotFoundError(absl::StrCat("job ", id.value(), " is not known"));
    return at->second;
  }
  absl::StatusOr<std::vector<JobRow>> ListJobs(const JobQuery&) override {
    return absl::UnimplementedError("a watch lists no jobs");
  }
  absl::StatusOr<RunRow> GetRun(RunId) override { return absl::NotFoundError(""); }
  absl::StatusOr<std::vector<RunRow>> ListRuns(const RunQuery&) override { return std::vector<RunRow>(); }
  absl::StatusOr<std::map<JobState, std::uint32_t>> CountJobs(RunId) override {
    return std::map<JobState, std::uint32_t>();
  }
  absl::StatusOr<AttemptRow> GetAttempt(Epoch epoch) override {
    absl::MutexLock lock(&mutex_);
    auto at = attempts_.find(epoch);
    if (at == attempts_.end()) return absl::NotFoundError("no such attempt");
    return at->second;
  }
  absl::StatusOr<std::vector<AttemptRow>> ListAttempts(JobId job) override {
    absl::MutexLock lock(&mutex_);
    std::vector<AttemptRow> found;
    for (const auto& [epoch, row] : attempts_) {
      if (row.job == job) found.push_back(row);
    }
    return found;
  }
  absl::StatusOr<std::string> GetDocument(JobId) override {
    return absl::UnimplementedError("a watch reads no documents");
  }
  absl::StatusOr<SubmissionRow> GetSubmission(const std::string&) override {
    return absl::UnimplementedError("a watch submits nothing");
  }

 private:
  absl::Mutex mutex_;
  std::map<JobId, JobRow> jobs_;
  std::map<Epoch, AttemptRow> attempts_;
};

// A watcher that keeps what it is sent. It says Ready at once, or only when the test lets it (a slow one).
class FakeSink : public WatchSink {
 public:
  void Attach(WatchHub* hub) { hub_ = hub; }
  void SetSlow(bool slow) {
    absl::MutexLock lock(&mutex_);
    slow_ = slow;
  }

  void Started(WatcherId id) override {
    absl::MutexLock lock(&mutex_);
    id_ = id;
  }
  void SendJob(const JobRow& job) override {
    Take([&] { states_.emplace_back(Name(job.state)); });
  }
  void SendRecords(const RecordBatch& batch) override {
    Take([&] {
      raw_[batch.epoch] += batch.raw;
      EXPECT_LE(batch.raw.size(), limits::kWatchBatch + journal::kHeaderBytes + limits::kRecordPayload);
      std::size_t records = 0;
      journal::ForEachRecord(batch.raw, [&](const journal::RecordView& record) {
        EXPECT_EQ(record.header.epoch, batch.epoch);
        lines_[batch.epoch][record.header.seq] = batch.lines.at(records++);
        order_.push_back(absl::StrCat(batch.epoch.value(), ":", record.header.seq.value()));
      });
      EXPECT_EQ(records, batch.lines.size());
      first_boot_[batch.epoch] = batch.first_boot_nanos;
      attempts_[batch.epoch] = batch.attempt;
    });
  }
  void SendHeartbeat() override {
    Take([&] {});
  }
  void SendEnd(const JobRow& job, Epoch epoch, Seq seq) override {
    End(absl::StrCat("end ", std::string(Name(job.state)), " ", epoch.value(), ":", seq.value()));
  }
  void Fail(absl::Status status) override {
    {
      absl::MutexLock lock(&mutex_);
      failure_ = status;
    }
    End("fail");
  }

  void Cut(absl::Status status) override {
    {
      absl::MutexLock lock(&mutex_);
      failure_ = std::move(status);
    }
    End("cut");
  }

  // Runs inside the last call.
  void DuringEnd(std::function<void()> action) { during_end_ = std::move(action); }

  // "end STATE EPOCH:SEQ", "fail" or "cut".
  std::string Ending() {
    absl::MutexLock lock(&mutex_);
    auto over = [this] { return !ending_.empty(); };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&over), kDeadline)) return "nothing";
    return ending_;
  }
  bool WaitForBytes(Epoch epoch, std::size_t size) {
    absl::MutexLock lock(&mutex_);
    auto there = [this, epoch, size] { return raw_[epoch].size() >= size; };
    return mutex_.AwaitWithTimeout(absl::Condition(&there), kDeadline);
  }
  bool WaitForState(const std::string& state) {
    absl::MutexLock lock(&mutex_);
    auto there = [&] { return std::find(states_.begin(), states_.end(), state) != states_.end(); };
    return mutex_.AwaitWithTimeout(absl::Condition(&there), kDeadline);
  }
  bool WaitForCalls(int calls) {
    absl::MutexLock lock(&mutex_);
    auto there = [this, calls] { return calls_ >= calls; };
    return mutex_.AwaitWithTimeout(absl::Condition(&there), kDeadline);
  }
  int calls() {
    absl::MutexLock lock(&mutex_);
    return calls_;
  }
  bool ended() {
    absl::MutexLock lock(&mutex_);
    return !ending_.empty();
  }
  std::string Raw(Epoch epoch = Epoch(7)) {
    absl::MutexLock lock(&mutex_);
    return raw_[epoch];
  }
  std::map<Seq, std::uint64_t> LinesOf(Epoch epoch = Epoch(7)) {
    absl::MutexLock lock(&mutex_);
    return lines_[epoch];
  }
  std::vector<std::string> Order() {
    absl::MutexLock lock(&mutex_);
    return order_;
  }
  std::int64_t FirstBoot(Epoch epoch = Epoch(7)) {
    absl::MutexLock lock(&mutex_);
    return first_boot_[epoch];
  }
  std::uint32_t AttemptOf(Epoch epoch) {
    absl::MutexLock lock(&mutex_);
    return attempts_[epoch];
  }
  std::vector<std::string> States() {
    absl::MutexLock lock(&mutex_);
    return states_;
  }
  absl::Status failure() {
    absl::MutexLock lock(&mutex_);
    return failure_;
  }
  WatcherId id() {
    absl::MutexLock lock(&mutex_);
    return id_;
  }
  void Release() { hub_->Ready(id()); }

 private:
  template <typename Keep>
  void Take(Keep&& keep) {
    WatcherId id;
    {
      absl::MutexLock lock(&mutex_);
      EXPECT_TRUE(ending_.empty()) << "a call after the end";
      EXPECT_TRUE(id_) << "a call before Started";
      EXPECT_FALSE(in_flight_) << "a call before the last one was done";
      keep();
      ++calls_;
      in_flight_ = slow_;
      if (slow_) return;
      id = id_;
    }
    hub_->Ready(id);
  }
  void End(std::string text) {
    absl::MutexLock lock(&mutex_);
    EXPECT_EQ(ending_, "") << "a second end";
    ending_ = std::move(text);
    if (during_end_) {
      mutex_.Unlock();
      during_end_();
      mutex_.Lock();
    }
  }

  WatchHub* hub_ = nullptr;
  absl::Mutex mutex_;
  WatcherId id_;
  bool slow_ = false;
  bool in_flight_ = false;
  int calls_ = 0;
  std::map<Epoch, std::string> raw_;
  std::map<Epoch, std::map<Seq, std::uint64_t>> lines_;
  std::map<Epoch, std::int64_t> first_boot_;
  std::map<Epoch, std::uint32_t> attempts_;
  std::vector<std::string> order_, states_;
  std::string ending_;
  absl::Status failure_;
  std::function<void()> during_end_;

 public:
  void Done() {  // of a slow one: the message is gone
    {
      absl::MutexLock lock(&mutex_);
      in_flight_ = false;
    }
    Release();
  }
};

// Job 1 with attempts of epochs 7 and 8.
class WatchFixture : public LogsFixture {
 protected:
  void SetUp() override {
    listener_.on_appended = [this](Epoch epoch) {
      if (hub_ != nullptr) hub_->Appended(epoch);
    };
    LogsFixture::SetUp();
    hub_ = std::make_unique<WatchHub>(store_, *logs_, 2);
    job_.id = JobId(1);
    job_.state = JobState::kQueued;
  }
  void TearDown() override {
    logs_.reset();  // its threads call the hub
    hub_.reset();
  }

  void Publish() {
    store_.Put(job_);
    hub_->Published(job_);
  }
  void JobIs(JobState state) {
    job_.state = state;
    Publish();
  }
  void AttemptBegins(Epoch epoch, std::uint32_t number) {
    AttemptRow attempt;
    attempt.epoch = epoch;
    attempt.job = job_.id;
    attempt.number = number;
    store_.Put(attempt);
    job_.attempt = epoch;
    Publish();
    logs_->OpenLog(epoch, SessionId(1));
  }
  void Write(const std::string& records) { Append(records, SessionId(1), maker_.epoch()); }
  // The verdict: the row first, then the log is closed, as the queen does it.
  void JobEnds(JobState state) {
    ASSERT_TRUE(listener_.Waits(absl::StrCat("complete ", maker_.epoch().value())));
    AttemptRow attempt = *store_.GetAttempt(maker_.epoch());
    attempt.log_closed = true;
    attempt.last_seq = maker_.last().value();
    store_.Put(attempt);
    JobIs(state);
    logs_->CloseLog(maker_.epoch());
  }
  // A stored log of about 300 KiB with several commands: has an index.
  std::string LongLog() {
    std::string all;
    for (std::uint32_t command = 0; command < 6; ++command) {
      std::string batch = maker_.Start(command);
      for (int i = 0; i < 60; ++i) {
        batch += i % 4 == 3 ? maker_.Err(test::NoiseBytes(700, i), command)
                            : maker_.Out(test::NoiseBytes(900, i), command);
      }
      Write(batch);
      all += batch;
    }
    std::string end = maker_.End();
    Write(end);
    return all + end;
  }
  std::shared_ptr<FakeSink> Watch(WatchStart start, bool slow = false) {
    auto sink = std::make_shared<FakeSink>();
    sink->Attach(hub_.get());
    sink->SetSlow(slow);
    start.job = JobId(1);
    EXPECT_TRUE(hub_->Add(start, sink).ok());
    return sink;
  }
  std::shared_ptr<FakeSink> Follow() { return Watch({.follow = true}); }

  FakeReader store_;
  JobRow job_;
  std::unique_ptr<WatchHub> hub_;
};

}  // namespace waggle::queen
