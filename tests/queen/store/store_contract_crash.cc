// The part of the contract that needs processes and threads: what was acknowledged survives kill -9, and
// readers see whole batches while others are written.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "common/base/fd.h"
#include "tests/queen/store/store_contract.h"

namespace waggle::queen {
namespace {

// Batch n: a job, its attempt, its document and the counters, all telling n.
WriteBatch Numbered(std::uint64_t n) {
  WriteBatch batch;
  batch.jobs = {FullJob(n)};
  batch.jobs[0].attempt = Epoch(n);
  batch.attempts = {FullAttempt(n)};
  batch.documents = {{JobId(n), std::string(1000 + n % 5000, static_cast<char>('a' + n % 26))}};
  batch.counters = Counters{n, n + 1000, n + 2000, n + 2000, n + 3000};
  return batch;
}

// All or nothing of batch n; returns which.
bool HasWholeBatch(Store& store, std::uint64_t n) {
  WriteBatch want = Numbered(n);
  auto job = store.GetJob(JobId(n));
  auto attempt = store.GetAttempt(Epoch(n));
  auto document = store.GetDocument(JobId(n));
  EXPECT_EQ(job.ok(), attempt.ok()) << "half of batch " << n;
  EXPECT_EQ(job.ok(), document.ok()) << "half of batch " << n;
  if (!job.ok() || !attempt.ok() || !document.ok()) return false;
  EXPECT_TRUE(attempt->epoch == Epoch(n));
  EXPECT_TRUE(*document == want.documents[0].bytes);
  return true;
}

// Child: commits batches from `first` on and writes the number of each into the pipe after its
// acknowledgement.
[[noreturn]] void WriteUntilKilled(const StoreBackend& backend, const std::string& directory,
                                   std::uint64_t first, int pipe) {
  auto store = backend.open(directory);
  if (!store.ok()) ::_exit(2);
  for (std::uint64_t n = first;; ++n) {
    if (!(*store)->Commit(Numbered(n)).ok()) ::_exit(3);
    if (::write(pipe, &n, sizeof n) != sizeof n) ::_exit(4);
  }
}

TEST_P(StoreContract, AcknowledgedBatchesSurviveKill) {
  Close();
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 12; ++round) {
    std::array<int, 2> ends;
    ASSERT_EQ(::pipe(ends.data()), 0);
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      WriteUntilKilled(GetParam(), directory(), acknowledged + 1, ends[1]);
    }
    UniqueFd read_end(ends[0]);
    ::close(ends[1]);
    // Killed after so many acknowledgements, while it is busy with the next; what it managed meanwhile counts
    // too.
    std::uint64_t kill_after = acknowledged + 1 + static_cast<std::uint64_t>(round) * 37;
    bool killed = false;
    std::uint64_t n = 0;
    while (::read(read_end.get(), &n, sizeof n) == sizeof n) {
      acknowledged = n;
      if (n >= kill_after && !killed) {
        ::kill(child, SIGKILL);
        killed = true;
      }
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "child ended by itself: " << status;
    Open();
    for (std::uint64_t i = 1; i <= acknowledged; ++i)
      ASSERT_TRUE(HasWholeBatch(store(), i)) << "lost batch " << i;
    std::uint64_t last = acknowledged + (HasWholeBatch(store(), acknowledged + 1) ? 1 : 0);
    EXPECT_FALSE(store().GetJob(JobId(acknowledged + 2)).ok());
    EXPECT_EQ(Load().counters.job, last) << "counters of another batch than the rows";
    Close();
  }
  EXPECT_GT(acknowledged, 12u);
}

TEST_P(StoreContract, SixteenThreadsReadDuringWrites) {
  constexpr std::uint64_t kBatches = 300;
  std::atomic<std::uint64_t> committed = 0;
  std::atomic<bool> stop = false;
  std::atomic<int> reads = 0, wrong = 0;
  auto reader = [&](std::uint64_t salt) {
    for (std::uint64_t i = salt; !stop; ++i) {
      std::uint64_t known = committed;
      if (known == 0) continue;
      std::uint64_t n = i % known + 1;
      auto job = store().GetJob(JobId(n));
      auto attempt = store().GetAttempt(Epoch(n));
      auto newest = store().ListJobs({.limit = 2, .states = {JobState::kStarted, JobState::kPassed}});
      bool ok = job.ok() && job->name == FullJob(n).name && attempt.ok() && newest.ok() && !newest->empty() &&
                newest->front().id.value() >= known && store().GetDocument(JobId(n)).ok() &&
                store().ListAttempts(attempt->job).ok();
      if (!ok) ++wrong;
      ++reads;
    }
  };
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 16; ++t) threads.emplace_back(reader, t * 1000);
  for (std::uint64_t n = 1; n <= kBatches; ++n) {
    absl::Status status = store().Commit(Numbered(n));
    EXPECT_TRUE(status.ok()) << status;
    if (!status.ok()) break;
    committed = n;
  }
  while (reads < 1000 && wrong == 0) std::this_thread::yield();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GE(reads, 1000);
}

}  // namespace
}  // namespace waggle::queen
