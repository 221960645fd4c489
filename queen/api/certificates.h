#pragma once

#include <chrono>
#include <string>

#include "absl/status/statusor.h"
#include "common/tls/authority.h"
#include "queen/core/rows.h"

namespace waggle::queen {

// A certificate for the peer, whose key `request` must be of. PermissionDenied: it is of another.
absl::StatusOr<std::string> SignPeer(const tls::Authority& authority, const PeerRow& peer,
                                     const tls::Request& request, WallMillis now,
                                     std::chrono::seconds validity);

}  // namespace waggle::queen
