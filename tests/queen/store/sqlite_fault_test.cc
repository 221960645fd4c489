// Damaged files, full disks and failing disks.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "queen/store/sqlite/sqlite_store.h"
#include "tests/queen/store/raw_database.h"
#include "tests/queen/store/store_contract.h"

namespace waggle::queen {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class SqliteFaultTest : public testing::Test {
 protected:
  std::string path() const { return directory_.path() + "/queen.db"; }
  absl::StatusOr<std::unique_ptr<Store>> Open(SqliteOptions options = {}) {
    return OpenSqliteStore(path(), options);
  }
  void Fill(std::uint64_t jobs) {
    auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    WriteBatch batch;
    for (std::uint64_t n = 1; n <= jobs; ++n) batch.jobs.push_back(FullJob(n));
    ASSERT_TRUE((*store)->Commit(batch).ok());
  }
  void Overwrite(std::streamoff offset, const std::string& bytes) {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offset);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(file.good());
  }
  std::uintmax_t Size() const { return std::filesystem::file_size(path()); }
  void ExpectDamaged() {
    absl::Status status = Open().status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(path()), HasSubstr("backup"), HasSubstr("move it away")));
  }

  ScratchDirectory directory_;
};

WriteBatch BatchOf(std::uint64_t id, std::size_t document_bytes) {
  WriteBatch batch;
  batch.jobs = {FullJob(id)};
  batch.documents = {{JobId(id), std::string(document_bytes, 'd')}};
  return batch;
}

