// Data directories, databases and logs that are not as they should be: each is said precisely, nothing is
// made worse, and the rest of the hive goes on.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/failpoint.h"
#include "tests/e2e/stored_fixture.h"

namespace waggle::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class BrokenStorage : public StoredFixture {
 protected:
  void TearDown() override {
    StoredFixture::TearDown();
    for (const std::string& path : mounts_) ::umount2(path.c_str(), MNT_DETACH);
  }
  void Mount(const std::string& path, const char* source, const char* type, unsigned long flags,
             const char* options) {
    fs::create_directories(path);
    ASSERT_EQ(::mount(source, path.c_str(), type, flags, options), 0)
        << std::strerror(errno) << "; this test has to run as root with CAP_SYS_ADMIN";
    mounts_.push_back(path);
  }
  Outcome QueenAt(const std::string& data, bool nobody = false) {
    return Start({Install("queen"), "serve", "--data", data}, "/", nobody).Finish(20s);
  }
  Outcome DroneAt(const std::string& data, bool nobody = false) {
    Install("waggle-shim"), Install("waggle-git");
    return Start({Install("drone"), "serve", "--queen", QueenData(), "--data", data, "--name", "bee"}, "/",
                 nobody)
        .Finish(20s);
  }
  // Where an unprivileged user may execute it too.
  std::string Install(const std::string& program) {
    ::chmod(temp_.path().c_str(), 0755);
    fs::create_directories(temp_ / "bin");
    fs::copy_file(Binary(program), temp_ / "bin/" + program, fs::copy_options::skip_existing);
    return temp_ / "bin/" + program;
  }
  void ExpectBothRefuse(const std::string& data, const std::string& why, bool nobody = false) {
    for (const Outcome& outcome : {QueenAt(data, nobody), DroneAt(data, nobody)}) {
      EXPECT_TRUE(outcome.code == 1 || outcome.code == 78) << outcome;
      EXPECT_THAT(outcome.err, AllOf(HasSubstr("error: "), HasSubstr(data), HasSubstr(why)));
      EXPECT_LE(Lines(outcome.err).size(), 6u) << outcome;
    }
  }

 private:
  std::vector<std::string> mounts_;
};

TEST_F(BrokenStorage, DirectoriesNobodyCanUse) {
  const std::string read_only = temp_ / "ro", foreign = temp_ / "foreign";
  Mount(read_only, "tmpfs", "tmpfs", MS_RDONLY, "size=1m");
  ExpectBothRefuse(read_only, "Read-only file system");
  ExpectBothRefuse(read_only + "/data", "Read-only file system");
  fs::create_directories(foreign);
  ::chmod(foreign.c_str(), 0700);  // of somebody else
  ExpectBothRefuse(foreign, "Permission denied", /*nobody=*/true);
  ::chmod(foreign.c_str(), 0755);
  ExpectBothRefuse(foreign, "Permission denied", /*nobody=*/true);
  EXPECT_TRUE(fs::is_empty(foreign));
  WriteText(temp_ / "file", "precious");
  ExpectBothRefuse(temp_ / "file", "not a directory");
  EXPECT_EQ(ReadText(temp_ / "file"), "precious");
}

