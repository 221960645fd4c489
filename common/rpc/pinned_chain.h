#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

struct x509_store_ctx_st;  // OpenSSL's X509_STORE_CTX

namespace waggle::rpc {

// Whether the chain a server sent proves it to be the one with this pin (https_client.h says how). `pin` is
// in lower case; `host` the name or address it must be made out to. PermissionDenied: the pin does not match;
// FailedPrecondition: it does, but the certificate is not good.
absl::Status CheckPinnedChain(x509_store_ctx_st* sent, std::string_view pin, const std::string& host);

}  // namespace waggle::rpc
