#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/rpc/host_port.h"
#include "common/tls/certificate.h"
#include "common/tls/invitation.h"
#include "common/tls/key.h"

namespace waggle::rpc {

// What a queen gave for an invitation. Its certificate is of the key that asked, may be used now, and the
// authority is the one of the invitation.
struct Enrolment {
  HostPort queen;    // her gRPC
  std::string name;  // ours with her
  tls::Certificate certificate, authority;
};

// Trades the invitation at `url`, where she enrols, for a certificate of `key` in this role. `name` is asked
// for; hers counts. Blocks for `deadline` at most.
//
// Errors are for people, with a code. Behind Unavailable and DeadlineExceeded (she cannot be reached, or not
// now: WG001) the question may have been taken: with the same key it can be put again and is no second use.
// Behind any other error the key is of no use any more:
//   PermissionDenied     the invitation is refused (WG501), or another queen listens there (WG502)
//   FailedPrecondition, DataLoss, ResourceExhausted, Unknown   what listens there is no queen one can enrol
//   with
absl::StatusOr<Enrolment> Enrol(const HostPort& url, const tls::Invitation& invitation, const tls::Key& key,
                                tls::Role role, const std::string& name, Duration deadline);

// Whether the same question with the same key may be put again.
bool MayEnrolAgain(const absl::Status& why);

}  // namespace waggle::rpc
