#include "tools/waggle/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tools/driver.h"

namespace waggle::cli {
namespace {

using testing::HasSubstr;

TEST(AddressTest, PrecedenceIsFlagEnvironmentFileDefault) {
  TempDir dir;
  std::string config = dir.Write("config.yaml", "queen: unix:/from/file.sock\ncolor: never\n");
  AddressSources all{"/from/flag.sock", "/from/env.sock", config};
  EXPECT_EQ(ResolveAddress(all)->socket, "/from/flag.sock");
  EXPECT_EQ(ResolveAddress(all)->origin, "--queen");
  EXPECT_EQ(ResolveAddress({"", "/from/env.sock", config})->socket, "/from/env.sock");
  EXPECT_EQ(ResolveAddress({"", "", config})->socket, "/from/file.sock");
  EXPECT_EQ(ResolveAddress({"", "", config})->origin, config);
  EXPECT_EQ(ResolveAddress({"", "", dir.File("absent.yaml")})->socket, "/run/queen/queen.sock");
}

TEST(AddressTest, ADataDirectoryMeansTheSocketInIt) {
  TempDir dir;
  EXPECT_EQ(*SocketPath(dir.path()), dir.File("queen.sock"));
  EXPECT_EQ(*SocketPath("unix:" + dir.path() + "/"), dir.File("queen.sock"));
  EXPECT_EQ(*SocketPath("unix:///a/b.sock"), "/a/b.sock");
}

TEST(AddressTest, RemoteQueensAreRefusedWithTheReason) {
  for (const char* remote :
       {"ci.example.com:7874", "ci.example.com", "https://ci.example.com/x", "10.0.0.1:7874"}) {
    auto path = SocketPath(remote);
    ASSERT_FALSE(path.ok()) << remote;
    EXPECT_THAT(std::string(path.status().message()), HasSubstr("remote queens come with certificates"));
  }
  EXPECT_FALSE(SocketPath("unix:").ok());
}

TEST(AddressTest, ABadConfigFileIsNamedWithItsLine) {
  TempDir dir;
  auto unknown = QueenFromConfig(dir.Write("a.yaml", "color: auto\nquen: /x\n"));
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("a.yaml:2: unknown key `quen`"));
  auto broken = QueenFromConfig(dir.Write("b.yaml", "queen: [1\n"));
  EXPECT_THAT(std::string(broken.status().message()), HasSubstr("b.yaml:"));
  EXPECT_FALSE(QueenFromConfig(dir.Write("c.yaml", "just text")).ok());
  EXPECT_EQ(*QueenFromConfig(dir.Write("d.yaml", "")), "");
}

}  // namespace
}  // namespace waggle::cli
