// queen check: everything that is wrong with a data directory is named, nothing is changed.
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/e2e/stored_fixture.h"

namespace waggle::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Check : public StoredFixture {
 protected:
  Outcome CheckAt(const std::string& data) {
    return Start({Binary("queen"), "check", "--data", data}).Finish(20s);
  }
};

TEST_F(Check, WhatIsWholeIsWhole) {
  StartQueen();
  StartDrone("bee");
  WaitForState(Submit(TestJob({"seq 1 100000"})), "passed");
  WaitForState(Submit(TestJob({"exit 3"})), "failed");
  const std::uint64_t open = Submit(TestJob({"echo begun\n" + AwaitFile(Gate("never"))}));
  EXPECT_TRUE(Eventually([&] { return Raw(open) == "begun\n"; }));
  const Outcome running = CheckAt(QueenData());
  EXPECT_EQ(running.code, 0) << running;
  EXPECT_THAT(running.out,
              AllOf(HasSubstr("✓ disk: "), HasSubstr("– a queen runs"), Not(HasSubstr("authority"))));
  KillQueen();
  const Outcome stopped = CheckAt(QueenData());
  EXPECT_EQ(stopped.code, 0) << stopped;
  EXPECT_THAT(stopped.out, AllOf(HasSubstr("✓ database: 3 jobs, 3 attempts, 1 drones; 0 rows cannot be read"),
                                 HasSubstr("✓ logs: 2 complete, 1 open, 0 damaged"), Not(HasSubstr("✗"))));
}

TEST_F(Check, EachDamageIsNamedAndNothingIsChanged) {
  StartQueen();
  StartDrone("bee");
  for (int i = 1; i <= 3; ++i) WaitForState(Submit(TestJob({"seq 1 1000"})), "passed");
  KillDrone("bee");
  StopQueen();
  std::string flipped = ReadText(Segment(1));
  flipped[flipped.size() / 2] ^= 1;
  WriteText(Segment(1), flipped);
  fs::remove(Segment(2));
  WriteText(Segment(99), "");
  RawDatabase(Database()).Run("UPDATE jobs SET type=77 WHERE id=2");
  const std::string database = ReadText(Database());
  const Outcome outcome = CheckAt(QueenData());
  EXPECT_EQ(outcome.code, 1) << outcome;
  EXPECT_THAT(
      outcome.out,
      AllOf(HasSubstr("✗ row 2 of table jobs cannot be read: column type has the unknown value 77"),
            HasSubstr("✗ database: 2 jobs, 3 attempts, 1 drones; 1 rows cannot be read"),
            HasSubstr("✗ log of job 1 attempt 1: 1.000 at byte "), HasSubstr("✗ log of job 2 attempt 1: "),
            HasSubstr("✗ logs: 1 complete, 0 open, 2 damaged; 1 files are of no attempt")));
  EXPECT_TRUE(ReadText(Database()) == database);
  EXPECT_EQ(ReadText(Segment(1)), flipped);
}

TEST_F(Check, RowsThatWereSetAsideAreListed) {
  StartQueen();
  Submit(TestJob({"true"}));
  Submit(TestJob({"true"}));
  KillQueen();
  RawDatabase(Database()).Run("UPDATE jobs SET type=77 WHERE id=2");
  StartQueen();
  StopQueen();
  const Outcome outcome = CheckAt(QueenData());
  EXPECT_EQ(outcome.code, 1) << outcome;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("✗ row 2 of table jobs was set aside 2"),
                                 HasSubstr("UTC: column type has the unknown value 77")));
}

TEST_F(Check, WhatIsNoDataDirectory) {
  const Outcome absent = CheckAt(temp_ / "none");
  EXPECT_EQ(absent.code, 1) << absent;
  EXPECT_THAT(absent.err, AllOf(HasSubstr("there is no data directory "), HasSubstr("next: ")));
  EXPECT_FALSE(Exists(temp_ / "none"));
  fs::create_directories(QueenData());
  WriteText(Database(), "not a database, but long enough to be looked at, one would think");
  const Outcome foreign = CheckAt(QueenData());
  EXPECT_EQ(foreign.code, 1) << foreign;
  EXPECT_THAT(foreign.out, HasSubstr("✗ "));
}

}  // namespace
}  // namespace waggle::test
