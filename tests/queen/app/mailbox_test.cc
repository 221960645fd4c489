// The mailbox over a store that has no space, or fails.
#include "queen/app/mailbox.h"

#include <gmock/gmock.h>

#include <deque>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace waggle::queen {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kDeadline = absl::Seconds(30);

// Each commit waits for its turn: the status the test gives it.
class ScriptedStore : public Store {
 public:
  absl::Status Commit(const WriteBatch& batch) override {
    auto told = [this] { return !script_.empty(); };
    absl::MutexLock lock(&mutex_);
    ++commits_;
    mutex_.Await(absl::Condition(&told));
    const absl::Status status = script_.front();
    if (script_.size() > 1) script_.pop_front();  // the last one holds for all that follow
    if (status.ok()) stored_jobs_ += batch.jobs.size();
    return status;
  }
  void Then(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    script_.push_back(std::move(status));
  }
  void Await(int commits) {
    auto enough = [this, commits] { return commits_ >= commits; };
    absl::MutexLock lock(&mutex_);
    ASSERT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&enough), kDeadline));
  }
  std::size_t stored_jobs() {
    absl::MutexLock lock(&mutex_);
    return stored_jobs_;
  }

  absl::StatusOr<Snapshot> Load(Breadcrumb&) override { return Snapshot{}; }
  absl::StatusOr<std::vector<Epoch>> ExpireLogs(WallMillis, WallMillis, std::size_t) override {
    return std::vector<Epoch>{};
  }
  absl::Status LogsGone(const std::vector<Epoch>&) override { return absl::OkStatus(); }
  absl::StatusOr<JobRow> GetJob(JobId) override { return absl::NotFoundError(""); }
  absl::StatusOr<std::vector<JobRow>> ListJobs(const JobQuery&) override { return std::vector<JobRow>{}; }
  absl::StatusOr<RunRow> GetRun(RunId) override { return absl::NotFoundError(""); }
  absl::StatusOr<std::vector<RunRow>> ListRuns(const RunQuery&) override { return std::vector<RunRow>(); }
  absl::StatusOr<std::map<JobState, std::uint32_t>> CountJobs(RunId) override {
    return std::map<JobState, std::uint32_t>();
  }
  absl::StatusOr<AttemptRow> GetAttempt(Epoch) override { return absl::NotFoundError(""); }
  absl::StatusOr<std::vector<AttemptRow>> ListAttempts(JobId) override { return std::vector<AttemptRow>{}; }
  absl::StatusOr<std::string> GetDocument(JobId) override { return absl::NotFoundError(""); }
  absl::StatusOr<SubmissionRow> GetSubmission(const std::string&) override { return absl::NotFoundError(""); }

 private:
  absl::Mutex mutex_;
  std::deque<absl::Status> script_;
  int commits_ = 0;
  std::size_t stored_jobs_ = 0;
};

class MailboxTest : public testing::Test {
 protected:
  struct Submission {
    absl::Notification answered;
    AnswerValue answer;
  };

  void SetUp() override {
    Mailbox::Outside outside;
    outside.committed = [](const WriteBatch&) {};
    outside.perform = [](const Effect&) {};
    outside.starved = [this](const absl::Status&) { starved_.store(true); };
    outside.failed = [this](const absl::Status& status) {
      failure_ = status;
      failed_.Notify();
    };
    mailbox_ = std::make_unique<Mailbox>(Hive(HiveConfig(), Snapshot(), BootClock::now()), store_,
                                         std::move(outside));
    mailbox_->Start();
  }
  std::shared_ptr<Submission> Submit() {
    auto submission = std::make_shared<Submission>();
    mailbox_->Ask(
        [](RequestId id) {
          event::SubmitJob submit;
          submit.request = id;
          return submit;
        },
        [submission](AnswerValue answer) {
          submission->answer = std::move(answer);
          submission->answered.Notify();
        });
    return submission;
  }
  static absl::Status Full() { return absl::ResourceExhaustedError("no space left on device"); }

  ScriptedStore store_;
  std::atomic<bool> starved_ = false;
  absl::Notification failed_;
  absl::Status failure_;
  std::unique_ptr<Mailbox> mailbox_;
};

TEST_F(MailboxTest, WhatIsNotStoredForWantOfSpaceIsNotSaid) {
  auto first = Submit();
  store_.Await(1);
  store_.Then(Full());
  store_.Await(3);  // tried again
  EXPECT_FALSE(first->answered.HasBeenNotified());
  EXPECT_TRUE(starved_.load());
  auto second = Submit();
  ASSERT_TRUE(second->answered.WaitForNotificationWithTimeout(kDeadline)) << "refused at once";
  const auto* refused = std::get_if<absl::Status>(&second->answer);
  ASSERT_NE(refused, nullptr);
  EXPECT_TRUE(absl::IsResourceExhausted(*refused));
  EXPECT_THAT(std::string(refused->message()), HasSubstr("nothing was changed\nnext: "));
  store_.Then(absl::OkStatus());
  ASSERT_TRUE(first->answered.WaitForNotificationWithTimeout(kDeadline));
  EXPECT_TRUE(std::holds_alternative<JobRow>(first->answer));
  EXPECT_EQ(store_.stored_jobs(), 1u);
  auto third = Submit();
  ASSERT_TRUE(third->answered.WaitForNotificationWithTimeout(kDeadline));
  EXPECT_TRUE(std::holds_alternative<JobRow>(third->answer)) << "it goes on by itself";
  EXPECT_FALSE(failed_.HasBeenNotified());
}

TEST_F(MailboxTest, AFailedCommitEndsIt) {
  store_.Then(absl::DataLossError("sync queen.db: Input/output error"));
  auto submission = Submit();
  ASSERT_TRUE(failed_.WaitForNotificationWithTimeout(kDeadline));
  EXPECT_THAT(std::string(failure_.message()), HasSubstr("Input/output error"));
  EXPECT_FALSE(submission->answered.HasBeenNotified());
}

TEST_F(MailboxTest, StoppedWithoutSpaceItGivesUp) {
  store_.Then(Full());
  auto submission = Submit();
  store_.Await(2);
  mailbox_->Stop();
  EXPECT_TRUE(failed_.HasBeenNotified());
  const auto* answer = std::get_if<absl::Status>(&submission->answer);
  ASSERT_NE(answer, nullptr);
  EXPECT_TRUE(absl::IsUnavailable(*answer)) << "nobody knows";
}

}  // namespace
}  // namespace waggle::queen
