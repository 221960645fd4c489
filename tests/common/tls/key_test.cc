#include "common/tls/key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/limits.h"
#include "common/tls/digest.h"
#include "tests/common/tls/forge.h"

namespace waggle::tls {
namespace {

using testing::HasSubstr;
using testing::Not;

// The message of the refusal; whatever was read, it is InvalidArgument and names the private key.
std::string Refusal(std::string_view pem) {
  const auto key = Key::FromPem(pem);
  EXPECT_TRUE(test::ErrorsAreClean());
  if (key.ok()) return "accepted";
  EXPECT_EQ(key.status().code(), absl::StatusCode::kInvalidArgument) << key.status();
  EXPECT_THAT(std::string(key.status().message()), testing::StartsWith("private key: "));
  return std::string(key.status().message());
}

TEST(Key, SurvivesBeingWrittenAndRead) {
  const Key key = test::MakeKey();
  EXPECT_TRUE(IsSha256Hex(key.id())) << key.id();
  const std::string pem = key.ToPem().value();
  EXPECT_THAT(pem, testing::StartsWith("-----BEGIN PRIVATE KEY-----\n"));
  const Key again = Key::FromPem(pem).value();
  EXPECT_EQ(again.id(), key.id());
  EXPECT_EQ(again.ToPem().value(), pem);
  EXPECT_NE(test::MakeKey().id(), key.id());
}

TEST(Key, IdIsTheDigestOfItsPublicHalf) {
  const Key key = test::MakeKey();
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(test::Open(key).get(), &der);
  ASSERT_EQ(size, 91);
  EXPECT_EQ(key.id(), Sha256Hex({reinterpret_cast<char*>(der), 91}));
  OPENSSL_free(der);
  // FIPS 180-2, appendix B.1
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Key, BlanksAroundTheBlockAndDosLinesDoNotMatter) {
  const Key key = test::MakeKey();
  std::string pem = key.ToPem().value();
  EXPECT_EQ(Key::FromPem("\n\t " + pem + " \n\n").value().id(), key.id());
  std::string dos;
  for (char c : pem) dos += c == '\n' ? std::string("\r\n") : std::string(1, c);
  EXPECT_EQ(Key::FromPem(dos).value().id(), key.id());
  pem.pop_back();
  EXPECT_EQ(Key::FromPem(pem).value().id(), key.id());
}

TEST(Key, OtherKindsAreRefusedByName) {
  for (const auto& make : {test::MakeP384, test::MakeRsa, test::MakeEd25519, test::MakeExplicitP256})
    EXPECT_THAT(Refusal(test::PrivatePem(make().get())), HasSubstr("is not on the curve P-256"));
  const KeyHandle key = test::MakeP256();
  EXPECT_THAT(Refusal(test::EncryptedPem(key.get())),
              HasSubstr("is a PEM block of `ENCRYPTED PRIVATE KEY`; one of `PRIVATE KEY` is expected"));
  EXPECT_THAT(Refusal(test::TraditionalPem(key.get())), HasSubstr("a PEM block of `EC PRIVATE KEY`"));
  EXPECT_THAT(Refusal(test::MakeAuthority().certificate().pem()), HasSubstr("a PEM block of `CERTIFICATE`"));
}

TEST(Key, EveryKindOfGarbageIsRefused) {
  const std::string pem = test::MakeKey().ToPem().value();
  EXPECT_THAT(Refusal(""), HasSubstr("is empty"));
  EXPECT_THAT(Refusal(" \n\r\t"), HasSubstr("is empty"));
  EXPECT_THAT(Refusal("hello"), HasSubstr("does not start with -----BEGIN PRIVATE KEY-----"));
  EXPECT_THAT(Refusal("-----BEGIN -----"), HasSubstr("a PEM block of ``"));
  EXPECT_THAT(Refusal("-----BEGIN PRIVATE KEY"), HasSubstr("is cut off"));
  EXPECT_THAT(Refusal("-----BEGIN PRIVATE KEY-----"), HasSubstr("is cut off"));
  EXPECT_THAT(Refusal("-----BEGIN PRIVATE KEY----------END PRIVATE KEY-----"), HasSubstr("base64"));
  EXPECT_THAT(Refusal("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
              HasSubstr("cannot be read"));
  EXPECT_THAT(
      Refusal("-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END PRIVATE KEY-----\n"),
      HasSubstr("not base64"));
  EXPECT_THAT(Refusal("-----BEGIN \x1b[31m\xff-----\n"), HasSubstr("a PEM block of `?[31m?`"));
  EXPECT_THAT(Refusal(pem + pem), HasSubstr("something follows the PEM block"));
  EXPECT_THAT(Refusal(pem + "x"), HasSubstr("something follows the PEM block"));
  EXPECT_THAT(Refusal("x" + pem), HasSubstr("does not start with"));
  EXPECT_THAT(Refusal(std::string("\0", 1) + pem), HasSubstr("does not start with"));
  EXPECT_THAT(Refusal(pem + std::string("\0", 1)), HasSubstr("something follows"));
}

TEST(Key, SizeIsBoundedAtTheByte) {
  const std::string pem = test::MakeKey().ToPem().value();
  EXPECT_EQ(Refusal(pem + std::string(limits::kPemBytes - pem.size(), '\n')), "accepted");
  EXPECT_THAT(Refusal(pem + std::string(limits::kPemBytes - pem.size() + 1, '\n')),
              HasSubstr("8193 bytes of PEM; at most 8192 are read"));
  EXPECT_THAT(Refusal(std::string(100'000'000, 'A')), HasSubstr("100000000 bytes of PEM"));
}

TEST(Key, NoPartOfAKeyIsAccepted) {
  const std::string pem = test::MakeKey().ToPem().value();
  for (std::size_t size = 0; size + 1 < pem.size(); ++size)
    EXPECT_NE(Refusal(pem.substr(0, size)), "accepted") << size;
  for (std::size_t from = 1; from < pem.size(); ++from)
    EXPECT_NE(Refusal(pem.substr(from)), "accepted") << from;
}

TEST(Key, AFlippedBitNeverMakesAnotherKey) {
  const Key key = test::MakeKey();
  const std::string pem = key.ToPem().value();
  int accepted = 0;
  for (std::size_t at = 0; at < pem.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      const auto flipped = Key::FromPem(test::Flipped(pem, at, bit));
      EXPECT_TRUE(test::ErrorsAreClean());
      if (!flipped.ok()) continue;
      ++accepted;
      EXPECT_EQ(flipped->id(), key.id()) << "byte " << at << " bit " << bit;
    }
  }
  EXPECT_LT(accepted, 64);  // line ends, and a version number that OpenSSL does not look at
}

TEST(Key, MessagesHoldNothingOfAKey) {
  std::string pem = test::MakeKey().ToPem().value();
  const std::string part = pem.substr(60, 20);
  pem[40] = '!';
  EXPECT_THAT(Refusal(pem), Not(HasSubstr(part)));
  EXPECT_THAT(Refusal(pem.substr(30)), Not(HasSubstr(part)));
}

}  // namespace
}  // namespace waggle::tls
