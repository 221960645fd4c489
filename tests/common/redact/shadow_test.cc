// Colours and carriage returns inside a secret.
#include <gtest/gtest.h>

#include "tests/common/redact/naive.h"

namespace waggle::redact {
namespace {

std::string Masked(const std::string& value, std::string_view text) {
  const auto secrets = Secrets({value});
  const auto patterns = Compile(secrets);
  const std::string whole = MaskWhole(*patterns, text);
  EXPECT_EQ(MaskInPieces(*patterns, text, {1}), whole);
  EXPECT_EQ(MaskInPieces(*patterns, text, {3, 1, 2}), whole);
  EXPECT_EQ(NaiveMask(PatternsOf(secrets), text), whole);
  return whole;
}

TEST(Shadow, ColoursInsideASecretGoWithIt) {
  EXPECT_EQ(Masked("hunter22", "a hun\x1b[31mter\x1b[0m22 b"), "a *** b");
  EXPECT_EQ(Masked("hunter22", "\x1b[1mhunter22\x1b[0m"), "\x1b[1m***\x1b[0m");  // those outside stay
  EXPECT_EQ(Masked("hunter22", "hun\x1b[38;2;1;2;3mter22"), "***");
  EXPECT_EQ(Masked("hunter22", "hun\x1b[4:3mter22"), "***");
  EXPECT_EQ(Masked("hunter22", "hun\r\x1b[m\rter22"), "***");
}

TEST(Shadow, EveryPlaceOfASecret) {
  const std::string secret = "abcabcabd";
  for (std::string noise : {"\r", "\x1b[m", "\x1b[31m\x1b[1m", "\r\r\x1b[0m"}) {
    for (std::size_t at = 1; at < secret.size(); ++at) {
      EXPECT_EQ(Masked(secret, "x" + secret.substr(0, at) + noise + secret.substr(at) + "y"), "x***y");
    }
    std::string all;
    for (char c : secret) all += c + noise;
    EXPECT_EQ(Masked(secret, all), "***" + noise);
  }
}

TEST(Shadow, WhatIsNoColourIsText) {
  for (std::string text : {"hun\x1b[31Kter22", "hun\x1b[?25hter22", "hun\x1bmter22", "hun\x1b[31\x1b[mter22",
                           "hun\x1b[31", "hun\nter22", "hun\x1b[3 mter22"}) {
    EXPECT_EQ(Masked("hunter22", text), text);
  }
}

TEST(Shadow, ASecretThatLooksLikeAColourIsFoundAsItIs) {
  EXPECT_EQ(Masked("[31mhunter", "\x1b[31mhunter"), "\x1b***");
  EXPECT_EQ(Masked("mhunter", "\x1b[31mhunter \x1b[31mmhun\rter"), "\x1b[31*** \x1b[31m***");
  EXPECT_EQ(Masked("a\rbcdefg", "a\rbcdefg abcdefg a\r\rbcdefg"), "*** *** ***");
}

TEST(Shadow, AnEscapeSequenceHasABound) {
  const std::string longest = "\x1b[" + std::string(limits::kEscapeBytes - 3, '1') + "m";
  const std::string longer = "\x1b[" + std::string(limits::kEscapeBytes - 2, '1') + "m";
  EXPECT_EQ(Masked("hunter22", "hun" + longest + "ter22"), "***");
  EXPECT_EQ(Masked("hunter22", "hun" + longer + "ter22"), "hun" + longer + "ter22");
}

TEST(Shadow, NoiseInsideASecretHasABound) {
  const std::string most(limits::kNoiseBytes, '\r');
  const auto patterns = Compile(Secrets({"hunter22"}));
  EXPECT_EQ(MaskWhole(*patterns, "hun" + most + "ter22"), "***");
  EXPECT_EQ(MaskWhole(*patterns, "hunter2" + most + "2"), "***");
  const std::string more = "hun" + most + "\rter22";
  EXPECT_EQ(MaskWhole(*patterns, more), more);
  EXPECT_EQ(MaskWhole(*patterns, "h" + most.substr(1) + "\runter22"), "***");
  EXPECT_EQ(MaskWhole(*patterns, "hu" + most + "\rhunter22"), "hu" + most + "\r***");

  Masker masker(patterns.get());
  std::string out(masker.Feed("hun"));
  std::size_t held = 0;
  for (int i = 0; i < 100'000; ++i) {
    out += masker.Feed("\r");
    held = std::max(held, masker.held());
  }
  EXPECT_EQ(held, 3 + limits::kNoiseBytes);
  EXPECT_EQ(masker.held(), 0u);
  EXPECT_EQ(out, "hun" + std::string(100'000, '\r'));
}

TEST(Shadow, ARepeatingSecretInEndlessNoiseStaysWithinItsBound) {
  const auto patterns = Compile(Secrets({"abababababababab!"}));
  Masker masker(patterns.get());
  std::size_t out = 0;
  for (int i = 0; i < 200'000; ++i) {
    out += masker.Feed(i % 2 == 0 ? "a\r\x1b[m" : "\rb").size();
    ASSERT_LE(masker.held(), patterns->longest() - 1 + limits::kNoiseBytes);
  }
  out += masker.Flush().size();
  EXPECT_EQ(out, 100'000u * 7);
}

}  // namespace
}  // namespace waggle::redact
