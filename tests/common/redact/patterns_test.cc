#include "common/redact/patterns.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/common/redact/naive.h"

namespace waggle::redact {
namespace {

TEST(Patterns, HaveEveryFormOnce) {
  const auto all = PatternsOf(Secrets({"hunter22", "hunter22"}));
  for (std::string form : {"hunter22", "aHVudGVyMjI=", "aHVudGVyMjI", "h1bnRlcjIy", "odW50ZXIyM",
                           "68756e7465723232", "68756E7465723232", "%68%75%6e%74%65%72%32%32",
                           "\\u0068\\u0075\\u006e\\u0074\\u0065"
                           "\\u0072\\u0032\\u0032"}) {
    EXPECT_EQ(std::count(all.begin(), all.end(), form), 1) << form;
  }
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  for (const std::string& pattern : all) EXPECT_TRUE(Maskable(pattern)) << pattern;
}

TEST(Patterns, RefuseWhatCheckSecretRefuses) {
  const auto refused = Patterns::Create(Secrets({"hunter22", "short"}));
  EXPECT_EQ(refused.status(), CheckSecret("S1", "short"));
}

TEST(Patterns, RefuseMoreThanTheBoundTogether) {
  std::vector<Secret> secrets = {{"A", std::string(40'000, 'a') + "b"},
                                 {"B", std::string(25'534, 'c') + "d"}};
  EXPECT_TRUE(Patterns::Create(secrets).ok());
  secrets[1].value += "d";
  const auto refused = Patterns::Create(secrets).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refused.message(),
            "the secrets of one job are 65537 bytes together: more than 65536\n"
            "next: give the job only those it needs [WG703]");
}

// The value with the most patterns: every form differs and is long.
TEST(Patterns, MemoryHasABound) {
  std::mt19937_64 random(1);
  std::string hard, lines;
  while (hard.size() + 4 < limits::kSecretBytes) {
    constexpr std::string_view kLetters[] = {"\x1b", "\x01", "\xC3\xA4", "'", "\"",
                                             "\\",   "/",    "<",        " ", "\xE2\x82\xAC"};
    hard += kLetters[random() % std::size(kLetters)];
  }
  while (lines.size() + 8 < limits::kSecretBytes) {
    for (int i = 0; i < 6; ++i) lines += hard[random() % 5000];
    lines += "\n";
  }
  for (std::string value : {"x" + hard + "x", "x" + std::string(limits::kSecretBytes - 2, '\x1b') + "x"}) {
    const auto patterns = Compile(Secrets({value}));
    EXPECT_LE(patterns->memory(), 16 * limits::kPatternBytes + 6 * limits::kMiB);
    EXPECT_EQ(MaskWhole(*patterns, "<" + value + ">"), "<***>");
  }
  std::string many;
  for (int i = 0; many.size() + 12 < limits::kSecretBytes; ++i)
    many += "k" + std::to_string(1'000'000 + i) + "\n";
  const auto patterns = Compile(Secrets({many}));
  EXPECT_LE(patterns->memory(), 16 * limits::kPatternBytes + 6 * limits::kMiB);
  EXPECT_GT(patterns->left_out(), 0u);  // the rare forms of some lines
  EXPECT_EQ(MaskWhole(*patterns, "k1000007 k1005000 k9999999"), "*** *** k9999999");
}

TEST(Patterns, RawValuesAndLinesAlwaysFit) {
  const auto secrets = Secrets({"hunter22", "first line\nsecond line"});
  const auto patterns = Patterns::Create(secrets, 0);
  ASSERT_TRUE(patterns.ok());
  EXPECT_GT((*patterns)->left_out(), 0u);
  EXPECT_EQ(MaskWhole(**patterns, "hunter22 aHVudGVyMjI= second line"), "*** aHVudGVyMjI= ***");
}

TEST(Patterns, OrdinarySecretsLeaveNothingOut) {
  std::vector<std::string> values;
  for (int i = 0; i < 20; ++i)
    values.push_back("ghp_16C7e42F292c6912E7710c838347Ae178B4" + std::to_string(i));
  values.push_back("-----BEGIN KEY-----\n" + std::string(1600, 'x') + "y\n-----END KEY-----\n");
  const auto patterns = Compile(Secrets(values));
  EXPECT_EQ(patterns->left_out(), 0u);
  EXPECT_LE(patterns->memory(), 4 * limits::kMiB);
}

}  // namespace
}  // namespace waggle::redact
