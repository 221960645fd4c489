#include "common/tls/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "common/base/limits.h"
#include "tests/common/tls/forge.h"

namespace waggle::tls {
namespace {

using test::kNow;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr auto kOk = absl::StatusCode::kOk;
constexpr auto kStranger = absl::StatusCode::kUnauthenticated;

std::string Refusal(std::string_view pem) {
  const auto certificate = Certificate::FromPem(pem);
  EXPECT_TRUE(test::ErrorsAreClean());
  if (certificate.ok()) return "accepted";
  EXPECT_EQ(certificate.status().code(), absl::StatusCode::kInvalidArgument) << certificate.status();
  EXPECT_THAT(std::string(certificate.status().message()), testing::StartsWith("certificate: "));
  return std::string(certificate.status().message());
}

// What Verify says of a certificate made of this PEM: the code, and the words to look for.
void ExpectVerdict(const std::string& pem, const Authority& authority, absl::StatusCode code,
                   const std::string& words, WallMillis now = kNow) {
  const auto certificate = Certificate::FromPem(pem);
  ASSERT_TRUE(certificate.ok()) << certificate.status();
  const absl::Status status = Verify(*certificate, authority.certificate(), {Role::kDrone}, now);
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(words));
  EXPECT_TRUE(test::ErrorsAreClean());
}

void MakeDroneRole(X509* x) {
  test::AddExtension(x, "subjectAltName", "URI:waggle:drone");
}

TEST(Certificate, SaysWhatIsInIt) {
  const Authority authority = test::MakeAuthority();
  const std::string pem = test::ForgeCertificate(authority, test::MakeP256().get(), "ci", [](X509* x) {
    test::AddExtension(
        x, "subjectAltName",
        "email:a@example.com,DNS:ci.example.com,IP:10.0.0.1,URI:https://x,URI:waggle:queen,IP:::1");
  });
  const Certificate read = Certificate::FromPem(pem).value();
  EXPECT_EQ(read.pem(), pem);
  EXPECT_EQ(read.common_name(), "ci");
  EXPECT_EQ(read.serial(), "4d");
  EXPECT_EQ(read.not_before(), kNow - 60'000);
  EXPECT_EQ(read.not_after(), kNow + 3'600'000);
  EXPECT_EQ(read.role(), Role::kQueen);
  EXPECT_THAT(read.names(), ElementsAre("ci.example.com", "10.0.0.1", "::1"));
  EXPECT_FALSE(read.is_authority());
}

TEST(Certificate, WithoutNamesOrRoleIsRead) {
  const Certificate read = Certificate::FromPem(test::ForgeSelfSigned(test::MakeRsa().get(), "")).value();
  EXPECT_EQ(read.common_name(), "");
  EXPECT_EQ(read.role(), std::nullopt);
  EXPECT_THAT(read.names(), ElementsAre());
}

// OpenSSL has softer answers for old or half-filled certificates; an authority of ours says it outright.
TEST(Certificate, OnlyAnExplicitAuthorityIsOne) {
  const auto is_authority = [](const std::function<void(X509*)>& change) {
    return Certificate::FromPem(test::ForgeSelfSigned(test::MakeP256().get(), "a", change))
        .value()
        .is_authority();
  };
  EXPECT_TRUE(is_authority([](X509* x) { test::AddExtension(x, "basicConstraints", "critical,CA:TRUE"); }));
  EXPECT_FALSE(is_authority([](X509* x) { test::AddExtension(x, "basicConstraints", "critical,CA:FALSE"); }));
  EXPECT_FALSE(is_authority([](X509* x) { test::AddExtension(x, "keyUsage", "critical,keyCertSign"); }));
  EXPECT_FALSE(is_authority([](X509* x) { X509_set_version(x, X509_VERSION_1); }));
  EXPECT_FALSE(is_authority([](X509* x) {
    test::AddExtension(x, "basicConstraints", "critical,CA:TRUE");
    test::AddExtension(x, "keyUsage", "critical,digitalSignature");
  }));
}

TEST(Certificate, TimesOfEveryFormAreRead) {
  const auto with = [](const char* time) {
    return Certificate::FromPem(test::ForgeSelfSigned(test::MakeP256().get(), "a",
                                                      [&](X509* x) {
                                                        ASN1_TIME_set_string(X509_getm_notBefore(x), time);
                                                        ASN1_TIME_set_string(X509_getm_notAfter(x), time);
                                                      }))
        .value()
        .not_after();
  };
  EXPECT_EQ(with("500101000000Z"), -631'152'000'000);
  EXPECT_EQ(with("700101000000Z"), 0);
  EXPECT_EQ(with("491231235959Z"), 2'524'607'999'000);
  EXPECT_EQ(with("20500101000000Z"), 2'524'608'000'000);
  EXPECT_EQ(with("99991231235959Z"), 253'402'300'799'000);
  EXPECT_EQ(with("00010101000000Z"), -62'135'596'800'000);
}

TEST(Certificate, HostileContentIsRefusedByItsField) {
  const auto with = [](const std::function<void(X509*)>& change) {
    return Refusal(test::ForgeSelfSigned(test::MakeP256().get(), "", change));
  };
  const auto named = [&](std::string_view name) {
    return with([&](X509* x) { test::SetSubject(X509_get_subject_name(x), "CN", name); });
  };
  EXPECT_EQ(named(std::string(128, 'x')), "accepted");
  EXPECT_THAT(named(std::string(129, 'x')), HasSubstr("its common name has 129 bytes; at most 128"));
  EXPECT_THAT(named(std::string_view("a\0b", 3)), HasSubstr("its common name has a NUL byte at byte 1"));
  EXPECT_THAT(named("a\x1b[1m"), HasSubstr("its common name has a control character at byte 1"));
  std::string der = test::Unwrap(test::ForgeSelfSigned(test::MakeP256().get(), "not UTF-8"));
  der.replace(der.rfind("not UTF-8"), 3, "\xff\xfe\xff");  // the subject stands behind the issuer
  EXPECT_THAT(Refusal(test::Wrap("CERTIFICATE", der)), HasSubstr("cannot be read"));
  EXPECT_THAT(with([](X509* x) {
                test::SetSubject(X509_get_subject_name(x), "CN", "a");
                test::SetSubject(X509_get_subject_name(x), "CN", "b");
              }),
              HasSubstr("it has two common names"));
  const auto serial = [&](const char* hex) {
    return with([&](X509* x) {
      BIGNUM* number = nullptr;
      BN_hex2bn(&number, hex);
      BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
      BN_free(number);
    });
  };
  EXPECT_EQ(serial("7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"), "accepted");
  EXPECT_THAT(serial("-5"), HasSubstr("its serial number is negative or longer than 20 bytes"));
  EXPECT_THAT(serial("010000000000000000000000000000000000000000"), HasSubstr("its serial number"));
  const auto extended = [&](const char* name, const std::string& value) {
    return with([&](X509* x) { test::AddExtension(x, name, value); });
  };
  EXPECT_THAT(extended("subjectAltName", "URI:waggle:root"),
              HasSubstr("it names two roles, or one that is unknown"));
  EXPECT_THAT(extended("subjectAltName", "URI:waggle:"), HasSubstr("two roles, or one that is unknown"));
  EXPECT_THAT(extended("subjectAltName", "URI:waggle:drone,URI:waggle:user"), HasSubstr("two roles"));
  EXPECT_THAT(extended("subjectAltName", "URI:waggle:drone,URI:waggle:drone"), HasSubstr("two roles"));
  EXPECT_THAT(extended("subjectAltName", "DNS:*.example.com"),
              HasSubstr("alternative names: `*.example.com`"));
  EXPECT_THAT(extended("subjectAltName", "DER:30:80"), HasSubstr("cannot be read"));
  EXPECT_THAT(extended("subjectAltName", "DER:30:05:87:03:01:02:03"), HasSubstr("neither 4 nor 16 bytes"));
  EXPECT_THAT(extended("subjectAltName", "DER:30:05:82:03:61:00:62"), HasSubstr("alternative names: `a?b`"));
  EXPECT_THAT(extended("basicConstraints", "DER:05:00"), HasSubstr("one of its extensions cannot be read"));
  EXPECT_THAT(with([](X509* x) {
                MakeDroneRole(x);
                MakeDroneRole(x);
              }),
              HasSubstr("cannot be read"));
}

TEST(Certificate, GarbageIsRefused) {
  const std::string pem = test::MakeAuthority().certificate().pem();
  EXPECT_THAT(Refusal(""), HasSubstr("is empty"));
  EXPECT_THAT(Refusal("\xff\xd8\xff"), HasSubstr("does not start with -----BEGIN CERTIFICATE-----"));
  EXPECT_THAT(Refusal(MakeRequest(test::MakeKey()).value()),
              HasSubstr("a PEM block of `CERTIFICATE REQUEST`"));
  EXPECT_THAT(Refusal(pem + pem), HasSubstr("something follows the PEM block"));
  EXPECT_THAT(Refusal(pem + std::string(limits::kPemBytes, '\n')), HasSubstr("at most 8192 are read"));
  EXPECT_THAT(Refusal(test::Wrap("CERTIFICATE", test::Unwrap(pem) + "x")), HasSubstr("bytes follow its end"));
  EXPECT_THAT(Refusal(test::Wrap("CERTIFICATE", std::string(5000, '\x30'))), HasSubstr("cannot be read"));
}

TEST(Certificate, WhatWasFlippedOrCutIsNotVerified) {
  const Authority authority = test::MakeAuthority();
  const std::string der = test::Unwrap(test::MakeDrone(authority, test::MakeKey()).pem());
  const auto verified = [&](const std::string& bytes) {
    const auto read = Certificate::FromPem(test::Wrap("CERTIFICATE", bytes));
    EXPECT_TRUE(test::ErrorsAreClean());
    return read.ok() && Verify(*read, authority.certificate(), {Role::kDrone}, kNow).ok();
  };
  EXPECT_TRUE(verified(der));
  for (std::size_t at = 0; at < der.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit)
      EXPECT_FALSE(verified(test::Flipped(der, at, bit))) << "byte " << at << " bit " << bit;
    EXPECT_FALSE(verified(der.substr(0, at))) << at;
  }
}

TEST(Certificate, AFlippedAuthorityVouchesForNobody) {
  const Authority authority = test::MakeAuthority();
  const Certificate drone = test::MakeDrone(authority, test::MakeKey());
  const std::string der = test::Unwrap(authority.certificate().pem());
  for (std::size_t at = 0; at < der.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      const auto flipped = Certificate::FromPem(test::Wrap("CERTIFICATE", test::Flipped(der, at, bit)));
      if (flipped.ok()) {
        EXPECT_FALSE(Verify(drone, *flipped, {Role::kDrone}, kNow).ok()) << at << " bit " << bit;
      }
    }
  }
}

TEST(Certificate, AFlippedBitOfTextIsHarmless) {
  const Authority authority = test::MakeAuthority();
  const std::string pem = test::MakeDrone(authority, test::MakeKey()).pem();
  for (std::size_t at = 0; at < pem.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      const auto read = Certificate::FromPem(test::Flipped(pem, at, bit));
      if (read.ok() && Verify(*read, authority.certificate(), {Role::kDrone}, kNow).ok()) {
        EXPECT_EQ(read->pem(), pem) << at << " bit " << bit;
      }
    }
    EXPECT_TRUE(at + 1 == pem.size() || !Certificate::FromPem(pem.substr(0, at)).ok()) << at;
  }
}

