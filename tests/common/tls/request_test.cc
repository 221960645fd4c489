#include "common/tls/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include "common/base/limits.h"
#include "tests/common/tls/forge.h"

namespace waggle::tls {
namespace {

using testing::HasSubstr;

std::string Refusal(std::string_view pem) {
  const auto request = Request::FromPem(pem);
  EXPECT_TRUE(test::ErrorsAreClean());
  if (request.ok()) return "accepted";
  EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument) << request.status();
  EXPECT_THAT(std::string(request.status().message()), testing::StartsWith("certificate request: "));
  return std::string(request.status().message());
}

TEST(Request, CarriesTheKeyOfItsMaker) {
  const Key key = test::MakeKey();
  const std::string pem = MakeRequest(key).value();
  EXPECT_EQ(Request::FromPem(pem).value().key_id(), key.id());
  EXPECT_LT(pem.size(), limits::kKiB);
}

TEST(Request, OfTheOpensslProgramIsRead) {
  // openssl req -new -subj /CN=bee-05; openssl pkey -pubout -outform DER | sha256sum
  constexpr char kPem[] = R"(-----BEGIN CERTIFICATE REQUEST-----
MIHMMHMCAQAwETEPMA0GA1UEAwwGYmVlLTA1MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAENZjyDYG9eXT+8r3RgCM6gzZVvdWp8fxmhzomMxevYeoqc+lEfaD9PZwT
okvXC5AAmFPSKcv2m61fTp8nUXWopKAAMAoGCCqGSM49BAMCA0kAMEYCIQDYxhAT
91Vi+mQdyPDR4wXb+B45flHp3/S7DPRHAazgoQIhAKvHZjI9QIT8t/3xEGhDCQoA
jxISwCKvBnaZzFQ14Weh
-----END CERTIFICATE REQUEST-----
)";
  EXPECT_EQ(Request::FromPem(kPem).value().key_id(),
            "3cfff6f595223b2fa957054ee633646c51a1ca9a720cef9d1cbe9510dfeb6f76");
}

TEST(Request, OfAnEd25519KeyIsRead) {
  const KeyHandle key = test::MakeEd25519();
  EXPECT_EQ(Request::FromPem(test::ForgeRequest(key.get())).value().key_id().size(), 64u);
}

TEST(Request, KeysOfOtherKindsOrSpellingsAreRefused) {
  for (const auto& make : {test::MakeP384, test::MakeRsa, test::MakeExplicitP256, test::MakeCompressedP256})
    EXPECT_THAT(Refusal(test::ForgeRequest(make().get())), HasSubstr("its key is neither P-256 nor Ed25519"));
}

TEST(Request, SomebodyElsesKeyIsRefused) {
  const KeyHandle victim = test::MakeP256(), thief = test::MakeP256();
  EXPECT_THAT(Refusal(test::ForgeRequest(victim.get(), nullptr, thief.get())),
              HasSubstr("is not signed by the key it asks a certificate for"));
  const KeyHandle other = test::MakeEd25519();
  EXPECT_THAT(Refusal(test::ForgeRequest(victim.get(), nullptr, other.get())), HasSubstr("is not signed by"));
}

TEST(Request, GarbageIsRefused) {
  const std::string pem = MakeRequest(test::MakeKey()).value();
  EXPECT_THAT(Refusal(""), HasSubstr("is empty"));
  EXPECT_THAT(Refusal("GET / HTTP/1.1"),
              HasSubstr("does not start with -----BEGIN CERTIFICATE REQUEST-----"));
  EXPECT_THAT(Refusal(test::MakeKey().ToPem().value()), HasSubstr("is a PEM block of `PRIVATE KEY`"));
  EXPECT_THAT(Refusal(pem + pem), HasSubstr("something follows the PEM block"));
  EXPECT_THAT(Refusal(pem + "\nmore"), HasSubstr("something follows the PEM block"));
  EXPECT_THAT(Refusal(pem + std::string(limits::kPemBytes, ' ')), HasSubstr("at most 8192 are read"));
  EXPECT_THAT(Refusal(std::string(limits::kPemBytes, '-')), HasSubstr("does not start with"));
}

TEST(Request, BytesBehindItAreRefused) {
  const std::string der = test::Unwrap(MakeRequest(test::MakeKey()).value());
  EXPECT_EQ(Refusal(test::Wrap("CERTIFICATE REQUEST", der)), "accepted");
  EXPECT_THAT(Refusal(test::Wrap("CERTIFICATE REQUEST", der + '\0')), HasSubstr("bytes follow its end"));
  EXPECT_THAT(Refusal(test::Wrap("CERTIFICATE REQUEST", der + der)), HasSubstr("bytes follow its end"));
}

TEST(Request, NoPartIsAccepted) {
  const std::string pem = MakeRequest(test::MakeKey()).value();
  for (std::size_t size = 0; size + 1 < pem.size(); ++size)
    EXPECT_NE(Refusal(pem.substr(0, size)), "accepted") << size;
}

TEST(Request, AFlippedBitOfTextNeverMakesAnotherKey) {
  const Key key = test::MakeKey();
  const std::string pem = MakeRequest(key).value();
  for (std::size_t at = 0; at < pem.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      const auto flipped = Request::FromPem(test::Flipped(pem, at, bit));
      EXPECT_TRUE(test::ErrorsAreClean());
      if (flipped.ok()) {
        EXPECT_EQ(flipped->key_id(), key.id()) << "byte " << at << " bit " << bit;
      }
    }
  }
}

TEST(Request, AFlippedOrMissingByteOfItIsRefused) {
  const std::string der = test::Unwrap(MakeRequest(test::MakeKey()).value());
  for (std::size_t at = 0; at < der.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit)
      EXPECT_NE(Refusal(test::Wrap("CERTIFICATE REQUEST", test::Flipped(der, at, bit))), "accepted")
          << "byte " << at << " bit " << bit;
    EXPECT_NE(Refusal(test::Wrap("CERTIFICATE REQUEST", der.substr(0, at))), "accepted") << at;
  }
}

TEST(Request, ALargeOneOfManyAttributesIsBounded) {
  const KeyHandle key = test::MakeP256();
  const std::string pem = test::ForgeRequest(key.get(), [](X509_REQ* request) {
    for (int i = 0; i < 200; ++i)
      test::SetSubject(X509_REQ_get_subject_name(request), "OU", std::string(60, 'x'));
  });
  EXPECT_THAT(Refusal(pem), HasSubstr("at most 8192 are read"));
}

}  // namespace
}  // namespace waggle::tls
