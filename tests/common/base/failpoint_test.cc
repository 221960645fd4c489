#include "common/base/failpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include "tests/support/temp_dir.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;
using ::testing::KilledBySignal;

class Failpoint : public ::testing::Test {
 protected:
  Failpoint() { ::testing::GTEST_FLAG(death_test_style) = "threadsafe"; }
  ~Failpoint() override { EXPECT_TRUE(failpoint::Arm("").ok()); }

  static void PassBoth(int times) {
    for (int i = 0; i < times; ++i) {
      failpoint::Pass("queen.batch.stored");
      failpoint::Pass("queen.batch.stepped");
    }
  }
};

TEST_F(Failpoint, NothingHappensUnlessAsked) {
  PassBoth(3);
  ASSERT_TRUE(failpoint::ArmFromEnvironment().ok());
  PassBoth(3);
  EXPECT_EQ(failpoint::Armed(), "");
}

TEST_F(Failpoint, KillsAtTheTimeThatWasAskedForAndNotBefore) {
  ASSERT_TRUE(failpoint::Arm("queen.batch.stored:3:kill").ok());
  EXPECT_EQ(failpoint::Armed(), "queen.batch.stored:3:kill");
  PassBoth(2);
  EXPECT_EXIT(
      {
        (void)failpoint::Arm("queen.batch.stored:3:kill").ok();
        PassBoth(3);
        ::_Exit(0);
      },
      KilledBySignal(SIGKILL), "");
}

TEST_F(Failpoint, OnceWithAMark) {
  const test::TempDir temp;
  const std::string spec = "queen.batch.stored:1:kill:" + temp / "fi:red";
  auto run = [&] {
    (void)failpoint::Arm(spec).ok();
    PassBoth(5);
    ::_Exit(7);
  };
  EXPECT_EXIT(run(), KilledBySignal(SIGKILL), "");
  test::WriteText(temp / "fi:red", "");
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(7), "");
}

TEST_F(Failpoint, WrongTextsSaySo) {
  const std::pair<const char*, const char*> wrong[] = {
      {"queen.batch.storred:1:kill", "did you mean `queen.batch.stored`?"},
      {"nonsense", "there is no failpoint `nonsense`"},
      {":1:kill", "there is no failpoint ``"},
      {"queen.batch.stored", "not a number from 1"},
      {"queen.batch.stored:0:kill", "not a number from 1"},
      {"queen.batch.stored:-1:kill", "not a number from 1"},
      {"queen.batch.stored:x:kill", "not a number from 1"},
      {"queen.batch.stored:1", "the only action is kill"},
      {"queen.batch.stored:1:panic", "the only action is kill"},
  };
  for (const auto& [spec, why] : wrong) {
    const absl::Status armed = failpoint::Arm(spec);
    EXPECT_EQ(armed.code(), absl::StatusCode::kInvalidArgument) << spec;
    EXPECT_THAT(std::string(armed.message()), HasSubstr(why));
    EXPECT_THAT(std::string(armed.message()), HasSubstr("\nnext: unset it"));
    EXPECT_EQ(failpoint::Armed(), "") << "and nothing is armed";
  }
}

TEST_F(Failpoint, TheVariableIsRead) {
  ::setenv(failpoint::kVariable, "shim.final.told:9:kill", 1);
  EXPECT_TRUE(failpoint::ArmFromEnvironment().ok());
  EXPECT_EQ(failpoint::Armed(), "shim.final.told:9:kill");
  ::setenv(failpoint::kVariable, "shim.final.told:9:", 1);
  EXPECT_FALSE(failpoint::ArmFromEnvironment().ok());
  ::unsetenv(failpoint::kVariable);
}

}  // namespace
}  // namespace waggle
