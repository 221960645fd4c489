// queen backup and restore: what was given in the missing time is not given again, deploys of it are not
// repeated, and what drones still hold of it is kept, listed, and ended by a person.
#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "tests/e2e/stored_fixture.h"

namespace waggle::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsSubsetOf;

class Restore : public StoredFixture {
 protected:
  Outcome QueenVerb(const std::string& verb, const std::string& directory) {
    return Start({Binary("queen"), verb, directory, "--data", QueenData()}).Finish(20s);
  }
  Json Deploy(const std::string& name, const std::string& then) {
    return {{"type", "DEPLOY"},
            {"name", name},
            {"deploy", {Step("echo " + name + " >> " + temp_ / "deployed" + "\n" + then)}}};
  }
  std::set<std::string> Forgotten(const std::string& drone) {
    std::set<std::string> epochs;
    for (const Json& listed : Drones()) {
      if (listed["name"] != drone || !listed.contains("forgotten")) continue;
      for (const Json& epoch : listed["forgotten"]) epochs.insert(epoch.dump());
    }
    return epochs;
  }
  // Who leads the jobs of the drone; what they start comes and goes.
  std::set<pid_t> Shims() {
    std::set<pid_t> shims;
    for (pid_t pid : JobProcesses("bee")) {
      if (ReadText("/proc/" + std::to_string(pid) + "/comm") == "waggle-shim\n") shims.insert(pid);
    }
    return shims;
  }
  std::string HighestEpoch() { return RawDatabase(Database()).Ask("SELECT max(epoch) FROM attempts"); }
};

// Snapshot, 20 jobs and 3 deploys, restore.
TEST_F(Restore, NothingOfTheMissingTimeIsRepeatedOrKilled) {
  StartQueen({"--lease", "3s"});
  StartDrone("bee", 4);
  WaitForState(Submit(TestJob({"true"})), "passed");
  Json waits = Deploy("waits", "true");
  waits["needs"] = {{"gpu", "yes"}};
  const std::uint64_t waiting = Submit(waits);
  const std::string backup = temp_ / "backup";
  const Outcome made = QueenVerb("backup", backup);
  ASSERT_EQ(made.code, 0) << made;

  StartDrone("gpu", 1, {"--label", "gpu=yes"});
  WaitForState(waiting, "passed");
  KillDrone("gpu");
  std::uint64_t last = 0;
  for (int n = 0; n < 20; ++n) last = Submit(TestJob({"seq 1 100"}));
  WaitForState(last, "passed");
  WaitForState(Submit(Deploy("short", "true")), "passed");
  const std::uint64_t test = Submit(TestJob({"echo begun\n" + AwaitFile(Gate("never"))}));
  const std::uint64_t deploy = Submit(Deploy("long", AwaitFile(Gate("never"))));
  ASSERT_TRUE(Eventually([&] { return Raw(test) == "begun\n" && StateOf(deploy) == "started"; }));
  ASSERT_TRUE(Eventually([&] { return ReadText(temp_ / "deployed") == "waits\nshort\nlong\n"; }));
  const std::set<pid_t> shims = Shims();
  ASSERT_EQ(shims.size(), 2u);
  KillQueen();
  std::string highest = HighestEpoch();
  highest.pop_back();  // the end of the cell

  const Outcome restored = QueenVerb("restore", backup);
  ASSERT_EQ(restored.code, 0) << restored;
  EXPECT_THAT(restored.out,
              AllOf(HasSubstr("restored 2 jobs, the newest of 20"), HasSubstr("queen.db.replaced")));
  StartQueen({"--lease", "3s"});
  const Json settled = WaitForState(waiting, "errored");
  EXPECT_EQ(settled["reason"], "unknown");
  EXPECT_THAT(std::string(settled["detail"]), HasSubstr("the queen was restored from a backup"));

  const std::uint64_t fresh = Submit(TestJob({"true"}));
  EXPECT_GT(fresh, deploy) << "numbers that people know are not given again";
  EXPECT_THAT(std::string(Show(fresh)["detail"]),
              HasSubstr("the queen was restored from a backup and listens to her drones"));
  ASSERT_TRUE(Eventually([&] { return Forgotten("bee").size() == 2; })) << Drones();
  EXPECT_THAT(Waggle({"drones"}).out, HasSubstr("(waggle forget)"));
  WaitForState(fresh, "passed");
  EXPECT_THAT(shims, IsSubsetOf(Shims())) << "kept as they were";

  const std::set<std::string> forgotten = Forgotten("bee");
  Words forget = {"forget", "bee"};
  forget.insert(forget.end(), forgotten.begin(), forgotten.end());
  const Outcome ended = Waggle(forget);
  EXPECT_EQ(ended.code, 0) << ended;
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
  EXPECT_TRUE(Forgotten("bee").empty());
  EXPECT_EQ(Waggle(forget).code, 3) << "there is nothing left to forget";
  EXPECT_EQ(ReadText(temp_ / "deployed"), "waits\nshort\nlong\n") << "none ran again";
  StopQueen();
  RawDatabase database(Database());
  EXPECT_EQ(database.Ask("SELECT count(*) FROM attempts WHERE epoch > 1 AND epoch <= " + highest), "0|")
      << "no epoch was given twice";
}