TEST(Verify, AnotherIssuerIsRefused) {
  const Authority ours = test::MakeAuthority("hive"), namesake = test::MakeAuthority("hive"),
                  other = test::MakeAuthority("elsewhere");
  const Key key = test::MakeKey();
  const std::string words =
      "the certificate of `bee-05` was issued by another authority than `hive` (pin " + ours.pin() + ")";
  ExpectVerdict(test::MakeDrone(ours, key).pem(), ours, kOk, "");
  ExpectVerdict(test::MakeDrone(namesake, key).pem(), ours, kStranger, words);
  ExpectVerdict(test::MakeDrone(other, key).pem(), ours, kStranger, words);
  ExpectVerdict(test::ForgeSelfSigned(test::MakeP256().get(), "bee-05", MakeDroneRole), ours, kStranger,
                words);
  // Its names and dates are right, only the signature is not: nothing but the key tells.
  ExpectVerdict(test::ForgeCertificate(namesake, test::MakeP256().get(), "bee-05", MakeDroneRole), ours,
                kStranger, words);
}

TEST(Verify, OpensslItselfAgreesAboutAForeignAuthority) {
  const Authority ours = test::MakeAuthority("hive"), namesake = test::MakeAuthority("hive");
  const Key key = test::MakeKey();
  EXPECT_EQ(X509_verify(test::MakeDrone(ours, key).handle(), test::Open(ours.key()).get()), 1);
  EXPECT_NE(X509_verify(test::MakeDrone(namesake, key).handle(), test::Open(ours.key()).get()), 1);
  ERR_clear_error();
}

