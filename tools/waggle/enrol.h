#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/host_port.h"
#include "common/tls/invitation.h"
#include "tools/waggle/logins.h"

namespace waggle::cli {

// Trades the invitation at `url` for a certificate of a new key, and stores both. Blocks for 20 s at most.
// Errors are for people, with a code: WG501 the token is refused, WG502 another queen than the one that made
// it, WG001 she cannot be reached. An older login of hers stays until this one is complete.
absl::StatusOr<Login> Enrol(const rpc::HostPort& url, const tls::Invitation& invitation,
                            const Logins& logins);

}  // namespace waggle::cli