TEST_F(BrokenStorage, DatabasesThatAreNotOurs) {
  StartQueen();
  StartDrone("bee");
  const std::uint64_t job = Submit(TestJob({"echo kept"}));
  WaitForState(job, "passed");
  KillDrone("bee");
  StopQueen();
  fs::remove(Database() + "-wal"), fs::remove(Database() + "-shm");
  const std::string good = ReadText(Database());
  std::string flipped = good;
  for (std::size_t at = 4096; at < 4096 + 64; ++at) flipped[at] ^= 0x55;  // the header of a page
  std::string foreign;
  {
    RawDatabase other(temp_ / "other.db");
    other.Run("CREATE TABLE recipes(name TEXT); PRAGMA user_version=3");
  }
  std::string newer;
  {
    WriteText(temp_ / "newer.db", good);
    RawDatabase(temp_ / "newer.db").Run("PRAGMA user_version=99");
    newer = ReadText(temp_ / "newer.db");
  }
  const std::vector<std::pair<std::string, std::string>> broken = {
      {newer, "schema version 99 and this queen knows versions up to"},
      {ReadText(temp_ / "other.db"), "a database of another program"},
      {"#!/bin/sh\necho not a database, but long enough to be looked at\n" + std::string(4096, 'x'),
       "file is not a database"},
      {good.substr(0, good.size() / 2), "damaged"},
      {good.substr(0, 4096 + 100), "damaged"},
      {flipped, "damaged"},
  };
  for (const auto& [bytes, why] : broken) {
    WriteText(Database(), bytes);
    const Outcome outcome = QueenAt(QueenData());
    EXPECT_EQ(outcome.code, 1) << why << outcome;
    EXPECT_THAT(outcome.err, AllOf(StartsWith("error: "), HasSubstr(Database()), HasSubstr(why)));
    EXPECT_TRUE(ReadText(Database()) == bytes) << why << ": the file was changed";
    fs::remove(Database() + "-wal"), fs::remove(Database() + "-shm");
  }
  WriteText(Database(), good);
  StartQueen();
  EXPECT_EQ(Raw(job), "kept\n");
  StopQueen();
  WriteText(Database(), "");  // nothing is a new database
  StartQueen();
  EXPECT_TRUE(Jobs().empty());
}

TEST_F(BrokenStorage, OneBadRowIsSetAside) {
  StartQueen();
  for (int i = 0; i < 4; ++i) Submit(TestJob({"true"}));
  KillQueen();
  RawDatabase(Database())
      .Run(
          "UPDATE jobs SET type=77 WHERE id=2; UPDATE jobs SET name=CAST(x'ff1b5b' AS TEXT) WHERE id=3;"
          "UPDATE documents SET bytes=x'ffff' WHERE job=4");
  StartQueen();
  EXPECT_THAT(Queen().Err(),
              HasSubstr("row 2 of table jobs cannot be read and is set aside in table quarantine: "
                        "column type has the unknown value 77"));
  const Outcome show = Waggle({"show", "2"});
  EXPECT_EQ(show.code, 1) << show;
  EXPECT_THAT(show.err, AllOf(HasSubstr("job 2 could not be read"), HasSubstr("unknown value 77"),
                              HasSubstr("next: ")));
  EXPECT_EQ(Waggle({"cancel", "2"}).code, 1);
  StartDrone("bee");
  WaitForState(1, "passed");
  WaitForState(3, "passed");
  const Json bad = WaitForState(4, "errored");
  EXPECT_THAT(std::string(bad["detail"]), HasSubstr("JobDocument"));
  EXPECT_EQ(Jobs().size(), 3u);
  WaitForState(Submit(TestJob({"true"})), "passed");
  EXPECT_EQ(Jobs().back()["id"], 5) << "a number is never used twice";
}

// As if its decoder crashed: the fourth start leaves it out.
TEST_F(BrokenStorage, ARowTheQueenDiesOfThreeTimesIsSetAside) {
  StartQueen();
  for (int i = 0; i < 3; ++i) Submit(TestJob({"true"}));
  KillQueen();
  env_[failpoint::kVariable] = "queen.recovery.row:4:kill";  // the counters come first: job 3
  for (int death = 1; death <= 3; ++death) EXPECT_EQ(QueenAt(QueenData()).code, 128 + SIGKILL) << death;
  EXPECT_TRUE(ReadText(QueenData() + "/breadcrumb").starts_with("jobs 3 2 "));
  StartQueen();
  env_.erase(failpoint::kVariable);
  EXPECT_FALSE(Exists(QueenData() + "/breadcrumb"));
  EXPECT_THAT(Queen().Err(), AllOf(HasSubstr("the queen died 3 times at row 3 of table jobs"),
                                   HasSubstr("row 3 of table jobs cannot be read and is set aside in table "
                                             "quarantine: the queen died 3 times while she read it")));
  const Outcome show = Waggle({"show", "3"});
  EXPECT_EQ(show.code, 1) << show;
  EXPECT_THAT(show.err, HasSubstr("the queen died 3 times while she read it"));
  StartDrone("bee");
  WaitForState(1, "passed");
  WaitForState(2, "passed");
  EXPECT_EQ(Submit(TestJob({"true"})), 4u) << "a number is never used twice";
  WaitForState(4, "passed");
  KillDrone("bee");
  StopQueen();
  const Outcome check = Start({Binary("queen"), "check", "--data", QueenData()}).Finish(20s);
  EXPECT_EQ(check.code, 1) << check;
  EXPECT_THAT(check.out, AllOf(HasSubstr("✗ row 3 of table jobs was set aside 2"),
                               HasSubstr("the queen died 3 times while she read it")));
}

