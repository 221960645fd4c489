#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/tls/openssl.h"

struct X509_pubkey_st;

namespace waggle::tls {

// SHA-256 of a public key's DER SubjectPublicKeyInfo, as 64 lower hex digits. It is who a drone or a person
// is, and of an authority's key it is the pin.
using KeyId = std::string;

// A private key on the curve P-256, for ECDSA. It never leaves the host that made it. Immutable: any thread
// may use it.
class Key {
 public:
  static absl::StatusOr<Key> Generate();
  // What ToPem wrote. Errors: InvalidArgument for anything but one unencrypted PKCS #8 key on P-256 whose
  // public half belongs to its private one.
  static absl::StatusOr<Key> FromPem(std::string_view pem);

  // PKCS #8, not encrypted: the file's mode (0600) protects it.
  absl::StatusOr<std::string> ToPem() const;
  const KeyId& id() const { return id_; }

  evp_pkey_st* handle() const { return handle_.get(); }  // for this folder

 private:
  Key(KeyHandle handle, KeyId id) : handle_(std::move(handle)), id_(std::move(id)) {}

  KeyHandle handle_;
  KeyId id_;
};

// The id of a public key as it stands in a certificate, of whatever kind. Errors as below.
absl::StatusOr<KeyId> KeyIdOf(const X509_pubkey_st* key, const std::string& field);

// The same for a key that may become an identity: P-256 with its point written uncompressed, or Ed25519.
// There is one way to write such a key, so it has one id. Errors: InvalidArgument that starts with `field`.
absl::StatusOr<KeyId> IdentityOf(const X509_pubkey_st* key, const std::string& field);

}  // namespace waggle::tls
