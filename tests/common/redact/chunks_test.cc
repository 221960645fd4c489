// How the output is cut never matters.
#include <gtest/gtest.h>

#include <random>

#include "tests/common/redact/naive.h"

namespace waggle::redact {
namespace {

// Every way to cut a short text: bit i of `cuts` cuts behind byte i.
void ExpectEveryCutting(const std::vector<std::string>& values, std::string_view text) {
  const auto secrets = Secrets(values);
  const auto patterns = Compile(secrets);
  const std::string whole = MaskWhole(*patterns, text);
  EXPECT_EQ(whole, NaiveMask(PatternsOf(secrets), text));
  for (std::uint32_t cuts = 0; cuts < 1u << (text.size() - 1); ++cuts) {
    std::vector<std::size_t> sizes = {1};
    for (std::size_t i = 0; i + 1 < text.size(); ++i) {
      if ((cuts >> i & 1) != 0) {
        sizes.push_back(1);
      } else {
        ++sizes.back();
      }
    }
    ASSERT_EQ(MaskInPieces(*patterns, text, sizes), whole) << text << " cut by " << cuts;
  }
}

TEST(Chunks, AllOfShortTexts) {
  ExpectEveryCutting({"abcabc"}, "xabcabcabcaby");
  ExpectEveryCutting({"abcabc", "bcabcx"}, "abcabcxabcab");
  ExpectEveryCutting({"abcdef", "abcdefgh", "cdefgh"}, "abcdefgabcdef");
  ExpectEveryCutting({"hunter"}, "hunterhunter");
  ExpectEveryCutting({"ababab"}, "abababababba");
}

TEST(Chunks, AllOfShortTextsWithNoise) {
  ExpectEveryCutting({"abcabc"}, "ab\x1b[mcab\rc!");
  ExpectEveryCutting({"abcabc"}, "abc\r\x1b[1mabcabc");
  ExpectEveryCutting({"abcabc"}, "a\x1b[b\x1b\x1b[mbcabc");
  ExpectEveryCutting({"[mabcd"}, "\x1b[mabcd\x1b[m[mabcd");
  ExpectEveryCutting({"1mabcd"}, "\x1b[1mabcd\r1m\rab");
  ExpectEveryCutting({"ab\rabcdef"}, "ab\rabcdef\rab\rc");
}

std::string RandomText(std::mt19937_64& random, std::string_view alphabet, std::size_t size) {
  std::string out;
  while (out.size() < size) out += alphabet[random() % alphabet.size()];
  return out;
}

// Few letters, so that secrets overlap, repeat and interrupt each other all the time.
TEST(Chunks, RandomTextsOfFewLettersAreMaskedAsTheNaiveWayDoes) {
  std::mt19937_64 random(1);
  std::uint64_t masked = 0;
  for (int round = 0; round < 1500; ++round) {
    std::vector<std::string> values;
    const std::string_view letters = round % 2 == 0 ? "ab" : "abm[1";
    for (std::size_t n = 1 + random() % 3; n > 0; --n) {
      values.push_back("a" + RandomText(random, letters, 4 + random() % 5) + "b");
    }
    const auto secrets = Secrets(values);
    const auto patterns = Compile(secrets);
    std::string text;
    while (text.size() < 100) {
      switch (random() % 4) {
        case 0:
          text += RandomText(random, "ab\r\x1b[m1;", 5);
          break;
        case 1:
          text += random() % 2 == 0 ? "\r" : "\x1b[1m";
          break;
        default: {
          const std::string& value = values[random() % values.size()];
          text += value.substr(random() % 3, 1 + random() % value.size());
        }
      }
    }
    const std::string naive = NaiveMask(PatternsOf(secrets), text);
    ASSERT_EQ(MaskWhole(*patterns, text), naive) << round;
    ASSERT_EQ(MaskInPieces(*patterns, text, {1}), naive) << round;
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      ASSERT_EQ(MaskInPieces(*patterns, text, {cut, text.size()}), naive) << round << " cut at " << cut;
    }
    masked += naive != text;
  }
  EXPECT_GT(masked, 800u);  // else this tests nothing
}

std::string Log(std::mt19937_64& random, std::size_t size) {
  constexpr std::string_view kWords[] = {"[ 42%] Building CXX object common/CMakeFiles/a.cc.o",
                                         "\x1b[32mok\x1b[0m",
                                         "warning: unused variable 'x' [-Wunused-variable]",
                                         "\r 17 % done",
                                         "GET /api/v1/jobs 200 0.12s",
                                         "\r\n",
                                         "\n",
                                         "\t",
                                         "\xF0\x9F\x98\x80",
                                         "3f2a9c8e7d6b5a4f3e2d1c0b9a8f7e6d5c4b3a2f",
                                         "aGVsbG8gd29ybGQ=",
                                         "%20\\u0061\\n"};
  std::string out;
  while (out.size() < size) {
    out += kWords[random() % std::size(kWords)];
    if (random() % 4 == 0) out += static_cast<char>(random());
    out += ' ';
  }
  return out;
}

TEST(Chunks, LogsWithoutSecretsPassByteForByte) {
  std::mt19937_64 random(2);
  const auto patterns =
      Compile(Secrets({"hunter22", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "[ 41%] secret",
                       "-----BEGIN KEY-----\nMIIEow/+IBAAKCAQEA1\n-----END KEY-----"}));
  const std::string log = Log(random, 1 << 20);
  for (std::size_t size :
       {std::size_t{1}, std::size_t{7}, std::size_t{4096}, std::size_t{65536}, log.size()}) {
    EXPECT_TRUE(MaskInPieces(*patterns, log, {size}) == log) << size;
  }
}

TEST(Chunks, SecretsInLongLogsAreFoundByTheFastSearch) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 40; ++round) {
    std::vector<std::string> values;
    for (std::size_t n = 1 + random() % 12; n > 0; --n) {
      values.push_back(RandomText(random, "abcdefghijklmnopqrstuvwxyz0123456789_-", 6 + random() % 40));
    }
    const auto secrets = Secrets(values);
    const auto patterns = Compile(secrets);
    const auto all = PatternsOf(secrets);
    std::string log, expected;
    for (int i = 0; i < 200; ++i) {
      const std::string part = Log(random, random() % 60) + "<";
      log += part + all[random() % all.size()] + ">";
      expected += part + "***>";
    }
    ASSERT_EQ(MaskWhole(*patterns, log), expected) << round;
    ASSERT_EQ(MaskInPieces(*patterns, log, {1 + random() % 100, 1 + random() % 10, 1}), expected) << round;
  }
}

}  // namespace
}  // namespace waggle::redact
