#include "drone/attempt/start_frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "drone/attempt/budget.h"
#include "tests/support/temp_dir.h"

namespace waggle::attempt {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

class StartFrameTest : public testing::Test {
 protected:
  StartFrameTest() {
    host_.identity = "00112233445566778899aabbccddeeff";
    host_.drone = "bee-1";
    host_.version = "0.1.0";
    host_.helper = "/opt/waggle-git";
    host_.mirrors = "/data/mirrors";
    facts_.epoch = Epoch(7);
    facts_.job = JobId(12);
    facts_.work_directory = "/data/work/12-1";
    spec_.name = "unit";
  }
  shim::Start Make() { return MakeStart(spec_, facts_, host_, plan_, "/data/attempts/7"); }

  pipeline::JobSpec spec_;
  Facts facts_;
  Host host_;
  sandbox::Plan plan_;
};

TEST_F(StartFrameTest, NothingOfTheDaemonsEnvironmentGetsIn) {
  ::setenv("AWS_SECRET_ACCESS_KEY", "daemon", 1);
  const shim::Start start = Make();
  EXPECT_THAT(start.env, Not(Contains(Pair("AWS_SECRET_ACCESS_KEY", testing::_))));
  ::unsetenv("AWS_SECRET_ACCESS_KEY");
  EXPECT_EQ(start.env.at("CI"), "true");
  EXPECT_EQ(start.env.at("WAGGLE"), "true");
  EXPECT_EQ(start.env.at("WAGGLE_JOB"), "12");
  EXPECT_EQ(start.env.at("WAGGLE_ATTEMPT"), "1");
  EXPECT_EQ(start.env.at("WAGGLE_ATTEMPT_KEY"), "00112233445566778899aabbccddeeff-7");
  EXPECT_EQ(start.env.at("HOME"), "/data/attempts/7/home");
  EXPECT_EQ(start.env.at("TMPDIR"), "/data/attempts/7/tmp");
  EXPECT_EQ(start.env.at("CI_WORKSPACE"), "/data/work/12-1/src");
  EXPECT_EQ(start.job_directory, "/data/work/12-1/src");
  EXPECT_THAT(start.env.at("PATH"), HasSubstr("/usr/bin"));
  EXPECT_EQ(start.env.count("CI_REPO_URL"), 0u);
}

TEST_F(StartFrameTest, TheOwnerWinsOverUsAndTheJobOverTheOwnerButNobodyOverTheMark) {
  host_.env = {{"TZ", "Asia/Tokyo"}, {"A", "owner"}};
  spec_.env = {{"A", "job"}, {"WAGGLE_ATTEMPT_KEY", "mine"}};
  pipeline::Command command;
  command.command = "true";
  command.env = {{"WAGGLE_ATTEMPT_KEY", "mine"}, {"B", "step"}};
  spec_.phases[2].push_back(command);
  const shim::Start start = Make();
  EXPECT_EQ(start.env.at("TZ"), "Asia/Tokyo");
  EXPECT_EQ(start.env.at("A"), "job");
  EXPECT_EQ(start.env.at("WAGGLE_ATTEMPT_KEY"), AttemptKey(host_.identity, Epoch(7)));
  EXPECT_THAT(start.phases[2][0].env, ElementsAre(Pair("B", "step")));
}

TEST_F(StartFrameTest, CredentialsGoToStandardInputOnly) {
  spec_.repo.url = "https://git.example/team/shop.git";
  spec_.repo.auth = pipeline::HttpsAuth{"ada", "s3cr3t-pass"};
  spec_.ref.branch = "main";
  spec_.ref.id = std::string(40, 'a');
  const shim::Start start = Make();
  EXPECT_THAT(start.checkout.argv,
              ElementsAre("/opt/waggle-git", "checkout", "--mirrors", "/data/mirrors", "--url",
                          "https://git.example/team/shop.git", "--branch", "main", "--id",
                          std::string(40, 'a'), "--target", "/data/work/12-1/src", "--credentials"));
  EXPECT_EQ(start.checkout.input, "username ada\npassword s3cr3t-pass\n");
  EXPECT_THAT(start.checkout.comment, Not(HasSubstr("s3cr3t")));
  for (const auto& [name, value] : start.env) EXPECT_THAT(value, Not(HasSubstr("s3cr3t"))) << name;
  EXPECT_EQ(start.env.at("CI_REPO_NAME"), "shop");
  EXPECT_EQ(start.env.at("CI_REPO_OWNER"), "team");
  EXPECT_EQ(start.env.at("CI_COMMIT_SHA"), std::string(40, 'a'));
}

TEST_F(StartFrameTest, CredentialsInsideTheAddressLeaveIt) {
  spec_.repo.url = "https://ada:s3cr3t-pass@git.example/team/shop";
  const shim::Start start = Make();
  EXPECT_EQ(start.checkout.input, "username ada\npassword s3cr3t-pass\n");
  for (const std::string& word : start.checkout.argv) EXPECT_THAT(word, Not(HasSubstr("s3cr3t")));
  for (const auto& [name, value] : start.env) EXPECT_THAT(value, Not(HasSubstr("s3cr3t"))) << name;
}

TEST_F(StartFrameTest, SshKeysAreCountedBytes) {
  spec_.repo.url = "git@git.example:team/shop.git";
  spec_.repo.auth = pipeline::SshAuth{"KEY\nLINES\n"};
  const shim::Start start = Make();
  EXPECT_EQ(start.checkout.input, "sshkey 10\nKEY\nLINES\n");
  EXPECT_EQ(start.env.at("CI_REPO_OWNER"), "team");
  EXPECT_EQ(start.env.at("CI_REPO_NAME"), "shop");
}

TEST_F(StartFrameTest, ALocalRepositoryHasANameAndNoOwner) {
  spec_.repo.url = "/srv/git/shop.git/";
  const shim::Start start = Make();
  EXPECT_EQ(start.env.at("CI_REPO_NAME"), "shop");
  EXPECT_EQ(start.env.count("CI_REPO_OWNER"), 0u);
  EXPECT_TRUE(start.checkout.input.empty());
}

TEST(SpoolBudgetOfADrone, IsWhatIsSetOrByTheDiskAndLetsEverySlotGetOn) {
  const test::TempDir directory;
  EXPECT_EQ(SpoolBudgetOf(7 * limits::kMiB, directory.path(), 4), 7 * limits::kMiB);
  EXPECT_EQ(SpoolBudgetOf(1, directory.path(), 3), 2 * limits::kMiB);
  EXPECT_EQ(SpoolBudgetOf(0, "/nowhere", 1), limits::kSpoolBudget);
  const std::uint64_t unset = SpoolBudgetOf(0, directory.path(), 1);
  EXPECT_GE(unset, 16 * limits::kMiB);
  EXPECT_LE(unset, limits::kSpoolBudget);
}

TEST_F(StartFrameTest, LimitsHaveDefaultsAndACeiling) {
  shim::Start start = Make();
  EXPECT_EQ(start.wall, limits::kWallLimit);
  EXPECT_EQ(start.silence, limits::kSilenceLimit);
  EXPECT_EQ(start.cleanup, limits::kCleanupLimit);
  EXPECT_EQ(start.log_bytes, limits::kLogPerJob);
  spec_.limits.wall = 100h;
  spec_.limits.silence = 5s;
  start = Make();
  EXPECT_EQ(start.wall, limits::kOperatorCeiling);
  EXPECT_EQ(start.silence, 5s);
}

TEST_F(StartFrameTest, TheHeaderNamesJobDroneAndIsolation) {
  EXPECT_THAT(Make().header, testing::MatchesRegex("waggle: job 12 \"unit\" attempt 1 on bee-1 "
                                                   "\\(drone 0.1.0, linux [a-z0-9_]+\\) · isolation: none"));
  plan_ = {.mode = Isolation::kBubblewrap, .network = false};
  EXPECT_THAT(Make().header, testing::EndsWith("isolation: bubblewrap, no network"));
}

}  // namespace
}  // namespace waggle::attempt
