#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tls/certificate.h"

// What the authority writes into a certificate besides names, times and key. Each function returns false when
// OpenSSL fails, which is for want of memory.
namespace waggle::tls {

// One alternative name, by OpenSSL's number of its kind (GEN_DNS, GEN_IPADD, GEN_URI).
struct AlternativeName {
  int kind;
  std::string value;
};

AlternativeName NameOfRole(Role role);
// Of a host name or the text of an IP address. Errors: InvalidArgument that starts with `field`.
absl::StatusOr<AlternativeName> NameOfHost(const std::string& field, const std::string& name);

bool AddAlternativeNames(x509_st* certificate, const std::vector<AlternativeName>& names);

// An authority that signs certificates and revocation lists, but no other authority.
bool AddAuthorityRights(x509_st* certificate);
// A holder who signs handshakes, as a client and, if `server`, as a server too.
bool AddHolderRights(x509_st* certificate, bool server);

// The ids by which a chain is built: the first 20 bytes of `key_id`, and `issuer`'s own; no issuer:
// self-signed.
bool AddKeyIds(x509_st* certificate, const KeyId& key_id, x509_st* issuer);

}  // namespace waggle::tls
