#include "common/tls/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include <set>

#include "common/base/limits.h"
#include "tests/common/tls/forge.h"

namespace waggle::tls {
namespace {

using namespace std::chrono_literals;
using test::kNow;
using test::kWeek;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr WallMillis kMinutes = 60'000;

Request RequestOf(const Key& key) {
  return Request::FromPem(MakeRequest(key).value()).value();
}

template <typename T>
std::string Refusal(const absl::StatusOr<T>& result,
                    absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  EXPECT_TRUE(test::ErrorsAreClean());
  if (result.ok()) return "accepted";
  EXPECT_EQ(result.status().code(), code) << result.status();
  return std::string(result.status().message());
}

std::uint32_t UsesOf(const Certificate& certificate) {
  return X509_get_extended_key_usage(certificate.handle());
}

TEST(Authority, IsMadeFor20Years) {
  const Authority authority = test::MakeAuthority("hive of Anna");
  const Certificate& own = authority.certificate();
  EXPECT_EQ(own.common_name(), "hive of Anna");
  EXPECT_TRUE(own.is_authority());
  EXPECT_EQ(own.role(), std::nullopt);
  EXPECT_EQ(own.key_id(), authority.pin());
  EXPECT_EQ(own.not_before(), kNow - 5 * kMinutes);
  EXPECT_EQ(own.not_after(), 2'431'152'000'000);  // 2047-01-15 08:00:00 UTC
  EXPECT_EQ(X509_get_pathlen(own.handle()), 0);
  EXPECT_EQ(X509_get_key_usage(own.handle()), std::uint32_t{KU_KEY_CERT_SIGN | KU_CRL_SIGN});
  EXPECT_EQ(X509_check_issued(own.handle(), own.handle()), X509_V_OK);
  EXPECT_EQ(X509_verify(own.handle(), test::Open(authority.key()).get()), 1);
}

TEST(Authority, SurvivesBeingWrittenAndRead) {
  const Authority made = test::MakeAuthority();
  const Authority read = Authority::FromPem(made.key().ToPem().value(), made.certificate().pem()).value();
  EXPECT_EQ(read.pin(), made.pin());
  EXPECT_EQ(read.certificate().pem(), made.certificate().pem());
  const Certificate drone = test::MakeDrone(read, test::MakeKey());
  EXPECT_TRUE(Verify(drone, made.certificate(), {Role::kDrone}, kNow).ok());
}

TEST(Authority, FilesThatDoNotBelongTogetherAreRefused) {
  const Authority one = test::MakeAuthority(), other = test::MakeAuthority();
  const std::string key = one.key().ToPem().value();
  EXPECT_THAT(Refusal(Authority::FromPem(key, other.certificate().pem())),
              HasSubstr("it is for the key " + other.pin() + ", but the file has " + one.pin()));
  EXPECT_THAT(Refusal(Authority::FromPem("", one.certificate().pem())), HasSubstr("private key: is empty"));
  EXPECT_THAT(Refusal(Authority::FromPem(key, "")), HasSubstr("certificate: is empty"));
  EXPECT_THAT(Refusal(Authority::FromPem(one.certificate().pem(), key)),
              HasSubstr("private key: is a PEM block of `CERTIFICATE`"));
  const Key drone = test::MakeKey();
  EXPECT_THAT(Refusal(Authority::FromPem(drone.ToPem().value(), test::MakeDrone(one, drone).pem())),
              HasSubstr("that of `bee-05` is not one of an authority"));
  const std::string relabelled =
      test::ForgeCertificate(other, test::Open(one.key()).get(), "hive",
                             [](X509* x) { test::AddExtension(x, "basicConstraints", "critical,CA:TRUE"); });
  EXPECT_THAT(Refusal(Authority::FromPem(key, relabelled)),
              HasSubstr("the authority did not sign its own certificate"));
}

TEST(Authority, NamesAreOneReadableLine) {
  EXPECT_EQ(Refusal(Authority::Create(std::string(128, 'x'), kNow)), "accepted");
  EXPECT_EQ(Refusal(Authority::Create("B\xC3\xBCro", kNow)), "accepted");
  EXPECT_THAT(Refusal(Authority::Create("", kNow)), HasSubstr("name: has 0 bytes; 1 to 128 are allowed"));
  EXPECT_THAT(Refusal(Authority::Create(std::string(129, 'x'), kNow)), HasSubstr("name: has 129 bytes"));
  for (const std::string& bad :
       {std::string("a\nb"), std::string("a\0b", 3), std::string("a\x1b[1m"), std::string("\xff")})
    EXPECT_THAT(Refusal(Authority::Create(bad, kNow)), HasSubstr("has a control character or is not UTF-8"));
}

TEST(Authority, AClockThatCannotBeIsRefused) {
  for (WallMillis now :
       {WallMillis{0}, WallMillis{-1}, INT64_MIN, INT64_MAX, WallMillis{253'402'300'799'000}})
    EXPECT_THAT(Refusal(Authority::Create("hive", now)), HasSubstr("now: ")) << now;
  const Authority late = test::MakeAuthority("hive", 253'402'300'798'999);
  EXPECT_EQ(late.certificate().not_after(), 253'402'300'799'000);
}

TEST(Authority, SignsDronesAndUsers) {
  const Authority authority = test::MakeAuthority();
  const Key key = test::MakeKey();
  for (Role role : {Role::kDrone, Role::kUser}) {
    const Certificate made = authority.Sign(RequestOf(key), role, "bee-05", kNow + 999, kWeek).value();
    EXPECT_EQ(made.role(), role);
    EXPECT_EQ(made.common_name(), "bee-05");
    EXPECT_EQ(made.key_id(), key.id());
    EXPECT_FALSE(made.is_authority());
    EXPECT_THAT(made.names(), ElementsAre());
    EXPECT_EQ(made.not_before(), kNow - 5 * kMinutes);
    EXPECT_EQ(made.not_after(), kNow + 7 * 24 * 60 * kMinutes);
    EXPECT_EQ(UsesOf(made), std::uint32_t{XKU_SSL_CLIENT});
    EXPECT_EQ(X509_get_key_usage(made.handle()), std::uint32_t{KU_DIGITAL_SIGNATURE});
    EXPECT_EQ(X509_get_ext_count(made.handle()), 6);  // rights (3), role, two key ids
    EXPECT_TRUE(Verify(made, authority.certificate(), {role}, kNow).ok());
  }
}

TEST(Authority, SignsForAnEd25519Key) {
  const Authority authority = test::MakeAuthority();
  const Request request = Request::FromPem(test::ForgeRequest(test::MakeEd25519().get())).value();
  const Certificate made = authority.Sign(request, Role::kDrone, "bee", kNow, kWeek).value();
  EXPECT_EQ(made.key_id(), request.key_id());
  EXPECT_TRUE(Verify(made, authority.certificate(), {Role::kDrone}, kNow).ok());
}

TEST(Authority, NothingButTheKeyOfARequestCounts) {
  const Authority authority = test::MakeAuthority();
  const KeyHandle key = test::MakeP256();
  const std::string pem = test::ForgeRequest(key.get(), [](X509_REQ* request) {
    X509_NAME* subject = X509_REQ_get_subject_name(request);
    test::SetSubject(subject, "CN", "queen");
    test::SetSubject(subject, "OU", "waggle:queen");
    test::AskFor(request, {{"basicConstraints", "critical,CA:TRUE"},
                           {"keyUsage", "critical,keyCertSign,cRLSign"},
                           {"extendedKeyUsage", "serverAuth,anyExtendedKeyUsage"},
                           {"subjectAltName", "DNS:ci.example.com,IP:127.0.0.1,URI:waggle:queen"},
                           {"subjectKeyIdentifier", "00:11"}});
  });
  const Request request = Request::FromPem(pem).value();
  const Certificate made = authority.Sign(request, Role::kDrone, "bee-05", kNow, kWeek).value();
  EXPECT_EQ(made.common_name(), "bee-05");
  EXPECT_EQ(X509_NAME_entry_count(X509_get_subject_name(made.handle())), 1);
  EXPECT_FALSE(made.is_authority());
  EXPECT_EQ(made.role(), Role::kDrone);
  EXPECT_THAT(made.names(), ElementsAre());
  EXPECT_EQ(UsesOf(made), std::uint32_t{XKU_SSL_CLIENT});
  EXPECT_EQ(X509_get_key_usage(made.handle()), std::uint32_t{KU_DIGITAL_SIGNATURE});
  EXPECT_EQ(X509_get_ext_count(made.handle()), 6);
  EXPECT_EQ(Verify(made, authority.certificate(), {Role::kQueen}, kNow).code(),
            absl::StatusCode::kPermissionDenied);

  // Nor can its holder sign certificates of others.
  const std::string below = test::ForgeSelfSigned(test::MakeP256().get(), "bee-06", [&](X509* x) {
    X509_set_issuer_name(x, X509_get_subject_name(made.handle()));
  });
  EXPECT_EQ(Verify(Certificate::FromPem(below).value(), made, {Role::kDrone}, kNow).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Authority, WhatCannotBeSignedIsRefused) {
  const Authority authority = test::MakeAuthority();
  const Request request = RequestOf(test::MakeKey());
  const auto sign = [&](Role role, std::string_view name, std::chrono::seconds validity) {
    return Refusal(authority.Sign(request, role, name, kNow, validity));
  };
  EXPECT_EQ(sign(Role::kDrone, std::string(128, 'x'), 1s), "accepted");
  EXPECT_THAT(sign(Role::kQueen, "q", kWeek), HasSubstr("role: only drones and users"));
  EXPECT_THAT(sign(static_cast<Role>(0), "q", kWeek), HasSubstr("role: only drones and users"));
  EXPECT_THAT(sign(static_cast<Role>(9), "q", kWeek), HasSubstr("role: only drones and users"));
  EXPECT_THAT(sign(Role::kDrone, "", kWeek), HasSubstr("name: has 0 bytes"));
  EXPECT_THAT(sign(Role::kDrone, std::string(129, 'x'), kWeek), HasSubstr("name: has 129 bytes"));
  EXPECT_THAT(sign(Role::kDrone, "a\nb", kWeek), HasSubstr("name: `a b` has a control character"));
  EXPECT_THAT(sign(Role::kDrone, "a", 0s), HasSubstr("validity: 0 seconds; at least 1"));
  EXPECT_THAT(sign(Role::kDrone, "a", -kWeek), HasSubstr("validity: -604800 seconds"));
  EXPECT_THAT(sign(Role::kDrone, "a", std::chrono::seconds::min()), HasSubstr("validity: "));
}

TEST(Authority, NothingOutlivesIt) {
  const Authority authority = test::MakeAuthority();
  const Request request = RequestOf(test::MakeKey());
  const WallMillis end = authority.certificate().not_after();
  for (std::chrono::seconds validity : {std::chrono::seconds::max(), std::chrono::seconds(100 * 365 * 24h)})
    EXPECT_EQ(authority.Sign(request, Role::kDrone, "a", kNow, validity).value().not_after(), end);
  EXPECT_EQ(authority.Sign(request, Role::kDrone, "a", end - 1, kWeek).value().not_after(), end);
  EXPECT_THAT(
      Refusal(authority.Sign(request, Role::kDrone, "a", end, kWeek), absl::StatusCode::kUnauthenticated),
      HasSubstr("the authority `hive` has been expired since 2047-01-15 08:00:00 UTC"));
  EXPECT_THAT(Refusal(authority.Sign(request, Role::kDrone, "a", kNow - 5 * kMinutes - 1, kWeek),
                      absl::StatusCode::kUnauthenticated),
              HasSubstr("the authority `hive` is not valid before 2027-01-15 07:55:00 UTC"));
}

TEST(Authority, SerialsAreNeverTheSame) {
  const Authority authority = test::MakeAuthority();
  const Request request = RequestOf(test::MakeKey());
  std::set<std::string> serials;
  std::size_t longest = 0;
  for (int i = 0; i < 500; ++i) {
    const std::string serial = authority.Sign(request, Role::kDrone, "a", kNow, kWeek).value().serial();
    EXPECT_TRUE(serials.insert(serial).second);
    longest = std::max(longest, serial.size());
  }
  EXPECT_EQ(longest, 32u);
}

TEST(Authority, IssuesAQueen) {
  const Authority authority = test::MakeAuthority();
  const Key key = test::MakeKey();
  const Certificate queen =
      test::MakeQueen(authority, key, {"ci.example.com", "127.0.0.1", "2001:db8::17", "localhost"});
  EXPECT_EQ(queen.role(), Role::kQueen);
  EXPECT_EQ(queen.key_id(), key.id());
  EXPECT_FALSE(queen.is_authority());
  EXPECT_THAT(queen.names(), ElementsAre("ci.example.com", "127.0.0.1", "2001:db8::17", "localhost"));
  EXPECT_EQ(UsesOf(queen), std::uint32_t{XKU_SSL_SERVER | XKU_SSL_CLIENT});
  EXPECT_EQ(X509_check_host(queen.handle(), "CI.example.com", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(queen.handle(), "example.com", 0, 0, nullptr), 0);
  EXPECT_EQ(X509_check_ip_asc(queen.handle(), "2001:db8::17", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(queen.handle(), "127.0.0.2", 0), 0);
  EXPECT_TRUE(Verify(queen, authority.certificate(), {Role::kQueen}, kNow).ok());
}

TEST(Authority, AQueenOfTheMostAndLongestNamesCanBeRead) {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
  std::vector<std::string> names(limits::kQueenNames, longest);
  const Certificate queen =
      test::MakeQueen(test::MakeAuthority(std::string(128, 'x')), test::MakeKey(), names);
  EXPECT_EQ(queen.names(), names);
}

TEST(Authority, NamesOfAQueenAreChecked) {
  const Authority authority = test::MakeAuthority();
  const Key key = test::MakeKey();
  const auto issue = [&](const std::vector<std::string>& names) {
    return Refusal(authority.IssueQueen(key, names, kNow, kWeek));
  };
  EXPECT_THAT(issue({}), HasSubstr("names: 0 are given; 1 to 16 are allowed"));
  EXPECT_THAT(issue(std::vector<std::string>(17, "a")), HasSubstr("names: 17 are given"));
  EXPECT_THAT(issue({"a", ""}), HasSubstr("names[1]: `` is neither a host name nor an IP address"));
  EXPECT_THAT(issue({"*.example.com"}), HasSubstr("names[0]: `*.example.com` is neither"));
  EXPECT_THAT(issue({"a,URI:waggle:user"}), HasSubstr("names[0]"));
  EXPECT_THAT(issue({std::string("a\0.example.com", 14)}), HasSubstr("names[0]"));
}

}  // namespace
}  // namespace waggle::tls
