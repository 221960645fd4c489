#include "common/redact/secret.h"

#include <gtest/gtest.h>

#include "common/base/limits.h"
#include "common/redact/wipe.h"

namespace waggle::redact {
namespace {

std::string Refusal(std::string_view name, std::string_view value) {
  const absl::Status status = CheckSecret(name, value);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << value;
  return std::string(status.message());
}

TEST(CheckSecret, TakesWhatCanBeMasked) {
  for (std::string value : {"hunter", "  hunter\n", "a b c d e f", "p\xC3\xA4\xC3\xA4r", "abc\nlonger line",
                            "-----\nabcdef\n-----", "aaaaab"}) {
    EXPECT_TRUE(CheckSecret("NPM_TOKEN", value).ok()) << value;
  }
  EXPECT_TRUE(CheckSecret("_", std::string(limits::kSecretBytes - 1, 'a') + 'b').ok());
  EXPECT_TRUE(CheckSecret(std::string(limits::kNameBytes, 'A'), "hunter2").ok());
}

TEST(CheckSecret, SaysWhyAValueIsTooShort) {
  EXPECT_EQ(Refusal("NPM_TOKEN", "12345"),
            "secret NPM_TOKEN is 5 characters: too short to mask, so it was refused\n"
            "next: use at least 6 characters [WG701]");
  EXPECT_EQ(Refusal("A", "  12345 \n"), Refusal("A", "12345"));
  EXPECT_EQ(Refusal("A", "\xC3\xA4\xC3\xA4"),
            "secret A is 2 characters: too short to mask, so it was refused\n"
            "next: use at least 6 characters [WG701]");
  EXPECT_NE(Refusal("A", "1").find("is 1 character:"), std::string::npos);
  EXPECT_NE(Refusal("A", "").find("is 0 characters:"), std::string::npos);
  EXPECT_NE(Refusal("A", " \n\t     ").find("secret A is only white space"), std::string::npos);
  EXPECT_NE(Refusal("A", "abc\ndef\r\nghi").find("no line that is long enough"), std::string::npos);
}

TEST(CheckSecret, RefusesWhatWouldWreckLogs) {
  for (std::string value : {"aaaaaa", "----------------", " 000000000\n"}) {
    EXPECT_NE(Refusal("A", value).find("one character again and again"), std::string::npos);
  }
  EXPECT_NE(Refusal("A", "------\n=======").find("no line"), std::string::npos);
}

TEST(CheckSecret, RefusesBadNamesAndBytes) {
  for (std::string name : {"", "1A", "A-B", "A B", "\xC3\x84", "A\n"}) {
    EXPECT_NE(Refusal(name, "hunter2").find("is no name of a variable"), std::string::npos) << name;
  }
  EXPECT_NE(Refusal(std::string(limits::kNameBytes + 1, 'A'), "hunter2").find("[WG702]"), std::string::npos);
  EXPECT_EQ(Refusal("A", std::string(limits::kSecretBytes + 1, 'x')),
            "secret A is 65537 bytes: longer than 65536, so it was refused\n"
            "next: keep large files elsewhere and make their key the secret [WG703]");
  EXPECT_NE(Refusal("A", std::string_view("hunter\0two", 10)).find("a NUL byte in it, at byte 6"),
            std::string::npos);
  EXPECT_NE(Refusal("A", "hunter\xFF").find("invalid UTF-8"), std::string::npos);
}

TEST(CheckSecret, NeverSaysTheValue) {
  for (std::string value : {"qzx", "qzx\nqzx", "qzxqz\xFFqzxqzx", "qzx\nqzxq\nqzx"}) {
    EXPECT_EQ(Refusal("A", value).find("qzx"), std::string::npos);
  }
  EXPECT_EQ(Refusal("A", std::string(70'000, 'q')).find("qq"), std::string::npos);
}

TEST(MaskableLines, AreTrimmedAndLongEnough) {
  EXPECT_EQ(MaskableLines("first line\r\n  second  \nshort\n=======\n\nlast one"),
            (std::vector<std::string_view>{"first line", "second", "last one"}));
  EXPECT_EQ(MaskableLines(""), std::vector<std::string_view>{});
}

TEST(Wipe, LeavesZerosInTheWholeCapacity) {
  std::string text(100, 'x');
  text.resize(10);  // the others are still there
  const char* data = text.data();
  const std::size_t capacity = text.capacity();
  Wipe(&text);
  EXPECT_TRUE(text.empty());
  ASSERT_EQ(text.data(), data);
  text.resize(capacity - 1);
  for (std::size_t i = 1; i < 100; ++i) ASSERT_EQ(data[i], '\0');
}

}  // namespace
}  // namespace waggle::redact
