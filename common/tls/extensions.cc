#include "common/tls/extensions.h"

#include <openssl/asn1.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include <initializer_list>
#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/tls/host_name.h"

namespace waggle::tls {
namespace {

// Bits of the key usage (RFC 5280, section 4.2.1.3).
constexpr int kDigitalSignature = 0, kKeyCertSign = 5, kCrlSign = 6;
constexpr std::size_t kSubjectKeyBytes = 20;  // RFC 7093, section 2

using OctetString = std::unique_ptr<ASN1_OCTET_STRING, Free<ASN1_OCTET_STRING_free>>;

bool Add(X509* certificate, int kind, void* value, bool critical) {
  return X509_add1_ext_i2d(certificate, kind, value, critical ? 1 : 0, X509V3_ADD_DEFAULT) == 1;
}

bool AddBasicConstraints(X509* certificate, bool authority) {
  std::unique_ptr<BASIC_CONSTRAINTS, Free<BASIC_CONSTRAINTS_free>> constraints(BASIC_CONSTRAINTS_new());
  if (!constraints) return false;
  if (authority) {
    constraints->ca = 0xFF;
    constraints->pathlen = ASN1_INTEGER_new();
    if (constraints->pathlen == nullptr || ASN1_INTEGER_set(constraints->pathlen, 0) != 1) return false;
  }
  return Add(certificate, NID_basic_constraints, constraints.get(), true);
}

bool AddKeyUsage(X509* certificate, std::initializer_list<int> bits) {
  std::unique_ptr<ASN1_BIT_STRING, Free<ASN1_BIT_STRING_free>> usage(ASN1_BIT_STRING_new());
  if (!usage) return false;
  for (int bit : bits)
    if (ASN1_BIT_STRING_set_bit(usage.get(), bit, 1) != 1) return false;
  return Add(certificate, NID_key_usage, usage.get(), true);
}

OctetString MakeOctets(std::string_view bytes) {
  OctetString octets(ASN1_OCTET_STRING_new());
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  if (octets && ASN1_OCTET_STRING_set(octets.get(), data, static_cast<int>(bytes.size())) != 1)
    octets.reset();
  return octets;
}

bool Append(GENERAL_NAMES* names, const AlternativeName& name) {
  std::unique_ptr<GENERAL_NAME, Free<GENERAL_NAME_free>> entry(GENERAL_NAME_new());
  std::unique_ptr<ASN1_STRING, Free<ASN1_STRING_free>> value(
      ASN1_STRING_type_new(name.kind == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING));
  if (!entry || !value) return false;
  if (ASN1_STRING_set(value.get(), name.value.data(), static_cast<int>(name.value.size())) != 1) return false;
  GENERAL_NAME_set0_value(entry.get(), name.kind, value.release());
  if (sk_GENERAL_NAME_push(names, entry.get()) == 0) return false;
  entry.release();
  return true;
}

}  // namespace

AlternativeName NameOfRole(Role role) {
  return {GEN_URI, absl::StrCat("waggle:", std::string(Name(role)))};
}

absl::StatusOr<AlternativeName> NameOfHost(const std::string& field, const std::string& name) {
  if (auto address = AddressBytes(name)) return AlternativeName{GEN_IPADD, *std::move(address)};
  RETURN_IF_ERROR(CheckHostName(field, name));
  return AlternativeName{GEN_DNS, name};
}

bool AddAlternativeNames(X509* certificate, const std::vector<AlternativeName>& names) {
  std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>> list(GENERAL_NAMES_new());
  if (!list) return false;
  for (const AlternativeName& name : names)
    if (!Append(list.get(), name)) return false;
  return Add(certificate, NID_subject_alt_name, list.get(), false);
}

bool AddAuthorityRights(X509* certificate) {
  return AddBasicConstraints(certificate, true) && AddKeyUsage(certificate, {kKeyCertSign, kCrlSign});
}

bool AddHolderRights(X509* certificate, bool server) {
  std::unique_ptr<EXTENDED_KEY_USAGE, Free<EXTENDED_KEY_USAGE_free>> uses(EXTENDED_KEY_USAGE_new());
  if (!uses) return false;
  // Objects of the library's own table need no free.
  if (server && sk_ASN1_OBJECT_push(uses.get(), OBJ_nid2obj(NID_server_auth)) == 0) return false;
  if (sk_ASN1_OBJECT_push(uses.get(), OBJ_nid2obj(NID_client_auth)) == 0) return false;
  return AddBasicConstraints(certificate, false) && AddKeyUsage(certificate, {kDigitalSignature}) &&
         Add(certificate, NID_ext_key_usage, uses.get(), false);
}

bool AddKeyIds(X509* certificate, const KeyId& key_id, X509* issuer) {
  const std::string own_bytes = absl::HexStringToBytes(key_id).substr(0, kSubjectKeyBytes);
  const OctetString own = MakeOctets(own_bytes);
  if (!own || !Add(certificate, NID_subject_key_identifier, own.get(), false)) return false;
  const ASN1_OCTET_STRING* theirs = issuer == nullptr ? own.get() : X509_get0_subject_key_id(issuer);
  if (theirs == nullptr) return true;  // an authority from elsewhere that has no such id
  std::unique_ptr<AUTHORITY_KEYID, Free<AUTHORITY_KEYID_free>> authority(AUTHORITY_KEYID_new());
  if (!authority) return false;
  authority->keyid = ASN1_OCTET_STRING_dup(theirs);
  return authority->keyid != nullptr &&
         Add(certificate, NID_authority_key_identifier, authority.get(), false);
}

}  // namespace waggle::tls