TEST_F(SqliteFaultTest, FileThatIsNoDatabase) {
  std::ofstream(path()) << std::string(10'000, '?');
  ExpectDamaged();
  EXPECT_EQ(Size(), 10'000u) << "the file must be left as it was";
}

TEST_F(SqliteFaultTest, DamagedHeader) {
  Fill(100);
  Overwrite(0, std::string(100, '\xab'));
  ExpectDamaged();
}

TEST_F(SqliteFaultTest, DamagedPages) {
  Fill(500);
  Overwrite(static_cast<std::streamoff>(Size()) / 2, std::string(3 * 4096, '\x55'));
  ExpectDamaged();
}

TEST_F(SqliteFaultTest, TruncatedFile) {
  Fill(500);
  std::filesystem::resize_file(path(), Size() / 2 / 4096 * 4096);
  ExpectDamaged();
}

TEST_F(SqliteFaultTest, FlippedBytesNeverCrash) {
  Fill(200);
  std::string good = path() + ".good";
  std::filesystem::copy_file(path(), good);
  std::mt19937 random(7);
  int refused = 0;
  for (int round = 0; round < 150; ++round) {
    std::filesystem::copy_file(good, path(), std::filesystem::copy_options::overwrite_existing);
    for (int i = 0; i < 20; ++i) {
      Overwrite(static_cast<std::streamoff>(random() % Size()), std::string(1, static_cast<char>(random())));
    }
    auto store = Open();
    if (!store.ok()) {
      ++refused;
      continue;
    }
    (void)(*store)->Load();
    (void)(*store)->ListJobs({.limit = 1000});
    (void)(*store)->ListJobs({.states = {JobState::kStarted, JobState::kPassed}});
    for (std::uint64_t n = 1; n <= 200; n += 20) (void)(*store)->GetJob(JobId(n));
    (void)(*store)->Commit(BatchOf(1000, 10));
  }
  EXPECT_GT(refused, 0);
}

// What a power cut leaves: the log ends in the middle of a frame. Everything committed before it is there.
TEST_F(SqliteFaultTest, TornLogLosesOnlyItsTail) {
  std::string copy = directory_.path() + "/copy.db";
  {
    auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    for (std::uint64_t n = 1; n <= 20; ++n) ASSERT_TRUE((*store)->Commit(BatchOf(n, 100)).ok());
    // Copied while open: closing would empty the log.
    std::filesystem::copy_file(path(), copy);
    std::filesystem::copy_file(path() + "-wal", copy + "-wal");
  }
  std::filesystem::resize_file(copy + "-wal", std::filesystem::file_size(copy + "-wal") - 2000);
  auto store = OpenSqliteStore(copy);
  ASSERT_TRUE(store.ok()) << store.status();
  for (std::uint64_t n = 1; n <= 19; ++n) EXPECT_TRUE((*store)->GetJob(JobId(n)).ok()) << n;
  EXPECT_TRUE(absl::IsNotFound((*store)->GetJob(JobId(20)).status()));
  EXPECT_TRUE((*store)->Commit(BatchOf(20, 100)).ok());
}

// A refused file may hold the only copy of somebody's jobs: not a byte of it or of its log changes.
TEST_F(SqliteFaultTest, RefusedFileAndItsLogAreLeftAlone) {
  std::string copy = directory_.path() + "/copy.db";
  Fill(500);
  {
    auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->Commit(BatchOf(1000, 100)).ok());
    std::filesystem::copy_file(path(), copy);
    std::filesystem::copy_file(path() + "-wal", copy + "-wal");
  }
  std::filesystem::rename(copy, path());
  std::filesystem::rename(copy + "-wal", path() + "-wal");
  Overwrite(static_cast<std::streamoff>(Size()) / 2, std::string(3 * 4096, '\x55'));
  auto read = [](const std::string& name) {
    std::ifstream file(name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  std::string file = read(path()), log = read(path() + "-wal");
  ExpectDamaged();
  EXPECT_TRUE(read(path()) == file);
  EXPECT_TRUE(read(path() + "-wal") == log);
}

TEST_F(SqliteFaultTest, NoDirectory) {
  absl::Status status = OpenSqliteStore(directory_.path() + "/missing/queen.db").status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("check that its directory exists"));
  status = OpenSqliteStore(directory_.path()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
}

TEST_F(SqliteFaultTest, FullDiskKeepsWhatWasStoredAndRecovers) {
  auto store = Open({.max_pages = 200});
  ASSERT_TRUE(store.ok()) << store.status();
  std::uint64_t stored = 0;
  absl::Status status;
  while (stored < 1000) {
    status = (*store)->Commit(BatchOf(stored + 1, 20'000));
    if (!status.ok()) break;
    ++stored;
  }
  ASSERT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("1 jobs"), HasSubstr("table"), HasSubstr(path()), HasSubstr("free space")));
  EXPECT_GT(stored, 10u);
  EXPECT_TRUE(absl::IsNotFound((*store)->GetJob(JobId(stored + 1)).status())) << "half a batch was stored";
  for (std::uint64_t n = 1; n <= stored; ++n) EXPECT_TRUE((*store)->GetJob(JobId(n)).ok());
  EXPECT_TRUE((*store)->Load().ok());
  // Smaller rows in place of larger ones still fit.
  EXPECT_TRUE((*store)->Commit(BatchOf(1, 10)).ok());
  store->reset();
  store = Open();
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE((*store)->Commit(BatchOf(stored + 1, 20'000)).ok());
  EXPECT_EQ(RawDatabase(path()).Ask("PRAGMA integrity_check"), "ok|");
}

TEST_F(SqliteFaultTest, FullDiskDoesNotKeepBadRowsFromBeingLeftOut) {
  Fill(300);
  RawDatabase(path()).Run("UPDATE jobs SET type=99");
  auto store = Open({.max_pages = 1});  // no page more than there are
  ASSERT_TRUE(store.ok()) << store.status();
  auto snapshot = (*store)->Load();
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_TRUE(snapshot->jobs.empty());
  EXPECT_EQ(snapshot->counters.job, 300u);
  EXPECT_EQ(RawDatabase(path()).Ask("SELECT count(*) FROM quarantine"), "0|");
}

// Lets no file of this process grow past `bytes`: writes beyond fail with EFBIG, as a broken disk's would
// with EIO.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(SqliteFaultTest, AfterADiskErrorNothingMoreIsWritten) {
  auto store = Open();
  ASSERT_TRUE(store.ok()) << store.status();
  std::uint64_t stored = 0;
  absl::Status status;
  {
    FileSizeLimit limit(512 * 1024);
    while (stored < 1000) {
      status = (*store)->Commit(BatchOf(stored + 1, 20'000));
      if (!status.ok()) break;
      ++stored;
    }
  }
  ASSERT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(path()), HasSubstr("kernel log")));
  EXPECT_EQ((*store)->Commit(BatchOf(5000, 10)), status) << "the disk works again, but is not to be believed";
  store->reset();
  store = Open();
  ASSERT_TRUE(store.ok()) << store.status();
  for (std::uint64_t n = 1; n <= stored; ++n) EXPECT_TRUE((*store)->GetJob(JobId(n)).ok()) << n;
  EXPECT_TRUE(absl::IsNotFound((*store)->GetJob(JobId(stored + 1)).status()));
  EXPECT_TRUE((*store)->Commit(BatchOf(stored + 1, 20'000)).ok());
  EXPECT_EQ(RawDatabase(path()).Ask("PRAGMA integrity_check"), "ok|");
}

}  // namespace
}  // namespace waggle::queen
