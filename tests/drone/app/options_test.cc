#include "drone/app/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/temp_dir.h"

namespace waggle::drone {
namespace {

using testing::HasSubstr;

TEST(ResolveQueen, TakesASocketAPathAndADirectory) {
  test::TempDir dir;
  EXPECT_EQ(*ResolveQueen("unix:/run/queen.sock"), "unix:/run/queen.sock");
  EXPECT_EQ(*ResolveQueen(dir / "other.sock"), "unix:" + dir / "other.sock");
  EXPECT_EQ(*ResolveQueen(dir.path()), "unix:" + dir / "queen.sock");
  EXPECT_EQ(*ResolveQueen(dir.path() + "/"), "unix:" + dir / "queen.sock");
  EXPECT_EQ(*ResolveQueen(dir / "not-there-yet"), "unix:" + dir / "not-there-yet/queen.sock");
}

TEST(ResolveQueen, ANetworkAddressIsAClearError) {
  for (const char* address :
       {"hive.example:7874", "https://hive.example", "localhost", "10.0.0.1:7874", "dns:///hive:7874"}) {
    auto target = ResolveQueen(address);
    ASSERT_FALSE(target.ok()) << address;
    EXPECT_THAT(
        std::string(target.status().message()),
        HasSubstr(
            "remote queens come with certificates; this version speaks only to the queen's Unix socket"));
  }
}

TEST(ResolveQueen, APathTooLongForASocketIsRefusedAtOnce) {
  auto target = ResolveQueen("unix:/" + std::string(120, 'x'));
  ASSERT_FALSE(target.ok());
  EXPECT_THAT(std::string(target.status().message()), HasSubstr("at most 107 fit"));
}

class ResolveTest : public testing::Test {
 protected:
  ResolveTest() {
    flags_.queen = "unix:/run/queen.sock";
    flags_.data = "data";
    flags_.name = "bee-1";
  }
  std::string Error() {
    auto options = Resolve(flags_, "0.1.0");
    return options.ok() ? "" : std::string(options.status().message());
  }
  ServeFlags flags_;
};

TEST_F(ResolveTest, CompletesWhatTheHostSays) {
  flags_.labels = {"zone=eu=1"};
  flags_.env = {"A=b=c", "EMPTY="};
  auto options = Resolve(flags_, "0.1.0");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->data.front(), '/');
  EXPECT_EQ(options->info.labels.at("os"), "linux");
  EXPECT_EQ(options->info.labels.at("zone"), "eu=1");
  EXPECT_EQ(options->env.at("A"), "b=c");
  EXPECT_EQ(options->env.at("EMPTY"), "");
  EXPECT_GE(options->info.capacity, 1u);
  EXPECT_EQ(options->info.speed, 1.0);
}

TEST_F(ResolveTest, EveryErrorNamesItsFlagAndValue) {
  flags_.slots = 0;
  EXPECT_THAT(Error(), HasSubstr("--slots \"0\": use 1 to 1024"));
  flags_.slots = 1025;
  EXPECT_THAT(Error(), HasSubstr("--slots"));
  flags_.slots.reset();
  flags_.speed = -1;
  EXPECT_THAT(Error(), HasSubstr("--speed"));
  flags_.speed = std::nan("");
  EXPECT_THAT(Error(), HasSubstr("--speed"));
  flags_.speed = 1;
  flags_.name = "two words";
  EXPECT_THAT(Error(), HasSubstr("--name \"two words\""));
  flags_.name = std::string(129, 'n');
  EXPECT_THAT(Error(), HasSubstr("--name"));
  flags_.name = "bee";
  flags_.labels = {"nothing"};
  EXPECT_THAT(Error(), HasSubstr("--label \"nothing\": write it as NAME=VALUE"));
  flags_.labels.clear();
  for (int i = 0; i < 65; ++i) flags_.labels.push_back("l" + std::to_string(i) + "=x");
  EXPECT_THAT(Error(), HasSubstr("at most 64"));
  flags_.labels.clear();
  flags_.env = {"1A=x"};
  EXPECT_THAT(Error(), HasSubstr("--env \"1A=x\""));
  flags_.env.clear();
  flags_.data.clear();
  EXPECT_THAT(Error(), HasSubstr("--data"));
}

TEST(AutoSlots, OnePerTwoCoresAnd4GiBAtLeastOne) {
  constexpr std::uint64_t kGiB = 1ull << 30;
  EXPECT_EQ(AutoSlots(2, 24 * kGiB), 1u);
  EXPECT_EQ(AutoSlots(16, 24 * kGiB), 6u);
  EXPECT_EQ(AutoSlots(16, 128 * kGiB), 8u);
  EXPECT_EQ(AutoSlots(1, kGiB), 1u);
  EXPECT_EQ(AutoSlots(-1, 0), 1u);
}

}  // namespace
}  // namespace waggle::drone
