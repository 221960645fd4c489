// Logs that are older than they are kept: gone, and everybody is told when and why.
#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "tests/e2e/stored_fixture.h"

namespace waggle::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RetentionOfLogs : public StoredFixture {
 protected:
  static std::uint64_t EpochOf(const Json& facts) { return facts["attempts"][0]["epoch"]; }
  void Age(std::uint64_t job, int days) {
    RawDatabase(Database())
        .Run(absl::StrCat("UPDATE attempts SET log_ended=log_ended-86400000*", days, " WHERE job=", job));
  }
  void ExpectRemoved(std::uint64_t job) {
    const std::string id = absl::StrCat(job);
    for (const Words& words : {Words{"logs", id}, Words{"logs", "--raw", id + "@1"},
                               Words{"logs", "-n", "3", id}, Words{"logs", id, "--lines", "2-3"},
                               Words{"logs", "-f", id}, Words{"verify", id}, Words{"watch", id}}) {
      const Outcome outcome = Waggle(words);
      EXPECT_EQ(outcome.code, words[0] == "watch" ? 125 : 3) << outcome;
      EXPECT_EQ(outcome.out, "");
      EXPECT_THAT(outcome.err, AllOf(HasSubstr("the log of job " + id + " attempt 1 was removed on 2"),
                                     HasSubstr("retention.logs"), HasSubstr("next: waggle show " + id),
                                     Not(HasSubstr("internal")), Not(HasSubstr("damaged"))));
    }
  }
};

TEST_F(RetentionOfLogs, OldOnesGoAndEverybodyIsTold) {
  StartQueen();
  StartDrone("bee", 2);
  const std::uint64_t old = Submit(TestJob({"seq 1 3000000"}));  // three segments
  const std::uint64_t young = Submit(TestJob({"echo young"}));
  const std::uint64_t runs = Submit(TestJob({"echo begun\n" + AwaitFile(Gate("go")) + "echo ended\n"}));
  const std::uint64_t old_epoch = EpochOf(WaitForState(old, "passed"));
  WaitForState(young, "passed");
  ASSERT_TRUE(Eventually([&] { return Raw(runs) == "begun\n"; }));
  ASSERT_TRUE(Exists(Segment(old_epoch, 2)));
  KillQueen();
  Age(old, 91);
  Age(young, 89);
  Age(runs, 1000);  // whatever it says of one that runs
  StartQueen();
  EXPECT_TRUE(Eventually([&] { return !Exists(Segment(old_epoch, 0)) && !Exists(Segment(old_epoch, 2)); }));
  ExpectRemoved(old);
  EXPECT_EQ(Show(old)["state"], "passed");
  EXPECT_THAT(Waggle({"show", absl::StrCat(old)}).out, HasSubstr(", log removed 20"));
  EXPECT_EQ(Waggle({"show", absl::StrCat(young)}).out.find("removed"), std::string::npos);
  EXPECT_EQ(Raw(young), "young\n");
  EXPECT_EQ(Raw(runs), "begun\n");
  Open("go");
  WaitForState(runs, "passed");
  EXPECT_EQ(Raw(runs), "begun\nended\n");
  ExpectVerified(runs);
  EXPECT_TRUE(Eventually([&] {
    return Queen().Err().find(
               "removed the logs of 1 attempts that ended more than 90d ago (retention.logs)") !=
           std::string::npos;
  }));
  KillDrone("bee");
  StopQueen();
  const Outcome check = Start({Binary("queen"), "check", "--data", QueenData()}).Finish(20s);
  EXPECT_EQ(check.code, 0) << check;
  EXPECT_THAT(check.out, HasSubstr("✓ logs: 2 complete, 0 open, 0 damaged, 1 removed (retention.logs)\n"));
}

// Three seconds are no limit anybody would set: everything goes under the eyes of whoever reads it.
TEST_F(RetentionOfLogs, AShortLimitWhileJobsRunAndAreWatched) {
  StartQueen({"--retention-logs", "3s"});
  StartDrone("bee", 2);
  const std::uint64_t slow = Submit(TestJob({"seq 1 1000\n" + AwaitFile(Gate("go")) + "seq 1001 2000\n"}));
  ASSERT_TRUE(Eventually([&] { return Lines(Raw(slow)).size() == 1000; }));
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t quick = Submit(TestJob({"echo quick"}));
    const std::uint64_t epoch = EpochOf(WaitForState(quick, "passed"));
    EXPECT_TRUE(Eventually([&] { return !Exists(Segment(epoch)); }));
    ExpectRemoved(quick);
  }
  EXPECT_EQ(Lines(Raw(slow)).size(), 1000u) << "it ran all the while";
  Child watcher = StartWaggle({"watch", absl::StrCat(slow)});
  EXPECT_TRUE(Eventually([&] { return watcher.Out().find("\n1000\n") != std::string::npos; }));
  Open("go");
  const Outcome watched = watcher.Finish(20s);
  EXPECT_EQ(watched.code, 0) << watched.err;
  EXPECT_THAT(watched.out, HasSubstr("\n2000\n"));
  EXPECT_TRUE(Queen().Running());
}

TEST_F(RetentionOfLogs, ForeverIsForever) {
  StartQueen();
  StartDrone("bee");
  const std::uint64_t old = Submit(TestJob({"echo old"}));
  WaitForState(old, "passed");
  KillQueen();
  Age(old, 9000);
  StartQueen({"--retention-logs", "forever"});
  EXPECT_EQ(Raw(old), "old\n");
  ExpectVerified(old);
}

}  // namespace
}  // namespace waggle::test
