#include "common/config/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temp_dir.h"

namespace waggle::config {
namespace {

using testing::HasSubstr;

TEST(Address, IsASocketAPathOrADirectory) {
  test::TempDir dir;
  test::WriteText(dir / "odd.name", "");
  EXPECT_EQ(QueenSocket("unix:/run/queen.sock"), "/run/queen.sock");
  EXPECT_EQ(QueenSocket("unix:///a/b"), "/a/b");
  EXPECT_EQ(QueenSocket(dir / "other.sock"), dir / "other.sock");
  EXPECT_EQ(QueenSocket(dir / "odd.name"), dir / "odd.name");
  EXPECT_EQ(QueenSocket(dir.path()), dir / "queen.sock");
  EXPECT_EQ(QueenSocket(dir.path() + "/"), dir / "queen.sock");
  EXPECT_EQ(QueenSocket("unix:" + dir.path() + "/"), dir / "queen.sock");
  EXPECT_EQ(QueenSocket(dir / "not-there-yet"), dir / "not-there-yet/queen.sock");
  EXPECT_EQ(QueenSocket("./x/../q.sock"), std::filesystem::current_path().string() + "/q.sock");
  for (const char* good : {"unix:/x", "/x", "./x", "q.sock", "unix:q"})
    EXPECT_FALSE(CheckQueen(good)) << good;
}

TEST(Address, AQueenElsewhereIsRefusedWithTheReason) {
  for (const char* remote : {"ci.example.com:7874", "ci.example.com", "https://ci.example.com/x",
                             "10.0.0.1:7874", "localhost", "dns:///hive:7874"}) {
    const auto fault = CheckQueen(remote);
    ASSERT_TRUE(fault.has_value()) << remote;
    EXPECT_THAT(
        fault->hint,
        HasSubstr(
            "remote queens come with certificates; this version speaks only to the queen's Unix socket"));
  }
  for (const char* empty : {"", "unix:", "unix://"})
    EXPECT_EQ(CheckQueen(empty)->what, "names no socket") << empty;
}

}  // namespace
}  // namespace waggle::config
