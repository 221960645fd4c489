// 200 generated secrets × every form × every place where the output may be cut in two.
#include <gtest/gtest.h>

#include <random>

#include "common/redact/encode.h"
#include "tests/common/redact/naive.h"

namespace waggle::redact {
namespace {

std::string Generated(std::mt19937_64& random, int kind) {
  constexpr std::string_view kToken = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  constexpr std::string_view kHard = "abcXYZ019 /+='\"\\$`&<>!*?#%~{}[]();:,.@^|\t";
  constexpr std::string_view kLetters[] = {"\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "z", "Q", "'",
                                           "/"};
  const std::size_t size = 6 + random() % 24;
  std::string out = "k";
  for (std::size_t i = 2; i < size; ++i) {
    if (kind == 1) {
      out += kHard[random() % kHard.size()];
    } else if (kind == 2) {
      out += kLetters[random() % std::size(kLetters)];
    } else {
      out += kToken[random() % kToken.size()];
    }
    if (kind == 3 && i % 9 == 8) out += i % 2 == 0 ? "\r\n" : "\n";
  }
  if (kind == 4) {
    while (out.size() < 100) out += kToken[random() % kToken.size()];
  }
  return out + "q";
}

TEST(Matrix, EverySecretEveryFormEveryCut) {
  std::mt19937_64 random(200);
  std::size_t texts = 0, cuts = 0;
  for (int i = 0; i < 200; ++i) {
    const auto secrets = Secrets({Generated(random, i % 5)});
    ASSERT_TRUE(CheckSecret("S", secrets[0].value).ok());
    const auto patterns = Compile(secrets);
    const auto all = PatternsOf(secrets);
    for (Form form : kForms) {
      for (const std::string& encoded : Encoded(form, secrets[0].value)) {
        if (!Maskable(encoded)) continue;
        const std::string text = "a: " + encoded + " :z\n";
        const std::string whole = MaskWhole(*patterns, text);
        ASSERT_EQ(whole, "a: *** :z\n") << "form " << static_cast<int>(form) << ": " << encoded;
        ASSERT_EQ(NaiveMask(all, text), whole);
        for (std::size_t cut = 1; cut < text.size(); ++cut) {
          ASSERT_EQ(MaskInPieces(*patterns, text, {cut, text.size()}), whole) << encoded << " cut at " << cut;
        }
        ASSERT_EQ(MaskInPieces(*patterns, text, {1}), whole);
        ++texts;
        cuts += text.size() - 1;
      }
    }
  }
  RecordProperty("texts", static_cast<int>(texts));
  RecordProperty("cuts", static_cast<int>(cuts));
  EXPECT_GT(texts, 8000u);
  EXPECT_GT(cuts, 300'000u);
}

// Whatever stands around a secret, its base64 shows none of it.
TEST(Matrix, Base64OfSomethingLonger) {
  std::mt19937_64 random(201);
  for (int i = 0; i < 200; ++i) {
    const auto secrets = Secrets({Generated(random, i % 3)});
    const auto patterns = Compile(secrets);
    for (std::size_t before = 0; before < 6; ++before) {
      for (Alphabet alphabet : {Alphabet::kStandard, Alphabet::kUrl}) {
        std::string around = std::string(before, 'u') + secrets[0].value + std::string(random() % 4, 'v');
        const std::string encoded = Base64(around, alphabet);
        const std::string masked = MaskWhole(*patterns, encoded);
        ASSERT_EQ(masked.find("***"), (before * 8 + 5) / 6) << encoded;
        ASSERT_EQ(masked.find(Base64Inside(secrets[0].value, before % 3, alphabet)), std::string::npos);
      }
    }
  }
}

}  // namespace
}  // namespace waggle::redact
