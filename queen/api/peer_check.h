#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "queen/api/peer_book.h"

namespace grpc {
class ServerContextBase;
}

namespace waggle::queen {

// Who calls.
struct Caller {
  bool local = false;  // over the queen's own socket
  std::string key;     // of the certificate; "" of a local one
  std::string name;    // of the peer; "local" of a local one
};

// Every handler asks it first. (Not a grpc::AuthMetadataProcessor, which would ask for all of them: where
// this gRPC copies a call's fields for one, a field of a peer aborts the process.) The handshake has checked
// who issued a certificate and that its holder has the key. Thread-safe.
class PeerCheck {
 public:
  enum class Who { kDrones, kPeople, kPeers };  // kPeers: both

  explicit PeerCheck(std::shared_ptr<PeerBook> book) : book_(std::move(book)) {}

  // PermissionDenied: it comes from another host, and the certificate's key is not that of a peer who may
  // call this. Who comes over the socket may call everything.
  absl::Status Check(const grpc::ServerContextBase& context, Who who) const;
  // Whether or not it may.
  Caller CallerOf(const grpc::ServerContextBase& context) const;

 private:
  // Reading a certificate is most of what a call costs; a peer makes many with one.
  std::string KeyOf(const std::string& certificate) const;

  const std::shared_ptr<PeerBook> book_;
  mutable absl::Mutex mutex_;
  mutable std::unordered_map<std::string, std::string> keys_ ABSL_GUARDED_BY(mutex_);  // by certificate
};

}  // namespace waggle::queen
