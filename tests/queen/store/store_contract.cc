#include "tests/queen/store/store_contract.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "common/base/limits.h"

namespace waggle::queen {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

ScratchDirectory::ScratchDirectory() {
  std::string pattern = testing::TempDir() + "waggle_store_XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void ScratchDirectory::Clear() {
  for (const auto& entry : std::filesystem::directory_iterator(path_))
    std::filesystem::remove_all(entry.path());
}

void StoreContract::SetUp() {
  Open();
}

void StoreContract::Open() {
  auto opened = GetParam().open(directory());
  ASSERT_TRUE(opened.ok()) << opened.status();
  store_ = std::move(*opened);
}

void StoreContract::Reopen() {
  Close();
  Open();
}

void StoreContract::Commit(const WriteBatch& batch) {
  absl::Status status = store().Commit(batch);
  ASSERT_TRUE(status.ok()) << status;
}

void StoreContract::PutJob(const JobRow& row) {
  WriteBatch batch;
  batch.jobs.push_back(row);
  Commit(batch);
}

Snapshot StoreContract::Load() {
  auto loaded = store().Load();
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? *std::move(loaded) : Snapshot();
}

std::vector<std::uint64_t> StoreContract::ListedIds(const JobQuery& query) {
  auto rows = store().ListJobs(query);
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() ? JobIds(*rows) : std::vector<std::uint64_t>();
}

JobRow PlainJob(std::uint64_t id, JobState state) {
  JobRow row;
  row.id = JobId(id);
  row.name = "job";
  row.state = state;
  return row;
}

AttemptRow PlainAttempt(std::uint64_t epoch, std::uint64_t job, bool log_closed) {
  AttemptRow row;
  row.epoch = Epoch(epoch);
  row.job = JobId(job);
  row.log_closed = log_closed;
  return row;
}

std::vector<std::uint64_t> Epochs(const std::vector<AttemptRow>& rows) {
  std::vector<std::uint64_t> epochs;
  for (const AttemptRow& row : rows) epochs.push_back(row.epoch.value());
  return epochs;
}

namespace {

TEST_P(StoreContract, EmptyStoreHasNothing) {
  Snapshot snapshot = Load();
  EXPECT_TRUE(snapshot.counters == Counters());
  EXPECT_THAT(snapshot.jobs, IsEmpty());
  EXPECT_THAT(snapshot.attempts, IsEmpty());
  EXPECT_THAT(snapshot.drones, IsEmpty());
  EXPECT_TRUE(absl::IsNotFound(store().GetJob(JobId(1)).status()));
  EXPECT_TRUE(absl::IsNotFound(store().GetAttempt(Epoch(1)).status()));
  EXPECT_TRUE(absl::IsNotFound(store().GetDocument(JobId(1)).status()));
  EXPECT_THAT(ListedIds({}), IsEmpty());
  auto attempts = store().ListAttempts(JobId(1));
  ASSERT_TRUE(attempts.ok()) << attempts.status();
  EXPECT_THAT(*attempts, IsEmpty());
}

TEST_P(StoreContract, AKeyStandsForOneSubmission) {
  EXPECT_TRUE(absl::IsNotFound(store().GetSubmission("local k").status()));
  WriteBatch batch;
  batch.submissions = {{"local k", "digest", JobId(7), RunId(), 1'700'000'000'000},
                       {"local r", "other", JobId(), RunId(9), 1}};
  Commit(batch);
  for (int round = 0; round < 2; ++round) {
    auto job = store().GetSubmission("local k"), run = store().GetSubmission("local r");
    ASSERT_TRUE(job.ok() && run.ok()) << job.status() << run.status();
    EXPECT_EQ(job->digest, "digest");
    EXPECT_EQ(job->job, JobId(7));
    EXPECT_EQ(job->created, 1'700'000'000'000);
    EXPECT_EQ(run->run, RunId(9));
    EXPECT_FALSE(run->job);
    Reopen();
  }
  batch.submissions = {{"local k", "digest", JobId(8), RunId(), 2}};
  EXPECT_FALSE(store().Commit(batch).ok()) << "the second is not a repeat to the core";
  Reopen();
  EXPECT_EQ(store().GetSubmission("local k")->job, JobId(7));
}

// What a start needs of runs: those with a job that has not ended, and all jobs of these.
TEST_P(StoreContract, RunsAreLoadedWithTheirEndedJobsWhileOneHasNotEnded) {
  auto job = [](std::uint64_t id, std::uint64_t run, JobState state) {
    JobRow row = PlainJob(id, state);
    row.run = RunId(run);
    return row;
  };
  WriteBatch batch;
  batch.runs = {FullRun(1), FullRun(2), FullRun(3)};
  batch.runs[2].branch = "other";
  batch.runs[2].state = JobState::kPassed;
  batch.jobs = {job(1, 1, JobState::kPassed),  job(2, 1, JobState::kFailed), job(3, 2, JobState::kPassed),
                job(4, 2, JobState::kCreated), job(5, 0, JobState::kPassed), job(6, 3, JobState::kQueued)};
  batch.counters = FullCounters(100);
  Commit(batch);
  const Snapshot snapshot = Load();
  ASSERT_EQ(snapshot.runs.size(), 2u);
  EXPECT_TRUE(snapshot.runs[0] == batch.runs[1]);
  EXPECT_TRUE(snapshot.runs[1] == batch.runs[2]) << "its jobs whose failure is allowed go on behind its end";
  ASSERT_EQ(snapshot.run_jobs.size(), 1u);
  EXPECT_TRUE(snapshot.run_jobs[0] == batch.jobs[2]);
  EXPECT_EQ(snapshot.jobs.size(), 2u);

  EXPECT_TRUE(*store().GetRun(RunId(2)) == batch.runs[1]);
  EXPECT_TRUE(absl::IsNotFound(store().GetRun(RunId(9)).status()));
  auto ids = [this](const RunQuery& query) {
    std::vector<std::uint64_t> found;
    const std::vector<RunRow> rows = store().ListRuns(query).value();
    for (const RunRow& row : rows) found.push_back(row.id.value());
    return found;
  };
  EXPECT_THAT(ids({}), ElementsAre(3, 2, 1));
  EXPECT_THAT(ids({.limit = 2}), ElementsAre(3, 2));
  EXPECT_THAT(ids({.before = RunId(3)}), ElementsAre(2, 1));
  EXPECT_THAT(ids({.branch = "other"}), ElementsAre(3));
  EXPECT_THAT(ids({.states = {JobState::kStarted}}), ElementsAre(2, 1));
  EXPECT_THAT(*store().CountJobs(RunId(1)),
              ElementsAre(Pair(JobState::kPassed, 1u), Pair(JobState::kFailed, 1u)));
  EXPECT_TRUE(store().CountJobs(RunId(9))->empty());
}

TEST_P(StoreContract, EmptyBatchIsNothing) {
  EXPECT_TRUE(store().Commit(WriteBatch()).ok());
  EXPECT_TRUE(Load().counters == Counters());
}

TEST_P(StoreContract, EveryFieldSurvivesReopening) {
  WriteBatch batch;
  batch.jobs = {FullJob(1), PlainJob(2, JobState::kCreated)};
  batch.attempts = {FullAttempt(2001), PlainAttempt(7, 2, false)};
  batch.drones = {FullDrone(5), DroneRow{.id = DroneId(6)}};
  batch.runs = {FullRun(4)};
  batch.documents = {{JobId(1), "document"}};
  batch.counters = FullCounters(100'000);
  Commit(batch);
  for (int round = 0; round < 2; ++round) {
    SCOPED_TRACE(round == 0 ? "before reopening" : "after reopening");
    for (const JobRow& row : batch.jobs) {
      auto read = store().GetJob(row.id);
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_TRUE(*read == row);
    }
    for (const AttemptRow& row : batch.attempts) {
      auto read = store().GetAttempt(row.epoch);
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_TRUE(*read == row);
    }
    EXPECT_EQ(store().GetDocument(JobId(1)).value_or("none"), "document");
    Snapshot snapshot = Load();
    ASSERT_EQ(snapshot.drones.size(), 2u);
    EXPECT_TRUE(snapshot.drones[0] == batch.drones[0]);
    EXPECT_TRUE(snapshot.drones[1] == batch.drones[1]);
    EXPECT_TRUE(snapshot.counters == *batch.counters);
    ASSERT_EQ(snapshot.jobs.size(), 2u);
    EXPECT_TRUE(snapshot.jobs[0] == batch.jobs[0]);
    // 2001 is the current attempt of job 1, 7 has an open log.
    ASSERT_EQ(snapshot.attempts.size(), 2u);
    EXPECT_TRUE(snapshot.attempts[0] == batch.attempts[1]);
    EXPECT_TRUE(snapshot.attempts[1] == batch.attempts[0]);
    Reopen();
  }
}

TEST_P(StoreContract, ExtremeNumbersAndBytes) {
  JobRow job = FullJob(1);
  job.id = JobId(std::numeric_limits<std::int64_t>::max());
  job.run = RunId(std::numeric_limits<std::int64_t>::max());
  job.attempt = Epoch();
  job.priority = std::numeric_limits<std::int32_t>::min();
  job.attempts = std::numeric_limits<std::uint32_t>::max();
  job.duration_ms = std::numeric_limits<std::int64_t>::min();
  job.detail = std::string("nul \0 and no UTF-8 \xff\xc3", 21);
  PutJob(job);
  auto read = store().GetJob(job.id);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(*read == job);

  WriteBatch batch;
  batch.drones = {FullDrone(1), FullDrone(2)};
  batch.drones[0].speed = std::numeric_limits<double>::infinity();
  batch.drones[1].speed = std::numeric_limits<double>::quiet_NaN();
  batch.drones[1].labels = {{"not UTF-8", "\xff\xfe"}};
  Commit(batch);
  Snapshot snapshot = Load();
  ASSERT_EQ(snapshot.drones.size(), 2u);
  EXPECT_TRUE(snapshot.drones[0] == batch.drones[0]);
  EXPECT_EQ(snapshot.drones[1].speed, 0);
  EXPECT_EQ(snapshot.drones[1].labels.size(), 1u);
}

TEST_P(StoreContract, EveryEnumValueIsKept) {
  WriteBatch batch;
  for (int type = 1; type <= 3; ++type) {
    for (int state = 1; state <= 9; ++state) {
      for (int reason = 0; reason <= 12; ++reason) {
        JobRow row = PlainJob(batch.jobs.size() + 1, static_cast<JobState>(state));
        row.type = static_cast<JobType>(type);
        row.reason = static_cast<Reason>(reason);
        batch.jobs.push_back(row);
      }
    }
  }
  Commit(batch);
  for (const JobRow& row : batch.jobs) {
    auto read = store().GetJob(row.id);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(*read == row);
  }
}

TEST_P(StoreContract, RowsAreReplacedAndTheLastOfABatchWins) {
  WriteBatch batch;
  batch.jobs = {FullJob(1), FullJob(1), PlainJob(1, JobState::kQueued)};
  batch.attempts = {FullAttempt(9), PlainAttempt(9, 1, false)};
  batch.drones = {FullDrone(3)};
  batch.documents = {{JobId(1), "first"}, {JobId(1), "second"}};
  batch.counters = FullCounters(1'000);
  Commit(batch);
  EXPECT_TRUE(store().GetJob(JobId(1)).value() == batch.jobs.back());
  EXPECT_TRUE(store().GetAttempt(Epoch(9)).value() == batch.attempts.back());
  EXPECT_EQ(store().GetDocument(JobId(1)).value(), "second");

  WriteBatch next;
  next.jobs = {FullJob(1)};
  next.attempts = {FullAttempt(9)};
  next.drones = {DroneRow{.id = DroneId(3), .name = "renamed"}};
  next.runs = {FullRun(1), FullRun(1)};
  next.documents = {{JobId(1), ""}};
  next.counters = FullCounters(2'000'000);
  Commit(next);
  EXPECT_TRUE(store().GetJob(JobId(1)).value() == next.jobs[0]);
  EXPECT_TRUE(store().GetAttempt(Epoch(9)).value() == next.attempts[0]);
  EXPECT_EQ(store().GetDocument(JobId(1)).value(), "");
  Snapshot snapshot = Load();
  ASSERT_EQ(snapshot.drones.size(), 1u);
  EXPECT_TRUE(snapshot.drones[0] == next.drones[0]);
  EXPECT_TRUE(snapshot.counters == *next.counters);
}

TEST_P(StoreContract, DocumentsOfEverySizeKeepEveryByte) {
  WriteBatch batch;
  std::uint64_t id = 0;
  for (std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{4095}, std::size_t{4096}, limits::kJobDocument}) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + i / 256);
    batch.documents.push_back({JobId(++id), bytes});
  }
  Commit(batch);
  Reopen();
  for (const auto& document : batch.documents) {
    auto read = store().GetDocument(document.job);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(*read == document.bytes) << document.bytes.size() << " bytes";
  }
}

TEST_P(StoreContract, ListPagesFromTheNewest) {
  WriteBatch batch;
  for (std::uint64_t id = 1; id <= 7; ++id) batch.jobs.push_back(PlainJob(id, JobState::kPassed));
  Commit(batch);
  EXPECT_THAT(ListedIds({}), ElementsAre(7, 6, 5, 4, 3, 2, 1));
  EXPECT_THAT(ListedIds({.limit = 3}), ElementsAre(7, 6, 5));
  EXPECT_THAT(ListedIds({.limit = 3, .before = JobId(5)}), ElementsAre(4, 3, 2));
  EXPECT_THAT(ListedIds({.limit = 3, .before = JobId(2)}), ElementsAre(1));
  EXPECT_THAT(ListedIds({.limit = 3, .before = JobId(1)}), IsEmpty());
  EXPECT_THAT(ListedIds({.limit = 1, .before = JobId(~0ULL)}), ElementsAre(7));
  EXPECT_THAT(ListedIds({.limit = 0}), IsEmpty());
  EXPECT_EQ(ListedIds({.limit = ~0u}).size(), 7u);
}

TEST_P(StoreContract, ListFiltersByStateAndRun) {
  WriteBatch batch;
  for (std::uint64_t id = 1; id <= 12; ++id) {
    JobRow row = PlainJob(id, id % 3 == 0   ? JobState::kFailed
                              : id % 3 == 1 ? JobState::kPassed
                                            : JobState::kQueued);
    row.run = RunId(id <= 6 ? 1 : 2);
    batch.jobs.push_back(row);
  }
  batch.jobs.push_back(PlainJob(13, JobState::kPassed));  // of no run
  Commit(batch);
  const auto kFailed = JobState::kFailed, kPassed = JobState::kPassed, kQueued = JobState::kQueued;
  EXPECT_THAT(ListedIds({.states = {kFailed}}), ElementsAre(12, 9, 6, 3));
  EXPECT_THAT(ListedIds({.states = {kPassed, kFailed, kPassed}}), ElementsAre(13, 12, 10, 9, 7, 6, 4, 3, 1));
  EXPECT_THAT(ListedIds({.limit = 2, .before = JobId(10), .states = {kPassed, kFailed}}), ElementsAre(9, 7));
  EXPECT_THAT(ListedIds({.states = {JobState::kSkipped}}), IsEmpty());
  EXPECT_THAT(ListedIds({.states = {static_cast<JobState>(0), static_cast<JobState>(200)}}), IsEmpty());
  EXPECT_THAT(ListedIds({.run = RunId(1)}), ElementsAre(6, 5, 4, 3, 2, 1));
  EXPECT_THAT(ListedIds({.limit = 2, .before = JobId(5), .run = RunId(1)}), ElementsAre(4, 3));
  EXPECT_THAT(ListedIds({.states = {kQueued, kFailed}, .run = RunId(2)}), ElementsAre(12, 11, 9, 8));
  EXPECT_THAT(ListedIds({.run = RunId(3)}), IsEmpty());
}

TEST_P(StoreContract, AttemptsOfAJobOldestFirst) {
  WriteBatch batch;
  batch.attempts = {PlainAttempt(30, 1, true), PlainAttempt(10, 1, true), PlainAttempt(20, 2, true)};
  Commit(batch);
  auto rows = store().ListAttempts(JobId(1));
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_THAT(Epochs(*rows), ElementsAre(10, 30));
}

TEST_P(StoreContract, LoadGivesUnfinishedWorkAndOpenLogs) {
  WriteBatch batch;
  for (int state = 1; state <= 9; ++state) {
    JobRow row = PlainJob(static_cast<std::uint64_t>(state), static_cast<JobState>(state));
    if (state >= 3) row.attempt = Epoch(static_cast<std::uint64_t>(state) * 10);
    batch.jobs.push_back(row);
  }
  batch.attempts = {PlainAttempt(29, 3, true), PlainAttempt(30, 3, true), PlainAttempt(40, 4, false),
                    PlainAttempt(50, 5, false), PlainAttempt(60, 6, true)};
  Commit(batch);
  Snapshot snapshot = Load();
  EXPECT_THAT(JobIds(snapshot.jobs), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Epochs(snapshot.attempts), ElementsAre(30, 40, 50));

  WriteBatch next;  // job 4 ends and its log is closed
  next.jobs = {PlainJob(4, JobState::kPassed)};
  next.attempts = {PlainAttempt(40, 4, true), PlainAttempt(50, 5, true)};
  Commit(next);
  Reopen();
  snapshot = Load();
  EXPECT_THAT(JobIds(snapshot.jobs), ElementsAre(1, 2, 3));
  EXPECT_THAT(Epochs(snapshot.attempts), ElementsAre(30));
}

TEST_P(StoreContract, CountersAreNeverBelowAnIdThatWasUsed) {
  WriteBatch batch;
  batch.counters = FullCounters(10);
  batch.jobs = {PlainJob(5, JobState::kPassed)};
  Commit(batch);
  EXPECT_TRUE(Load().counters == FullCounters(10));

  WriteBatch ahead;
  ahead.jobs = {PlainJob(500, JobState::kPassed)};
  ahead.runs = {FullRun(600)};
  ahead.drones = {FullDrone(700)};  // session 3700
  ahead.attempts = {PlainAttempt(800, 500, true)};
  Commit(ahead);
  Reopen();
  EXPECT_TRUE(Load().counters == (Counters{500, 600, 700, 800, 3700}));
}

TEST_P(StoreContract, NumbersTooLargeToStoreAreRefusedWhole) {
  WriteBatch batch;
  batch.jobs = {PlainJob(1, JobState::kQueued)};
  batch.attempts = {PlainAttempt(1, 1, false)};
  batch.attempts[0].last_seq = ~0ULL;
  absl::Status status = store().Commit(batch);
  ASSERT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_NE(std::string(status.message()).find("last_seq"), std::string::npos) << status;
  EXPECT_TRUE(absl::IsNotFound(store().GetJob(JobId(1)).status()));
  batch.attempts[0].last_seq = 1;
  Commit(batch);
  EXPECT_TRUE(store().GetJob(JobId(1)).ok());
}

}  // namespace
}  // namespace waggle::queen