// Whatever two hundred random changes of cells make of them, and fifty by hand: she starts, lists each row
// she set aside, and runs the others.
TEST_F(BrokenStorage, TwoHundredAndFiftyBadRows) {
  constexpr int kJobs = 1000;
  StartQueen();
  const std::uint64_t first = Submit(TestJob({"true"}));
  KillQueen();
  std::set<std::int64_t> damaged;
  {
    RawDatabase raw(Database());
    raw.Run(absl::StrCat("CREATE TEMP TABLE one AS SELECT * FROM jobs WHERE id=", first,
                         "; CREATE TEMP TABLE paper AS SELECT * FROM documents WHERE job=", first,
                         "; WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i+1 FROM n WHERE i<", kJobs,
                         ") INSERT INTO documents SELECT i, bytes FROM n, paper"));
    raw.Run("BEGIN");
    for (int id = 2; id <= kJobs; ++id) {
      raw.Run(absl::StrCat("UPDATE one SET id=", id, "; INSERT INTO jobs SELECT * FROM one"));
    }
    raw.Run("COMMIT");
    // Any type in any column, as only damage makes it.
    raw.Run(
        "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql=replace(replace(sql,'STRICT',''),'NOT "
        "NULL','') "
        "WHERE name='jobs'; PRAGMA writable_schema=RESET");
  }
  RawDatabase raw(Database());
  std::mt19937 random(20);
  const Words columns = {"run",      "name",      "type",       "state",      "reason",    "detail",
                         "priority", "needs",     "plugins",    "repo",       "attempt",   "attempts",
                         "created",  "test_code", "cancel_now", "local_only", "late_state"};
  const Words values = {"NULL",   "-1",      "99",        "1<<40", "-(1<<62)",         "1.5",
                        "'text'", "x'00ff'", "'{\"a\":'", "'[]'",  "zeroblob(1000000)"};
  while (damaged.size() < 200) {
    const int id = 2 + static_cast<int>(random() % (kJobs - 100));
    if (!damaged.insert(id).second) continue;
    raw.Run(absl::StrCat("UPDATE jobs SET ", columns[random() % columns.size()], "=",
                         values[random() % values.size()], " WHERE id=", id));
  }
  for (int i = 0; i < 50; ++i) {  // by hand: nothing of these can be read
    const int id = kJobs - i;
    const Words bad = {"needs=printf('%.*c', 1000000, '[')",
                       "needs='{\"a\":{\"b\":1}}'",
                       "type='DEPLOY'",
                       "state=0",  // of an old schema
                       "plugins='{\"x\":1}'",
                       "name=NULL",
                       "priority=9223372036854775807",
                       "cancel_now=2",
                       "late_state=77",
                       "created='yesterday'"};
    raw.Run(absl::StrCat("UPDATE jobs SET ", bad[i % bad.size()], " WHERE id=", id));
  }
  const auto begun = std::chrono::steady_clock::now();
  StartQueen();
  const auto took = std::chrono::steady_clock::now() - begun;
  EXPECT_LE(took, 10s);
  RecordProperty("start_ms", static_cast<int>(took / 1ms));
  // Each row is in one place: as it was, or set aside and named.
  EXPECT_EQ(
      raw.Ask(absl::StrCat("SELECT (SELECT count(*) FROM jobs) + (SELECT count(*) FROM quarantine), (SELECT "
                           "count(DISTINCT row_key) = count(*) FROM quarantine)")),
      absl::StrCat(kJobs, "|1|"));
  EXPECT_EQ(raw.Ask(absl::StrCat("SELECT count(*) FROM quarantine WHERE row_key > ", kJobs - 50)), "50|");
  StartDrone("bee", 4);
  WaitForState(first, "passed");
  WaitForState(Submit(TestJob({"true"})), "passed", 120s);
  KillDrone("bee");
  StopQueen();
  const Outcome check = Start({Binary("queen"), "check", "--data", QueenData()}).Finish(20s);
  std::size_t listed = 0, aside = 0;
  for (const std::string& line : Lines(check.out)) {
    listed += line.starts_with("✗ row ") ? 1 : 0;
    aside += line.find(" was set aside ") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(absl::StrCat(aside, "|"), raw.Ask("SELECT count(*) FROM quarantine")) << check;
  // No start reads jobs that have ended; what cannot be read of them is listed where it stands.
  EXPECT_THAT(check.out,
              HasSubstr(absl::StrCat("database: ", kJobs + 1 - static_cast<int>(listed), " jobs, ")));
  EXPECT_GE(listed, 150u);
}

TEST_F(BrokenStorage, LogsThatAreNotWhatTheyWere) {
  StartQueen();
  StartDrone("bee");
  const std::uint64_t job = Submit(TestJob({"seq 1 3000000"}));  // three segments
  const std::uint64_t other = Submit(TestJob({"seq 1 100"}));
  const std::uint64_t epoch = WaitForState(job, "passed")["attempts"][0]["epoch"];
  const std::uint64_t second = WaitForState(other, "passed")["attempts"][0]["epoch"];
  ASSERT_TRUE(Exists(Segment(epoch, 2)));
  const std::string first = ReadText(Segment(epoch, 0)), middle = ReadText(Segment(epoch, 1)),
                    small = ReadText(Segment(second, 0)), whole = Raw(job);
  auto expect_damaged = [&](std::uint64_t which, const std::string& why, bool shown) {
    const std::string id = absl::StrCat(which);
    const Outcome verify = Waggle({"verify", id});
    EXPECT_EQ(verify.code, 1) << why << verify;
    EXPECT_THAT(verify.out, AllOf(HasSubstr(id + "@1 DAMAGED: "), HasSubstr(why)));
    if (!shown) return;
    const Outcome logs = Waggle({"logs", "--raw", id});
    EXPECT_EQ(logs.code, 1) << why << logs.code << logs.err;
    EXPECT_THAT(logs.err, AllOf(HasSubstr("error: "), HasSubstr("waggle verify " + id)));
    EXPECT_TRUE(whole.starts_with(logs.out)) << "what is shown is right";
    EXPECT_EQ(Waggle({"watch", id}).code, 125) << why;
  };
  auto with = [&](std::uint64_t of, int number, const std::string& bytes, const std::string& why,
                  bool shown = true) {
    const std::string path = Segment(of, number), before = ReadText(path);
    WriteText(path, bytes);
    expect_damaged(of == epoch ? job : other, why, shown);
    WriteText(path, before);
  };
  for (std::size_t size = 0; size < small.size(); size += small.size() / 23) {
    with(second, 0, small.substr(0, size), "", size == 0);
  }
  for (std::size_t at = 0; at < small.size(); at += small.size() / 23) {
    std::string bytes = small;
    bytes[at] ^= 0x10;
    with(second, 0, bytes, absl::StrCat(second, ".000 at byte "),
         /*shown=*/at > 64);  // readers need no header
  }
  with(epoch, 1, middle.substr(0, middle.size() / 2), absl::StrCat(epoch, ".001 at byte "));
  with(epoch, 0, small, absl::StrCat("epoch ", second));
  with(epoch, 1, first, absl::StrCat(epoch, ".001"));
  fs::rename(Segment(epoch, 1), temp_ / "middle");
  expect_damaged(job, absl::StrCat(epoch, ".001 is missing"), true);
  fs::rename(temp_ / "middle", Segment(epoch, 1));
  // The index is a cache: damaged, foreign or missing it changes nothing.
  const std::string index = absl::StrCat(QueenData(), "/logs/0/", epoch, ".idx");
  ASSERT_TRUE(Exists(index));
  std::string bytes = ReadText(index);
  for (std::size_t at = 0; at < bytes.size(); at += 7) bytes[at] ^= 1;
  for (const std::string& damaged : {bytes, std::string("garbage"), ReadText(index).substr(0, 100)}) {
    WriteText(index, damaged);
    ExpectVerified(job);
    EXPECT_EQ(Waggle({"logs", absl::StrCat(job), "--lines", "2999999-3000000"}).out, "2999999\n3000000\n");
  }
  EXPECT_TRUE(Raw(job) == whole);
  EXPECT_TRUE(Queen().Running());
}

}  // namespace
}  // namespace waggle::test
