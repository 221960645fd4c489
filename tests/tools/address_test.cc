#include "tools/waggle/address.h"

#include <gtest/gtest.h>

namespace waggle::cli {
namespace {

TEST(AddressTest, APathStaysAPath) {
  for (const char* text : {"/run/queen/queen.sock", "unix:/q", "./q", "queen.sock", "unix:a:1", "./a:1"}) {
    EXPECT_FALSE(CheckAddress(text)) << text;
    const Address address = ReadAddress(text, "--queen");
    EXPECT_EQ(address.remote, "") << text;
    EXPECT_TRUE(address.socket.starts_with('/')) << text;
  }
  EXPECT_EQ(ReadAddress("Ci.example.com:7874", "--queen").remote, "ci.example.com:7874");
  EXPECT_EQ(ReadAddress("https://CI.example.com:7875/", "--queen").remote, "https://ci.example.com:7875");
  EXPECT_EQ(ReadAddress("ci.example.com:7874", "here").origin, "here");
}

}  // namespace
}  // namespace waggle::cli
