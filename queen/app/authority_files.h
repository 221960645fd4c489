#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/tls/authority.h"

namespace waggle::queen {

// The queen's own authority, DATA/tls/authority.key and .crt, made at the first call; and her certificate for
// the time of this process. The keys are files of mode 0600 in a directory of mode 0700.
struct Identity {
  tls::Authority authority;
  std::string key, certificate;  // PEM; the certificate is followed by the authority's
};

// `names`: what else others call her. DataLoss: the files are there and damaged; they are never made anew,
// for that would shut out everybody.
absl::StatusOr<Identity> OpenIdentity(const std::string& data, const std::vector<std::string>& names,
                                      WallMillis now);

}  // namespace waggle::queen