TEST(Verify, TheAuthorityItselfIsNoDrone) {
  const Authority ours = test::MakeAuthority("hive");
  ExpectVerdict(ours.certificate().pem(), ours, absl::StatusCode::kPermissionDenied,
                "was issued for no role; here one of a drone is needed");
}

TEST(Verify, OnlyAnAuthorityVouches) {
  const Authority ours = test::MakeAuthority();
  const Certificate drone = test::MakeDrone(ours, test::MakeKey());
  const Certificate queen = test::MakeQueen(ours, test::MakeKey(), {"ci"});
  for (const Certificate* no_authority : {&drone, &queen}) {
    const absl::Status status = Verify(drone, *no_authority, {Role::kDrone}, kNow);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("is not one of an authority: it cannot vouch for others"));
  }
}

TEST(Verify, ACopyOfTheAuthorityThatItDidNotSignIsRefused) {
  const Authority ours = test::MakeAuthority("hive"), thief = test::MakeAuthority("hive");
  // The right key, and with it the right pin, under a certificate that somebody else wrote.
  const std::string copy = test::ForgeCertificate(thief, test::Open(ours.key()).get(), "hive", [](X509* x) {
    test::AddExtension(x, "basicConstraints", "critical,CA:TRUE");
    test::AddExtension(x, "keyUsage", "critical,keyCertSign");
  });
  const Certificate read = Certificate::FromPem(copy).value();
  EXPECT_EQ(read.key_id(), ours.pin());
  EXPECT_EQ(Verify(test::MakeDrone(ours, test::MakeKey()), read, {Role::kDrone}, kNow).code(), kStranger);
}

