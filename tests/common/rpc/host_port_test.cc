#include "common/rpc/host_port.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace waggle::rpc {
namespace {

TEST(HostPortTest, TheSamePlaceIsTheSameText) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"ci.example.com:7874", "ci.example.com:7874"},
      {"CI.Example.COM:7874", "ci.example.com:7874"},
      {"localhost:1", "localhost:1"},
      {"10.0.0.1:65535", "10.0.0.1:65535"},
      {"[::1]:7874", "[::1]:7874"},
      {"[2001:DB8:0:0::1]:07874", "[2001:db8::1]:7874"},
      {"build_host:1", "build_host:1"},
  };
  for (const auto& [text, wanted] : cases) {
    const absl::StatusOr<HostPort> place = ParseHostPort(text);
    ASSERT_TRUE(place.ok()) << text << place.status();
    EXPECT_EQ(place->Text(), wanted);
    EXPECT_EQ(ParseUrl("https://" + text)->Text(), wanted);
    EXPECT_EQ(ParseUrl("https://" + text + "/")->Text(), wanted);
    EXPECT_EQ(UrlOf(*place), "https://" + wanted);
  }
}

TEST(HostPortTest, WhatIsNoPlaceIsRefused) {
  for (const char* text : {"",         ":",      ":1",
                           "a",        "a:",     "a:0",
                           "a:65536",  "a:-1",   "a:+1",
                           "a: 1",     "a:1x",   "a:000001",
                           "::1:7874", "[::1]",  "[10.0.0.1]:1",
                           "[a]:1",    "[]:1",   "10.0.0.256:1",
                           "a..b:1",   ".:1",    "..:1",
                           "a/b:1",    "a b:1",  "-a:1",
                           "a@b:1",    "\xff:1", "[fe80::1%eth0]:1"}) {
    EXPECT_FALSE(ParseHostPort(text).ok()) << text;
    EXPECT_FALSE(ParseUrl(std::string("https://") + text).ok()) << text;
  }
  for (const char* text : {"", "a:1", "http://a:1", "HTTPS://a:1", "https:a:1", "https://a", "https://a:1/x",
                           "https://a:1?x", "https://a:1#x", "https://me@a:1", "https://a:1//"}) {
    EXPECT_FALSE(ParseUrl(text).ok()) << text;
  }
}

}  // namespace
}  // namespace waggle::rpc
