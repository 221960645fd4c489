#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/tls/key.h"

namespace waggle::tls {

// What a certificate was issued for. It stands in the certificate as the one URI `waggle:drone` and so on
// among its alternative names: the authority writes it, nobody can ask for it.
enum class Role : std::uint8_t { kQueen = 1, kDrone = 2, kUser = 3 };

std::string_view Name(Role role);  // "queen", "drone", "user"

// One parsed X.509 certificate. What it says is worth nothing until Verify says so. Immutable: any thread may
// read it.
class Certificate {
 public:
  // Errors: InvalidArgument for anything but one well-formed certificate, with the part that is wrong.
  static absl::StatusOr<Certificate> FromPem(std::string_view pem);

  const std::string& pem() const { return pem_; }
  const std::string& common_name() const { return common_name_; }  // printable; "" = it has none
  const std::string& serial() const { return serial_; }            // lower hex, two digits per byte
  WallMillis not_before() const { return not_before_; }            // whole seconds
  WallMillis not_after() const { return not_after_; }              // the first instant it is expired
  const KeyId& key_id() const { return key_id_; }
  bool is_authority() const { return is_authority_; }  // may sign certificates
  std::optional<Role> role() const { return role_; }
  const std::vector<std::string>& names() const { return names_; }  // DNS names and IP addresses, as listed
  // Errors: Unauthenticated with the time it expired or becomes valid, and what to do.
  absl::Status CheckTime(WallMillis now) const;

  x509_st* handle() const { return handle_.get(); }  // for this folder

 private:
  Certificate() = default;
  absl::Status ReadNames();

  CertificateHandle handle_;
  std::string pem_, common_name_, serial_;
  WallMillis not_before_ = 0, not_after_ = 0;
  KeyId key_id_;
  bool is_authority_ = false;
  std::optional<Role> role_;
  std::vector<std::string> names_;
};

// Whether `authority` issued `certificate`, for one of `roles`, and both are valid at `now`. Errors:
// Unauthenticated for another issuer, an expired certificate, one that is not valid yet; PermissionDenied for
// another role; InvalidArgument if `authority` is no authority. Which of several names a queen answers to,
// and that a peer has the private key, is for the TLS connection to check.
absl::Status Verify(const Certificate& certificate, const Certificate& authority,
                    std::initializer_list<Role> roles, WallMillis now);

}  // namespace waggle::tls
