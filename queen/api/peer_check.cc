#include "queen/api/peer_check.h"

#include <grpcpp/grpcpp.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/tls/certificate.h"

namespace waggle::queen {
namespace {

constexpr const char* kCertificate = "x509_pem_cert";  // gRPC's
constexpr std::size_t kKeysKept = 4096;

std::string First(const grpc::ServerContextBase& context, const char* property) {
  std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth == nullptr) return "";
  const std::vector<grpc::string_ref> values = auth->FindPropertyValues(property);
  return values.empty() ? "" : std::string(values.front().data(), values.front().size());
}

bool IsLocal(const grpc::ServerContextBase& context) {
  return absl::StartsWith(context.peer(), "unix:");
}

}  // namespace

absl::Status PeerCheck::Check(const grpc::ServerContextBase& context, Who who) const {
  if (IsLocal(context)) return absl::OkStatus();
  const std::string key = KeyOf(First(context, kCertificate));
  if (key.empty()) return absl::PermissionDeniedError("the client certificate cannot be read");
  std::optional<PeerRow> peer = book_->Find(key);
  if (!peer) {
    return absl::PermissionDeniedError(
        absl::StrCat("the certificate of ", First(context, GRPC_X509_CN_PROPERTY_NAME),
                     " was revoked, or the queen does not know it\nnext: enrol with a new invitation"));
  }
  const bool drone = peer->kind == PeerKind::kDrone;
  if (who == Who::kDrones && !drone) {
    return absl::PermissionDeniedError("this certificate is a person's; drones have their own");
  }
  if (who == Who::kPeople && drone) {
    return absl::PermissionDeniedError("this certificate is a drone's; people log in with their own");
  }
  return absl::OkStatus();
}

Caller PeerCheck::CallerOf(const grpc::ServerContextBase& context) const {
  if (IsLocal(context)) return {true, "", "local"};
  Caller caller;
  caller.key = KeyOf(First(context, kCertificate));
  if (std::optional<PeerRow> peer = book_->Find(caller.key)) caller.name = peer->name;
  return caller;
}

std::string PeerCheck::KeyOf(const std::string& certificate) const {
  {
    absl::MutexLock lock(&mutex_);
    auto known = keys_.find(certificate);
    if (known != keys_.end()) return known->second;
  }
  absl::StatusOr<tls::Certificate> read = tls::Certificate::FromPem(certificate);
  if (!read.ok()) return "";
  absl::MutexLock lock(&mutex_);
  if (keys_.size() >= kKeysKept) keys_.clear();
  return keys_[certificate] = read->key_id();
}

}  // namespace waggle::queen
