#include "common/redact/masker.h"

#include <gtest/gtest.h>

#include "tests/common/redact/naive.h"

namespace waggle::redact {
namespace {

std::string Masked(const std::vector<std::string>& values, std::string_view text) {
  return MaskWhole(*Compile(Secrets(values)), text);
}

TEST(Masker, WithoutSecretsPassesTheSameBytes) {
  Masker masker(nullptr);
  const std::string text = "anything\r\n\x1b[1m";
  EXPECT_EQ(masker.Feed(text).data(), text.data());  // no copy
  EXPECT_EQ(masker.Feed(text), text);
  EXPECT_EQ(masker.Flush(), "");
  const auto none = Compile({});
  Masker other(none.get());
  EXPECT_EQ(other.Feed(text).data(), text.data());
}

TEST(Masker, DoesNotCopyWhatHasNoSecret) {
  const auto patterns = Compile(Secrets({"hunter22"}));
  Masker masker(patterns.get());
  const std::string text = "nothing to see here, h";
  const std::string_view out = masker.Feed(text);
  EXPECT_EQ(out.data(), text.data());
  EXPECT_EQ(out, "nothing to see here, ");
  EXPECT_EQ(masker.held(), 1u);
  EXPECT_EQ(masker.Feed("i"), "hi");
}

TEST(Masker, MasksWhereverItStands) {
  EXPECT_EQ(Masked({"hunter22"}, "hunter22"), "***");
  EXPECT_EQ(Masked({"hunter22"}, "a hunter22 b"), "a *** b");
  EXPECT_EQ(Masked({"hunter22"}, "xhunter22y hunter2 hunter222"), "x***y hunter2 ***2");
  EXPECT_EQ(Masked({" hunter22\n"}, "[ hunter22 ]"), "[ *** ]");
}

TEST(Masker, MasksEverySecretOfALine) {
  EXPECT_EQ(Masked({"first-value", "second-value"}, "export A=first-value B=second-value C=third-value\n"),
            "export A=*** B=*** C=third-value\n");
}

TEST(Masker, MakesOneMaskOfOneRun) {
  EXPECT_EQ(Masked({"hunter22"}, "hunter22hunter22!"), "***!");
  EXPECT_EQ(Masked({"hunter22", "22tiger"}, "hunter22tiger!"), "***!");                   // overlapping
  EXPECT_EQ(Masked({"hunter22", "tiger33"}, "hunter22tiger33!"), "***!");                 // touching
  EXPECT_EQ(Masked({"hunter", "hunter22long"}, "hunter22long hunter22l"), "*** ***22l");  // prefix
  EXPECT_EQ(Masked({"xxhunteryy", "hunter"}, "xxhunteryy xxhuntery"), "*** xx***y");      // inside
  EXPECT_EQ(Masked({"abcabc"}, "abcabcabc abcabc ab"), "*** *** ab");                     // ends as it begins
}

TEST(Masker, MasksLinesOfTextWithManyLines) {
  const std::string key =
      "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA1\nshort\nMIIEowIBAAKCAQEA2\n-----END KEY-----\n";
  EXPECT_EQ(Masked({key}, "key: " + key + "done"), "key: ***\ndone");
  EXPECT_EQ(Masked({key}, "1 MIIEowIBAAKCAQEA1\n2 short\n3 MIIEowIBAAKCAQEA2"), "1 ***\n2 short\n3 ***");
  const std::string crlf =
      "-----BEGIN KEY-----\r\nMIIEowIBAAKCAQEA1\r\nshort\r\nMIIEowIBAAKCAQEA2\r\n"
      "-----END KEY-----\r\n";
  EXPECT_EQ(Masked({key}, crlf), "***\r\n");
  EXPECT_EQ(Masked({crlf}, key), "***\n");
}

TEST(Masker, LeavesRulersAndShortLinesOfASecretAlone) {
  const std::string text = "==========\n{\n}\nok\n----------\n";
  EXPECT_EQ(Masked({"==========\n{\nreal-secret\n}\n----------"}, text), text);
}

TEST(Masker, SaysAMaskAtOnce) {
  const auto patterns = Compile(Secrets({"hunter22", "hunter22-and-more"}));
  Masker masker(patterns.get());
  EXPECT_EQ(masker.Feed("password: hunter22"), "password: ***");  // may go on, but is masked in any case
  EXPECT_EQ(masker.held(), 0u);
  EXPECT_EQ(masker.Feed("-and-m"), "");
  EXPECT_EQ(masker.held(), 6u);
  EXPECT_EQ(masker.Feed("ore!"), "!");
  EXPECT_EQ(masker.masked(), 1u);
}

TEST(Masker, HoldsBackOnlyWhatMayBecomeASecret) {
  const auto patterns = Compile(Secrets({"hunter22"}));
  Masker masker(patterns.get());
  EXPECT_EQ(masker.Feed("the hunte"), "the ");
  EXPECT_EQ(masker.held(), 5u);
  EXPECT_EQ(masker.Feed("d "), "hunted ");
  EXPECT_EQ(masker.Feed("hunter2"), "");
  EXPECT_EQ(masker.Flush(), "hunter2");
  EXPECT_EQ(masker.held(), 0u);
  EXPECT_EQ(masker.Feed("2\n"), "2\n");  // another command: no secret
  EXPECT_EQ(masker.masked(), 0u);
}

TEST(Masker, DoesNotHoldTheEndOfALine) {
  // No form begins or ends with white space, so a finished line is never kept waiting for the next.
  const auto patterns = Compile(Secrets({"\n hunter22\n", "first line\nsecond line"}));
  Masker masker(patterns.get());
  EXPECT_EQ(masker.Feed("all good.\n"), "all good.\n");
  EXPECT_EQ(masker.Feed("> "), "> ");
}

TEST(Masker, BeginsANewMaskBehindAFlush) {
  const auto patterns = Compile(Secrets({"hunter22"}));
  Masker masker(patterns.get());
  EXPECT_EQ(masker.Feed("hunter22"), "***");
  EXPECT_EQ(masker.Flush(), "");
  EXPECT_EQ(masker.Feed("hunter22"), "***");
  EXPECT_EQ(masker.masked(), 2u);
}

TEST(Masker, MasksWhatIsBrokenIntoLinesByBase64) {
  const std::string value(90, 'k');
  const std::string secret = value + "end";
  const std::string text = "a2tr";  // k, three times
  std::string encoded;
  for (int i = 0; i < 30; ++i) encoded += text;
  encoded += "ZW5k";
  EXPECT_EQ(Masked({secret}, "$ base64 f\n" + encoded.substr(0, 76) + "\n" + encoded.substr(76) + "\n$"),
            "$ base64 f\n***\n$");
}

}  // namespace
}  // namespace waggle::redact
