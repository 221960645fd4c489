#pragma once

#include <memory>
#include <string>

#include "queen/api/peer_book.h"

namespace grpc {
class AuthMetadataProcessor;
class ServerContextBase;
}  // namespace grpc

namespace waggle::queen {

// Looks at every call of the port for other hosts before its service does: the certificate's key must be that
// of a peer, a drone for the service Hive, a person for all others; PERMISSION_DENIED otherwise.
std::shared_ptr<grpc::AuthMetadataProcessor> MakePeerCheck(std::shared_ptr<PeerBook> book);

// Who calls.
struct Caller {
  bool local = false;  // over the queen's own socket
  std::string key;     // of the certificate; "" of a local one
  std::string name;    // of the peer; "local" of a local one
};
Caller CallerOf(const grpc::ServerContextBase& context);

}  // namespace waggle::queen
