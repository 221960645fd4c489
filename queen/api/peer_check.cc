#include "queen/api/peer_check.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/security/auth_metadata_processor.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"
#include "common/tls/certificate.h"

namespace waggle::queen {
namespace {

constexpr const char* kCertificate = "x509_pem_cert";  // gRPC's
constexpr const char* kKey = "waggle-key";             // ours, set here and read below
constexpr const char* kName = "waggle-name";
// What peers of both kinds may call.
constexpr absl::string_view kRenew = "/waggle.v1.Access/Renew";

std::string First(const grpc::AuthContext& context, const char* property) {
  const std::vector<grpc::string_ref> values = context.FindPropertyValues(property);
  return values.empty() ? "" : std::string(values.front().data(), values.front().size());
}

grpc::Status Refuse(std::string why) {
  return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, std::move(why));
}

class PeerCheck : public grpc::AuthMetadataProcessor {
 public:
  explicit PeerCheck(std::shared_ptr<PeerBook> book) : book_(std::move(book)) {}

  bool IsBlocking() const override { return false; }

  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context, OutputMetadata*,
                       OutputMetadata*) override {
    // The handshake has checked who issued its certificate and that its holder has the key.
    absl::StatusOr<std::string> key = KeyOf(*context);
    if (!key.ok()) return Refuse("the client certificate cannot be read");
    std::optional<PeerRow> peer = book_->Find(*key);
    if (!peer) {
      return Refuse(
          absl::StrCat("the certificate of ", NameOf(*context),
                       " was revoked, or the queen does not know it\nnext: enrol with a new invitation"));
    }
    auto path = metadata.find(":path");
    const absl::string_view called =
        path == metadata.end() ? "" : absl::string_view(path->second.data(), path->second.size());
    const bool for_drones = absl::StartsWith(called, "/waggle.v1.Hive/");
    if (called != kRenew && for_drones != (peer->kind == PeerKind::kDrone)) {
      return Refuse(for_drones ? "this certificate is a person's; drones have their own"
                               : "this certificate is a drone's; people log in with their own");
    }
    MarkName(*context, peer->name);
    return grpc::Status::OK;
  }

 private:
  // What is added to the context is there for all calls of the connection, and gRPC neither locks it nor
  // replaces what is there: each property is added once, under our lock, before a call that reads it
  // (CallerOf) goes on.

  // Of the certificate: read at the connection's first call, for that is most of what a refusal costs.
  absl::StatusOr<std::string> KeyOf(grpc::AuthContext& context) {
    absl::MutexLock lock(&mutex_);
    std::string key = First(context, kKey);
    if (!key.empty()) return key;
    ASSIGN_OR_RETURN(const tls::Certificate certificate,
                     tls::Certificate::FromPem(First(context, kCertificate)));
    context.AddProperty(kKey, certificate.key_id());
    return certificate.key_id();
  }

  void MarkName(grpc::AuthContext& context, const std::string& name) {
    absl::MutexLock lock(&mutex_);
    if (First(context, kName).empty()) context.AddProperty(kName, name);
  }

  // What it calls itself, for a refusal.
  std::string NameOf(const grpc::AuthContext& context) {
    absl::MutexLock lock(&mutex_);
    return First(context, GRPC_X509_CN_PROPERTY_NAME);
  }

  absl::Mutex mutex_;
  const std::shared_ptr<PeerBook> book_;
};

}  // namespace

std::shared_ptr<grpc::AuthMetadataProcessor> MakePeerCheck(std::shared_ptr<PeerBook> book) {
  return std::make_shared<PeerCheck>(std::move(book));
}

Caller CallerOf(const grpc::ServerContextBase& context) {
  if (absl::StartsWith(context.peer(), "unix:")) return {true, "", "local"};
  std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth == nullptr) return {};
  return {false, First(*auth, kKey), First(*auth, kName)};
}

}  // namespace waggle::queen
