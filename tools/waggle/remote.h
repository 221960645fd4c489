#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "tools/waggle/address.h"
#include "tools/waggle/logins.h"

namespace grpc {
class Channel;
}

namespace waggle::cli {

// The stored login of a queen on another host, if it can be used now. Unauthenticated with WG002: there is
// none, or its certificate has expired.
absl::StatusOr<Login> UsableLogin(const Logins& logins, const Address& address);

// A connected channel to her; returns within 10 s. Unavailable: she cannot be reached, or it is no queen;
// PermissionDenied with WG502: another queen than the one of the login.
absl::StatusOr<std::shared_ptr<grpc::Channel>> ConnectTls(const Login& login, const Address& address);

// "cannot reach the queen at …"; Unavailable.
absl::Status Unreachable(const Address& address, std::string_view why);

// Asks for a new certificate when half of the time of the stored one is over. Blocks for 2 s at most; what
// goes wrong is left to the next command.
void RenewIfDue(const Login& login, const Logins& logins, const std::shared_ptr<grpc::Channel>& channel);

}  // namespace waggle::cli
