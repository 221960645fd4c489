#include "common/tls/certificate.h"

#include <openssl/asn1.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <time.h>

#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/tls/host_name.h"
#include "common/tls/pem.h"

namespace waggle::tls {
namespace {

constexpr char kField[] = "certificate";
constexpr std::size_t kSerialBytes = 20;  // RFC 5280, section 4.1.2.2
constexpr std::string_view kRoleScheme = "waggle:";

absl::Status Bad(std::string_view what) {
  return BadInput(absl::StrCat(kField, ": ", absl::string_view(what.data(), what.size())));
}

std::string_view Bytes(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

absl::StatusOr<std::string> ReadCommonName(const X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return "";
  if (X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return Bad("it has two common names");
  unsigned char* text = nullptr;
  const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (size < 0) return Bad("its common name cannot be read");
  std::string name(reinterpret_cast<char*>(text), static_cast<std::size_t>(size));
  OPENSSL_free(text);
  if (name.size() > limits::kNameBytes)
    return Bad(absl::StrCat("its common name has ", name.size(), " bytes; at most ", limits::kNameBytes));
  if (const auto bad = FindBadByte(name, true))
    return Bad(absl::StrCat("its common name has ", std::string(bad->why), " at byte ", bad->offset));
  return name;
}

absl::StatusOr<std::string> ReadSerial(const X509* certificate) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  const std::string_view bytes = Bytes(serial);
  if (ASN1_STRING_type(serial) != V_ASN1_INTEGER || bytes.empty() || bytes.size() > kSerialBytes)
    return Bad("its serial number is negative or longer than 20 bytes");
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

absl::StatusOr<WallMillis> ReadTime(const ASN1_TIME* time, const char* which) {
  tm utc;
  if (ASN1_TIME_to_tm(time, &utc) != 1) return Bad(absl::StrCat("its time ", which, " cannot be read"));
  return static_cast<WallMillis>(::timegm(&utc)) * 1000;
}

std::optional<Role> FindRole(std::string_view word) {
  for (Role role : {Role::kQueen, Role::kDrone, Role::kUser})
    if (word == Name(role)) return role;
  return std::nullopt;
}

}  // namespace

std::string_view Name(Role role) {
  switch (role) {
    case Role::kQueen:
      return "queen";
    case Role::kDrone:
      return "drone";
    case Role::kUser:
      return "user";
  }
  return "";
}

// Kinds of names that Waggle does not use (e-mail, directory) are passed over.
absl::Status Certificate::ReadNames() {
  int critical = -1;
  std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(handle_.get(), NID_subject_alt_name, &critical, nullptr)));
  if (!names) return critical == -1 ? absl::OkStatus() : Bad("its alternative names cannot be read");
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int kind = 0;
    const void* value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &kind);
    if (kind != GEN_DNS && kind != GEN_IPADD && kind != GEN_URI) continue;
    const std::string_view text = Bytes(static_cast<const ASN1_STRING*>(value));
    if (kind == GEN_DNS) {
      RETURN_IF_ERROR(CheckHostName("certificate: alternative names", text));
      names_.emplace_back(text);
    } else if (kind == GEN_IPADD) {
      const auto address = AddressText(text);
      if (!address) return Bad("an IP address of it has neither 4 nor 16 bytes");
      names_.push_back(*address);
    } else if (text.starts_with(kRoleScheme)) {
      const auto role = FindRole(text.substr(kRoleScheme.size()));
      if (!role || role_) return Bad("it names two roles, or one that is unknown");
      role_ = role;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Certificate> Certificate::FromPem(std::string_view pem) {
  CleanErrors clean;
  ASSIGN_OR_RETURN(const std::string der, tls::FromPem(kField, "CERTIFICATE", pem));
  Certificate out;
  ASSIGN_OR_RETURN(out.handle_, FromDer<CertificateHandle>(d2i_X509, der, kField));
  X509* const x = out.handle_.get();
  ASSIGN_OR_RETURN(out.common_name_, ReadCommonName(x));
  ASSIGN_OR_RETURN(out.serial_, ReadSerial(x));
  ASSIGN_OR_RETURN(out.not_before_, ReadTime(X509_get0_notBefore(x), "of first validity"));
  ASSIGN_OR_RETURN(out.not_after_, ReadTime(X509_get0_notAfter(x), "of expiry"));
  ASSIGN_OR_RETURN(out.key_id_, KeyIdOf(X509_get_X509_PUBKEY(x), kField));
  if ((X509_get_extension_flags(x) & EXFLAG_INVALID) != 0) return Bad("one of its extensions cannot be read");
  out.is_authority_ = X509_check_ca(x) == 1;  // 2 and more: relics that Waggle never issues
  RETURN_IF_ERROR(out.ReadNames());
  ASSIGN_OR_RETURN(out.pem_, WritePem(kField, [&](BIO* to) { return PEM_write_bio_X509(to, x); }));
  return out;
}

}  // namespace waggle::tls
