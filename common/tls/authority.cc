#include "common/tls/authority.h"

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/tls/extensions.h"
#include "common/tls/pem.h"
#include "common/tls/utc.h"

namespace waggle::tls {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds kClockSkew = 5min;
constexpr std::chrono::seconds kAuthorityValidity =
    20 * 365 * 24h + 5 * 24h;                        // 20 years, 5 of them leap years
constexpr WallMillis kLatest = 253'402'300'799'000;  // the last second of the year 9999
constexpr std::size_t kSerialBytes = 16;

// `text` is a line that a terminal can show.
absl::Status CheckName(std::string_view text) {
  if (text.empty() || text.size() > limits::kNameBytes)
    return absl::InvalidArgumentError(
        absl::StrCat("name: has ", text.size(), " bytes; 1 to ", limits::kNameBytes, " are allowed"));
  if (FindBadByte(text, true) || text.find_first_of("\t\r\n") != std::string_view::npos)
    return absl::InvalidArgumentError(
        absl::StrCat("name: ", Quoted(text), " has a control character or is not UTF-8"));
  return absl::OkStatus();
}

// From when to when a certificate is valid, in seconds since the Unix epoch.
struct Period {
  time_t from, until;
};

absl::StatusOr<Period> PeriodOf(WallMillis now, std::chrono::seconds validity, WallMillis latest) {
  if (now <= std::chrono::milliseconds(kClockSkew).count() || now >= latest)
    return absl::InvalidArgumentError(
        absl::StrCat("now: ", UtcText(now), " cannot be; set the clock of this host"));
  if (validity < 1s)
    return absl::InvalidArgumentError(
        absl::StrCat("validity: ", validity.count(), " seconds; at least 1 is needed"));
  const time_t from = now / 1000;
  return Period{from - static_cast<time_t>(kClockSkew.count()),
                from + std::min<time_t>(validity.count(), latest / 1000 - from)};
}

bool SetSerial(X509* certificate) {
  std::array<unsigned char, kSerialBytes> bytes;
  if (RAND_bytes(bytes.data(), bytes.size()) != 1) return false;
  std::unique_ptr<BIGNUM, Free<BN_free>> number(BN_bin2bn(bytes.data(), bytes.size(), nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

// As UTF8String outright: the functions that choose a type also hold X.520's bound of 64 characters, which no
// verifier does, and drones may have longer names.
bool SetSubject(X509* certificate, std::string_view name) {
  return X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, V_ASN1_UTF8STRING,
                                    reinterpret_cast<const unsigned char*>(name.data()),
                                    static_cast<int>(name.size()), -1, 0) == 1;
}

// A certificate for `key` with everything but extensions, issuer and signature; null: OpenSSL failed.
CertificateHandle Start(EVP_PKEY* key, std::string_view name, const Period& period) {
  CertificateHandle x(X509_new());
  const bool made = x && X509_set_version(x.get(), X509_VERSION_3) == 1 && SetSerial(x.get()) &&
                    SetSubject(x.get(), name) && X509_set_pubkey(x.get(), key) == 1 &&
                    ASN1_TIME_set(X509_getm_notBefore(x.get()), period.from) != nullptr &&
                    ASN1_TIME_set(X509_getm_notAfter(x.get()), period.until) != nullptr;
  if (!made) x.reset();
  return x;
}

// Signs and reads it back: what is handed out is what our own parser accepts.
absl::StatusOr<Certificate> Finish(X509* certificate, X509* issuer, const Key& key) {
  const bool made = X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
                    X509_sign(certificate, key.handle(), EVP_sha256()) > 0;
  if (!made) return OpensslFailed("cannot sign a certificate");
  ASSIGN_OR_RETURN(std::string pem,
                   WritePem("certificate", [&](BIO* out) { return PEM_write_bio_X509(out, certificate); }));
  return Certificate::FromPem(pem);
}

// The holder of a certificate that is about to be issued.
struct Holder {
  EVP_PKEY* key;
  const KeyId& key_id;
  std::string_view name;
  std::vector<AlternativeName> alternatives;
  bool server;
};

absl::StatusOr<Certificate> Issue(const Authority& authority, const Holder& holder, WallMillis now,
                                  std::chrono::seconds validity) {
  CleanErrors clean;
  const Certificate& ca = authority.certificate();
  RETURN_IF_ERROR(ca.CheckTime(now));
  ASSIGN_OR_RETURN(const Period period, PeriodOf(now, validity, ca.not_after()));
  const CertificateHandle x = Start(holder.key, holder.name, period);
  if (!x || !AddHolderRights(x.get(), holder.server) || !AddAlternativeNames(x.get(), holder.alternatives) ||
      !AddKeyIds(x.get(), holder.key_id, ca.handle()))
    return OpensslFailed("cannot make a certificate");
  return Finish(x.get(), ca.handle(), authority.key());
}

}  // namespace

absl::StatusOr<Authority> Authority::Create(std::string_view name, WallMillis now) {
  CleanErrors clean;
  RETURN_IF_ERROR(CheckName(name));
  ASSIGN_OR_RETURN(const Period period, PeriodOf(now, kAuthorityValidity, kLatest));
  ASSIGN_OR_RETURN(Key key, Key::Generate());
  const CertificateHandle x = Start(key.handle(), name, period);
  if (!x || !AddAuthorityRights(x.get()) || !AddKeyIds(x.get(), key.id(), nullptr))
    return OpensslFailed("cannot make the certificate of an authority");
  ASSIGN_OR_RETURN(Certificate certificate, Finish(x.get(), x.get(), key));
  return Authority(std::move(key), std::move(certificate));
}

absl::StatusOr<Authority> Authority::FromPem(std::string_view key, std::string_view certificate) {
  CleanErrors clean;
  ASSIGN_OR_RETURN(Key own, Key::FromPem(key));
  ASSIGN_OR_RETURN(Certificate ca, Certificate::FromPem(certificate));
  if (!ca.is_authority())
    return absl::InvalidArgumentError(absl::StrCat("certificate: that of ", Quoted(ca.common_name()),
                                                   " is not one of an authority; take the authority's own"));
  if (ca.key_id() != own.id())
    return absl::InvalidArgumentError(absl::StrCat("certificate: it is for the key ", ca.key_id(),
                                                   ", but the file has ", own.id(),
                                                   "; take the pair that was made together"));
  if (X509_verify(ca.handle(), own.handle()) != 1)
    return BadInput("certificate: the authority did not sign its own certificate");
  return Authority(std::move(own), std::move(ca));
}

absl::StatusOr<Certificate> Authority::IssueQueen(const Key& key, std::span<const std::string> names,
                                                  WallMillis now, std::chrono::seconds validity) const {
  if (names.empty() || names.size() > limits::kQueenNames)
    return absl::InvalidArgumentError(
        absl::StrCat("names: ", names.size(), " are given; 1 to ", limits::kQueenNames, " are allowed"));
  Holder holder{key.handle(), key.id(), "queen", {NameOfRole(Role::kQueen)}, true};
  for (std::size_t i = 0; i < names.size(); ++i) {
    ASSIGN_OR_RETURN(AlternativeName name, NameOfHost(absl::StrCat("names[", i, "]"), names[i]));
    holder.alternatives.push_back(std::move(name));
  }
  return Issue(*this, holder, now, validity);
}

absl::StatusOr<Certificate> Authority::Sign(const Request& request, Role role, std::string_view name,
                                            WallMillis now, std::chrono::seconds validity) const {
  if (role != Role::kDrone && role != Role::kUser)
    return absl::InvalidArgumentError("role: only drones and users get a certificate on request");
  RETURN_IF_ERROR(CheckName(name));
  return Issue(*this, {request.public_key(), request.key_id(), name, {NameOfRole(role)}, false}, now,
               validity);
}

}  // namespace waggle::tls