TEST(Verify, ADroneNamedLikeItsAuthorityIsStillADrone) {
  const Authority ours = test::MakeAuthority("hive");
  ExpectVerdict(test::MakeDrone(ours, test::MakeKey(), "hive").pem(), ours, kOk, "");
}

TEST(Verify, TimeIsExactAtTheMillisecond) {
  const Authority ours = test::MakeAuthority("hive", kNow - 86'400'000);
  const Certificate drone = test::MakeDrone(ours, test::MakeKey());
  ExpectVerdict(drone.pem(), ours, kOk, "", drone.not_before());
  ExpectVerdict(drone.pem(), ours, kStranger,
                "the certificate of `bee-05` is not valid before 2027-01-15 07:55:00 UTC, and it is "
                "2027-01-15 07:54:59 "
                "UTC here; the clock of this host or of the queen's may be wrong",
                drone.not_before() - 1);
  ExpectVerdict(drone.pem(), ours, kOk, "", drone.not_after() - 1);
  ExpectVerdict(drone.pem(), ours, kStranger,
                "the certificate of `bee-05` has been expired since 2027-01-22 08:00:00 UTC; renew it",
                drone.not_after());
  for (WallMillis now : {WallMillis{0}, INT64_MIN})
    ExpectVerdict(drone.pem(), ours, kStranger, "not valid before", now);
  ExpectVerdict(drone.pem(), ours, kStranger, "has been expired since", INT64_MAX);
}

TEST(Verify, AnExpiredAuthorityVouchesForNobody) {
  const Authority ours = test::MakeAuthority("hive");
  const std::string immortal = test::ForgeCertificate(ours, test::MakeP256().get(), "bee-05", [](X509* x) {
    MakeDroneRole(x);
    ASN1_TIME_set_string(X509_getm_notAfter(x), "99991231235959Z");
  });
  ExpectVerdict(immortal, ours, kOk, "", ours.certificate().not_after() - 1);
  ExpectVerdict(immortal, ours, kStranger,
                "the authority `hive` has been expired since 2047-01-15 08:00:00 UTC",
                ours.certificate().not_after());
}

TEST(Verify, AnotherRoleIsRefused) {
  const Authority ours = test::MakeAuthority("hive");
  const Certificate queen = test::MakeQueen(ours, test::MakeKey(), {"ci.example.com"});
  const absl::Status status = Verify(queen, ours.certificate(), {Role::kDrone, Role::kUser}, kNow);
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("was issued for a queen; here one of a drone or user is needed"));
  ExpectVerdict(test::ForgeCertificate(ours, test::MakeP256().get(), "bee-05"), ours,
                absl::StatusCode::kPermissionDenied, "was issued for no role");
  EXPECT_TRUE(Verify(queen, ours.certificate(), {Role::kDrone, Role::kQueen}, kNow).ok());
  EXPECT_FALSE(Verify(queen, ours.certificate(), {}, kNow).ok());
}

TEST(Verify, AnUnknownCriticalExtensionIsRefused) {
  const Authority ours = test::MakeAuthority("hive");
  const std::string pem = test::ForgeCertificate(ours, test::MakeP256().get(), "bee-05", [](X509* x) {
    MakeDroneRole(x);
    test::AddExtension(x, "1.2.3.4", "critical,DER:05:00");
  });
  ExpectVerdict(pem, ours, kStranger, "is refused: unhandled critical extension");
}

}  // namespace
}  // namespace waggle::tls
