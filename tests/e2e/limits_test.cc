// Limits of time and size: the job ends, with the reason, and its watcher leaves with 121.
#include <gmock/gmock.h>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

class Limits : public HiveFixture {
 protected:
  void SetUp() override {
    StartQueen();
    StartDrone("bee");
  }

  Outcome Run(Json document, const Json& limits) {
    document["limits"] = limits;
    return Waggle({"submit", "--watch", "--job", WriteJob(document)});
  }

  void ExpectErrored(std::uint64_t job, const std::string& reason) {
    const Json facts = Show(job);
    EXPECT_EQ(facts["state"], "errored");
    EXPECT_EQ(facts["reason"], reason);
    EXPECT_NE(facts["detail"], "");
    EXPECT_EQ(facts["attempts"].size(), 1u) << "a limit is no reason to try again";
    EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
    ExpectVerified(job);
  }
};

TEST_F(Limits, TimeIsOver) {
  Json document = TestJob({"echo begun; sleep 60", "echo never"});
  document["cleanup"] = {Step("echo cleaned up")};
  const Outcome outcome = Run(document, {{"wall_ms", 700}});
  EXPECT_EQ(outcome.code, 121) << outcome;
  EXPECT_EQ(outcome.out, "begun\ncleaned up\n");
  EXPECT_THAT(outcome.err, HasSubstr("# the job ran longer than its limit of 700 ms and was ended\n"));
  EXPECT_THAT(Lines(outcome.err).back(), HasSubstr("errored (timeout): the job ran longer"));
  ExpectErrored(1, "timeout");
}

TEST_F(Limits, TimeOfThePipelineFile) {
  GitRepo repo = MakeRepo("p");
  repo.Write(".waggle.yml", "jobs:\n  slow:\n    timeout: 1s\n    test: sleep 60\n");
  repo.Commit("Be slow");
  EXPECT_EQ(Waggle({"submit", "--watch"}, repo.path()).code, 121);
  ExpectErrored(1, "timeout");
}

TEST_F(Limits, SilenceIsMeasuredFromTheLastByte) {
  // Longer than the silence limit in all, but never silent for so long until the end.
  const Outcome outcome = Run(TestJob({"for i in 1 2 3 4 5; do printf .; sleep 0.3; done; echo; sleep 60"}),
                              {{"silence_ms", 1000}});
  EXPECT_EQ(outcome.code, 121) << outcome;
  EXPECT_EQ(outcome.out, ".....\n");
  EXPECT_THAT(outcome.err, HasSubstr("no output for 1 s"));
  ExpectErrored(1, "silence");
}

TEST_F(Limits, LogOfExactlyTheLimitPassesAndOneByteMoreDoesNot) {
  const std::string print = "head -c 50000 /dev/zero; head -c 50000 /dev/zero >&2";
  EXPECT_EQ(Run(TestJob({print}), {{"log_bytes", 100'000}}).code, 0);
  const Outcome outcome = Run(TestJob({print + "; printf x; sleep 60"}), {{"log_bytes", 100'000}});
  EXPECT_EQ(outcome.code, 121);
  EXPECT_EQ(outcome.out.size(), 100'000u);
  EXPECT_THAT(outcome.err, HasSubstr("# the log reached its limit of 100000 bytes; the job was ended\n"));
  ExpectErrored(2, "log_limit");
}

TEST_F(Limits, EndlessOutputIsEnded) {
  const Outcome outcome = Run(TestJob({"yes"}), {{"log_bytes", 1'000'000}});
  EXPECT_EQ(outcome.code, 121);
  EXPECT_EQ(Raw(1).size(), 1'000'000u);
  ExpectErrored(1, "log_limit");
}

TEST_F(Limits, CleanupHasALimitOfItsOwn) {
  Json document = TestJob({"echo tested"});
  document["cleanup"] = {Step("echo cleaning; sleep 60")};
  const Outcome outcome = Run(document, {{"cleanup_ms", 500}});
  EXPECT_EQ(outcome.out, "tested\ncleaning\n");
  EXPECT_THAT(outcome.err, HasSubstr("# cleanup ran longer than its limit of 500 ms and was ended\n"));
  EXPECT_EQ(outcome.code, 0) << outcome;  // what was tested stays tested
  EXPECT_EQ(StateOf(1), "passed");
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
}

}  // namespace
}  // namespace waggle::test
