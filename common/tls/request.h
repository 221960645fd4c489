#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/tls/key.h"

namespace waggle::tls {

// A certificate request (PKCS #10) for `key`, as PEM. Its subject is empty: who the key belongs to is for the
// authority to say.
absl::StatusOr<std::string> MakeRequest(const Key& key);

// What the authority takes from somebody's certificate request: a public key, and the proof that its sender
// has the private one. Names and extensions that were asked for are not kept.
class Request {
 public:
  // Errors: InvalidArgument for anything but one well-formed request, signed by its own key, which is P-256
  // or Ed25519.
  static absl::StatusOr<Request> FromPem(std::string_view pem);

  const KeyId& key_id() const { return key_id_; }

  evp_pkey_st* public_key() const { return public_key_.get(); }  // for this folder

 private:
  Request(KeyHandle public_key, KeyId key_id)
      : public_key_(std::move(public_key)), key_id_(std::move(key_id)) {}

  KeyHandle public_key_;
  KeyId key_id_;
};

}  // namespace waggle::tls
