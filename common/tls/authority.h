#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/tls/certificate.h"
#include "common/tls/key.h"
#include "common/tls/request.h"

namespace waggle::tls {

// The queen's own certificate authority: one key, one self-signed certificate that may sign holders but no
// other authority. `now` is the wall time of the call; what is issued is valid from five minutes before it,
// for clocks that differ, and never outlives the authority. Immutable: any thread may use it.
class Authority {
 public:
  // A new one, for 20 years. `name` is for people: a line of at most limits::kNameBytes.
  static absl::StatusOr<Authority> Create(std::string_view name, WallMillis now);
  // One from its two files. Errors: InvalidArgument for files that cannot be read, a certificate that is not
  // an authority's, or not that of this key.
  static absl::StatusOr<Authority> FromPem(std::string_view key, std::string_view certificate);

  const Key& key() const { return key_; }
  const Certificate& certificate() const { return certificate_; }
  const KeyId& pin() const { return key_.id(); }  // what invitations carry

  // For the queen herself, who owns `key`: server and client. `names` are what clients call her: 1 to
  // limits::kQueenNames host names and IP addresses. Errors: InvalidArgument with the field; Unauthenticated
  // if the authority is not valid at `now`.
  absl::StatusOr<Certificate> IssueQueen(const Key& key, std::span<const std::string> names, WallMillis now,
                                         std::chrono::seconds validity) const;

  // For the holder of the request's key: a client, `role` kDrone or kUser. Nothing but the key comes from the
  // request; `name` is what the queen knows its sender by, and is only shown. Errors as above.
  absl::StatusOr<Certificate> Sign(const Request& request, Role role, std::string_view name, WallMillis now,
                                   std::chrono::seconds validity) const;

 private:
  Authority(Key key, Certificate certificate) : key_(std::move(key)), certificate_(std::move(certificate)) {}

  Key key_;
  Certificate certificate_;
};

}  // namespace waggle::tls
