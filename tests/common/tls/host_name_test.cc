#include "common/tls/host_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace waggle::tls {
namespace {

std::string Label(std::size_t size) {
  return std::string(size, 'a');
}

TEST(HostName, OfAHost) {
  for (const std::string& good :
       {std::string("queen"), std::string("ci.example.com"), std::string("CI-2.example.com"),
        std::string("queen_1"), std::string("4you.example"), std::string("xn--bcher-kva.example"), Label(63),
        Label(63) + "." + Label(63) + "." + Label(63) + "." + Label(61)})
    EXPECT_TRUE(CheckHostName("names[0]", good).ok()) << good;
}

TEST(HostName, IsNothingElse) {
  for (const std::string& bad : {std::string(),
                                 std::string("."),
                                 std::string("a."),
                                 std::string(".a"),
                                 std::string("a..b"),
                                 std::string("*.example.com"),
                                 std::string("-a"),
                                 std::string("a-.b"),
                                 std::string("a b"),
                                 std::string("a\nb"),
                                 std::string("a\0b", 3),
                                 std::string("a/b"),
                                 std::string("a,DNS:b"),
                                 std::string("a:7874"),
                                 std::string("https://a"),
                                 std::string("1.2.3.256"),
                                 std::string("1.2.3"),
                                 std::string("7"),
                                 std::string("fe80::1%eth0"),
                                 std::string("[::1]"),
                                 std::string("b\xC3\xBC"
                                             "cher"),
                                 Label(64),
                                 Label(63) + "." + Label(63) + "." + Label(63) + "." + Label(62)}) {
    const absl::Status status = CheckHostName("names[3]", bad);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(status.message()), testing::StartsWith("names[3]: `"));
  }
}

TEST(HostName, AddressesSurviveBeingWrittenAndRead) {
  for (const std::string& address : {std::string("127.0.0.1"), std::string("0.0.0.0"), std::string("::1"),
                                     std::string("2001:db8::17"), std::string("::ffff:10.0.0.1")}) {
    const auto bytes = AddressBytes(address);
    ASSERT_TRUE(bytes.has_value()) << address;
    EXPECT_EQ(AddressText(*bytes), address);
  }
  for (const std::string& none :
       {std::string(), std::string("localhost"), std::string("127.1"), std::string("1.2.3.256"),
        std::string("::1%lo"), std::string("127.0.0.1\0x", 11)})
    EXPECT_FALSE(AddressBytes(none).has_value()) << none;
  for (std::size_t size : {0, 1, 3, 5, 15, 17}) EXPECT_FALSE(AddressText(std::string(size, 'a')).has_value());
}

}  // namespace
}  // namespace waggle::tls
