#include "common/tls/invitation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "common/tls/digest.h"
#include "tests/common/tls/forge.h"

namespace waggle::tls {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kPin(64, 'a');
const std::string kToken(43, 'A');

std::string Refusal(std::string_view text) {
  const auto invitation = Invitation::Parse(text);
  if (invitation.ok()) return "accepted";
  EXPECT_EQ(invitation.status().code(), absl::StatusCode::kInvalidArgument) << invitation.status();
  EXPECT_THAT(std::string(invitation.status().message()), testing::StartsWith("invitation: "));
  return std::string(invitation.status().message());
}

TEST(Invitation, SurvivesBeingWrittenAndRead) {
  const Invitation made = Invitation::Make(kPin).value();
  EXPECT_EQ(made.pin, kPin);
  EXPECT_EQ(made.token.size(), 43u);
  const std::string text = made.ToText();
  EXPECT_EQ(text, "wg1." + made.token + "." + kPin);
  for (const std::string& copied : {text, text + "\n", "  " + text + "\r\n"}) {
    const Invitation read = Invitation::Parse(copied).value();
    EXPECT_EQ(read.token, made.token);
    EXPECT_EQ(read.pin, made.pin);
  }
}

TEST(Invitation, TokensAreNeverTheSame) {
  std::set<std::string> tokens, starts;
  for (int i = 0; i < 10'000; ++i) {
    const Invitation made = Invitation::Make(kPin).value();
    EXPECT_TRUE(tokens.insert(made.token).second);
    starts.insert(made.token.substr(0, 1));
    EXPECT_EQ(Invitation::Parse(made.ToText()).value().token, made.token);
  }
  EXPECT_EQ(starts.size(), 64u);
}

TEST(Invitation, TheWrongPartIsNamed) {
  EXPECT_EQ(Refusal("wg1." + kToken + "." + kPin), "accepted");
  EXPECT_THAT(Refusal(""), HasSubstr("is empty"));
  EXPECT_THAT(Refusal(" \n"), HasSubstr("is empty"));
  EXPECT_THAT(Refusal("wg2." + kToken + "." + kPin), HasSubstr("does not start with wg1."));
  EXPECT_THAT(Refusal("WG1." + kToken + "." + kPin), HasSubstr("does not start with wg1."));
  EXPECT_THAT(Refusal(kToken), HasSubstr("does not start with wg1."));
  EXPECT_THAT(Refusal("wg1"), HasSubstr("has 1 parts, not 3"));
  EXPECT_THAT(Refusal("wg1." + kToken), HasSubstr("has 2 parts, not 3"));
  EXPECT_THAT(Refusal("wg1." + kToken + "." + kPin + "."), HasSubstr("has 4 parts, not 3"));
  EXPECT_THAT(Refusal("wg1.." + kPin),
              HasSubstr("its token (the part between the dots) has 0 characters, not 43"));
  EXPECT_THAT(Refusal("wg1." + kToken + "A." + kPin), HasSubstr("has 44 characters, not 43"));
  EXPECT_THAT(Refusal("wg1." + kToken.substr(1) + "+." + kPin),
              HasSubstr("its token (the part between the dots) is mistyped"));
  EXPECT_THAT(Refusal("wg1." + kToken + "." + kPin.substr(1)),
              HasSubstr("its pin (the last part) has 63 characters"));
  EXPECT_THAT(Refusal("wg1." + kToken + "." + kPin.substr(1) + "A"),
              HasSubstr("its pin (the last part) holds something else"));
  EXPECT_THAT(Refusal("wg1." + kToken + "." + kPin.substr(1) + "g"),
              HasSubstr("its pin (the last part) holds something else"));
  EXPECT_THAT(Refusal("wg1." + kToken + "." + kPin + " x"),
              HasSubstr("its pin (the last part) has 66 characters"));
  EXPECT_THAT(Refusal(std::string(1025, '.')), HasSubstr("is 1025 bytes long; at most 1024"));
  EXPECT_THAT(Refusal(std::string(1024, '.')), HasSubstr("does not start with"));
  EXPECT_THAT(Refusal("wg1." + std::string(1000, '.')), HasSubstr("parts, not 3"));
}

TEST(Invitation, ATokenIsWrittenInOneWay) {
  // Two bits of the last character are unused; = and blanks are what lenient decoders skip.
  for (char last : {'B', 'C', 'D', '=', ' ', '.', '\0', '\n'})
    EXPECT_NE(Refusal("wg1." + kToken.substr(1) + last + "." + kPin), "accepted") << last;
  for (char last : {'E', '8', 'w'})
    EXPECT_EQ(Refusal("wg1." + kToken.substr(1) + last + "." + kPin), "accepted") << last;
}

TEST(Invitation, NoPartAndNoFlippedBitIsTheSameInvitation) {
  const std::string text = Invitation::Make(Sha256Hex("key")).value().ToText();
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_NE(Refusal(text.substr(0, size)), "accepted");
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      const std::string flipped = test::Flipped(text, at, bit);
      const auto read = Invitation::Parse(flipped);
      if (read.ok()) {
        EXPECT_EQ(read->ToText(), flipped);
      }
    }
  }
}

TEST(Invitation, MessagesHoldNothingOfAToken) {
  const std::string token = Invitation::Make(kPin).value().token;
  const std::string part = token.substr(0, 8);
  EXPECT_THAT(Refusal("wg1." + token + "x." + kPin), Not(HasSubstr(part)));
  EXPECT_THAT(Refusal("wg1." + token.substr(0, 42) + "+." + kPin), Not(HasSubstr(part)));
  EXPECT_THAT(Refusal("wg1." + token), Not(HasSubstr(part)));
  EXPECT_THAT(Refusal(token), Not(HasSubstr(part)));
}

TEST(Invitation, APinThatIsNoneMakesNone) {
  for (const std::string& pin :
       {std::string(), std::string(63, 'a'), std::string(64, 'A'), std::string(65, 'a')})
    EXPECT_EQ(Invitation::Make(pin).status().code(), absl::StatusCode::kInvalidArgument) << pin;
}

TEST(Invitation, AStoredHashMatchesItsTokenOnly) {
  const std::string token = Invitation::Make(kPin).value().token;
  const std::string hash = HashOf(token);
  EXPECT_EQ(hash, Sha256Hex(token));
  EXPECT_TRUE(Matches(token, hash));
  EXPECT_FALSE(Matches(token, ""));
  EXPECT_FALSE(Matches(token, hash.substr(1)));
  EXPECT_FALSE(Matches(token, hash + "0"));
  EXPECT_FALSE(Matches("", hash));
  EXPECT_FALSE(Matches(hash, hash));
  for (std::size_t at = 0; at < hash.size(); ++at) EXPECT_FALSE(Matches(token, test::Flipped(hash, at, 0)));
}

}  // namespace
}  // namespace waggle::tls