// The database that was there is damaged, as it would be.
TEST_F(Restore, ADamagedDatabaseIsReplaced) {
  StartQueen();
  StartDrone("bee");
  const std::uint64_t job = Submit(TestJob({"echo kept"}));
  WaitForState(job, "passed");
  ASSERT_EQ(QueenVerb("backup", temp_ / "backup").code, 0);
  KillQueen();
  WriteText(Database(), "no database");
  std::filesystem::remove(QueenData() + "/queen.db-wal");  // from it SQLite could mend the database
  const Outcome restored = QueenVerb("restore", temp_ / "backup");
  ASSERT_EQ(restored.code, 0) << restored;
  EXPECT_THAT(restored.out, HasSubstr("it could not be read"));
  EXPECT_EQ(ReadText(QueenData() + "/queen.db.replaced"), "no database");
  StartQueen();
  EXPECT_EQ(Raw(job), "kept\n");
}

TEST_F(Restore, OnANewHostTheDataDirectoryIsMade) {
  StartQueen();
  const std::uint64_t job = Submit(TestJob({"true"}));
  ASSERT_EQ(QueenVerb("backup", temp_ / "backup").code, 0);
  KillQueen();
  std::filesystem::remove_all(QueenData());
  const Outcome restored = QueenVerb("restore", temp_ / "backup");
  ASSERT_EQ(restored.code, 0) << restored;
  EXPECT_THAT(restored.out, testing::Not(HasSubstr("replaced")));
  StartQueen();
  EXPECT_EQ(StateOf(job), "queued");
}

TEST_F(Restore, MistakesAreNamedAndChangeNothing) {
  const std::string backup = temp_ / "backup";
  EXPECT_EQ(QueenVerb("backup", backup).code, 1) << "there is no database yet";
  EXPECT_FALSE(Exists(backup));
  StartQueen();
  ASSERT_EQ(QueenVerb("backup", backup).code, 0);
  const Outcome again = QueenVerb("backup", backup);
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, AllOf(HasSubstr("is there already"), HasSubstr("next: ")));
  const Outcome running = QueenVerb("restore", backup);
  EXPECT_EQ(running.code, 1);
  EXPECT_THAT(running.err, HasSubstr("next: "));
  StopQueen();
  const std::string before = ReadText(Database());
  const Outcome nowhere = QueenVerb("restore", temp_ / "nowhere");
  EXPECT_EQ(nowhere.code, 1);
  EXPECT_THAT(nowhere.err, HasSubstr("name a directory that `queen backup` made"));
  WriteText(backup + "/queen.db", std::string(5000, 'x'));
  const Outcome damaged = QueenVerb("restore", backup);
  EXPECT_EQ(damaged.code, 1);
  EXPECT_EQ(ReadText(Database()), before);
  EXPECT_FALSE(Exists(QueenData() + "/queen.db.replaced"));
}

}  // namespace
}  // namespace waggle::test
