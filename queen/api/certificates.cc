#include "queen/api/certificates.h"

#include "common/base/status_macros.h"

namespace waggle::queen {

absl::StatusOr<std::string> SignPeer(const tls::Authority& authority, const PeerRow& peer,
                                     const tls::Request& request, WallMillis now,
                                     std::chrono::seconds validity) {
  if (request.key_id() != peer.key) {
    return absl::PermissionDeniedError("request: its key is not the one of your certificate");
  }
  const tls::Role role = peer.kind == PeerKind::kDrone ? tls::Role::kDrone : tls::Role::kUser;
  ASSIGN_OR_RETURN(const tls::Certificate certificate,
                   authority.Sign(request, role, peer.name, now, validity));
  return certificate.pem();
}

}  // namespace waggle::queen
