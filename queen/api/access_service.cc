#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/tls/invitation.h"
#include "proto/waggle_proto.h"
#include "queen/api/certificates.h"
#include "queen/api/peer_check.h"
#include "queen/api/people.h"
#include "queen/api/unary.h"
#include "queen/core/said.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::queen {
namespace {

constexpr std::uint32_t kTtl = 15 * 60, kLongestTtl = 24 * 3600;  // seconds

absl::StatusOr<PeerKind> FromProto(v1::PeerKind kind) {
  if (kind == v1::DRONE) return PeerKind::kDrone;
  if (kind == v1::USER) return PeerKind::kUser;
  return absl::InvalidArgumentError("kind: drone or user");
}

v1::PeerKind ToProto(PeerKind kind) {
  return kind == PeerKind::kDrone ? v1::DRONE : v1::USER;
}

void ToProto(const PeerRow& row, v1::Peer* out) {
  out->set_kind(ToProto(row.kind));
  out->set_name(row.name);
  out->set_key(row.key);
  out->mutable_labels()->insert(row.labels.begin(), row.labels.end());
  out->set_enrolled_at(row.enrolled);
  out->set_revoked_at(row.revoked);
}

class AccessService : public v1::Access::CallbackService {
 public:
  explicit AccessService(const PeopleParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* Invite(grpc::CallbackServerContext* context, const v1::InviteRequest* request,
                                   v1::InviteResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    absl::StatusOr<InvitationRow> asked = ReadInvite(*request);
    if (absl::Status local = OnlyLocal(*context); !local.ok()) asked = local;
    if (!asked.ok()) {
      FinishWith(reactor, asked.status());
      return reactor;
    }
    absl::StatusOr<tls::Invitation> made = tls::Invitation::Make(parts_.access.authority->pin());
    if (!made.ok()) {
      FinishWith(reactor, made.status());
      return reactor;
    }
    asked->hash = tls::HashOf(made->token);
    response->set_invitation(made->ToText());
    response->set_url(
        absl::StrCat("https://", parts_.access.enrol_host, ":", parts_.access.enrol_port.load()));
    response->set_expires_at(asked->expires);
    parts_.core.Ask(
        [&asked](RequestId id) {
          return Event(event::Invite{id, *std::move(asked)});
        },
        [reactor](AnswerValue answer) {
          const auto* refused = std::get_if<absl::Status>(&answer);
          FinishWith(reactor, refused == nullptr ? absl::OkStatus() : *refused);
        });
    return reactor;
  }

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const v1::ListPeersRequest*,
                                 v1::ListPeersResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    if (absl::Status local = OnlyLocal(*context); !local.ok()) {
      FinishWith(reactor, local);
      return reactor;
    }
    parts_.core.Ask([](RequestId id) { return Event(event::ListPeers{id}); },
                    [reactor, response](AnswerValue answer) {
                      if (const auto* refused = std::get_if<absl::Status>(&answer)) {
                        return FinishWith(reactor, *refused);
                      }
                      const auto& list = std::get<PeerList>(answer);
                      for (const PeerRow& peer : list.peers) ToProto(peer, response->add_peers());
                      for (const InvitationRow& row : list.open) {
                        v1::Invited* out = response->add_invited();
                        out->set_kind(ToProto(row.kind));
                        out->set_name(row.name);
                        out->mutable_labels()->insert(row.labels.begin(), row.labels.end());
                        out->set_expires_at(row.expires);
                      }
                      FinishWith(reactor, absl::OkStatus());
                    });
    return reactor;
  }

  grpc::ServerUnaryReactor* Revoke(grpc::CallbackServerContext* context, const v1::RevokeRequest* request,
                                   v1::Peer* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    absl::StatusOr<PeerKind> kind = FromProto(request->kind());
    if (absl::Status local = OnlyLocal(*context); !local.ok()) kind = local;
    if (!kind.ok()) {
      FinishWith(reactor, kind.status());
      return reactor;
    }
    parts_.core.Ask(
        [&](RequestId id) {
          return Event(event::Revoke{id, *kind, request->name()});
        },
        [reactor, response](AnswerValue answer) {
          if (const auto* refused = std::get_if<absl::Status>(&answer)) {
            return FinishWith(reactor, *refused);
          }
          ToProto(std::get<PeerRow>(answer), response);
          FinishWith(reactor, absl::OkStatus());
        });
    return reactor;
  }

  grpc::ServerUnaryReactor* Renew(grpc::CallbackServerContext* context, const v1::RenewRequest* request,
                                  v1::RenewResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor, PeerCheck::Who::kPeers)) return reactor;
    FinishOnWorker(parts_.workers, reactor,
                   [this, caller = parts_.check.CallerOf(*context), request, response] {
                     return Renewed(caller, request->request(), response);
                   });
    return reactor;
  }

 private:
  absl::Status OnlyLocal(const grpc::CallbackServerContext& context) const {
    if (parts_.check.CallerOf(context).local) return absl::OkStatus();
    return absl::PermissionDeniedError(
        "only over the queen's own socket\nnext: run this on her host, as who may use it");
  }

  absl::StatusOr<InvitationRow> ReadInvite(const v1::InviteRequest& request) const {
    if (parts_.access.authority == nullptr || parts_.access.enrol_port == 0) {
      return absl::FailedPreconditionError(
          "this queen does not listen for other hosts\nnext: start her with --listen and --http");
    }
    InvitationRow row;
    ASSIGN_OR_RETURN(row.kind, FromProto(request.kind()));
    row.name = request.name();
    if (!row.name.empty() && !IsName(row.name)) return BadName("name");
    if (row.kind == PeerKind::kUser && row.name.empty()) {
      return absl::InvalidArgumentError("name: a person needs one");
    }
    RETURN_IF_ERROR(CheckLabels(request));
    row.labels = {request.labels().begin(), request.labels().end()};
    if (request.ttl_seconds() > kLongestTtl) {
      return absl::InvalidArgumentError(
          absl::StrCat("ttl_seconds: ", request.ttl_seconds(), "; at most ", kLongestTtl, ", a day"));
    }
    const std::uint32_t ttl = request.ttl_seconds() == 0 ? kTtl : request.ttl_seconds();
    row.expires = WallNow() + WallMillis{1000} * ttl;
    return row;
  }

  static absl::Status BadName(std::string_view field) {
    return absl::InvalidArgumentError(absl::StrCat(absl::string_view(field.data(), field.size()),
                                                   ": letters, digits, '.', '_' and '-', at most ",
                                                   limits::kNameBytes, " bytes"));
  }

  static absl::Status CheckLabels(const v1::InviteRequest& request) {
    if (static_cast<std::size_t>(request.labels_size()) > limits::kLabels) {
      return absl::InvalidArgumentError(absl::StrCat("labels: at most ", limits::kLabels));
    }
    for (const auto& [label, value] : request.labels()) {
      if (!IsName(label)) return BadName("labels");
      if (value.size() > limits::kLabelBytes || !IsPresentable(value)) {
        return absl::InvalidArgumentError(
            absl::StrCat("labels.", label, ": at most ", limits::kLabelBytes, " bytes of plain text"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Renewed(const Caller& caller, const std::string& request, v1::RenewResponse* response) {
    std::optional<PeerRow> peer = parts_.access.book.Find(caller.key);
    if (!peer || parts_.access.authority == nullptr)
      return absl::PermissionDeniedError("only who has a certificate can renew it");
    ASSIGN_OR_RETURN(const tls::Request read, tls::Request::FromPem(request));
    ASSIGN_OR_RETURN(*response->mutable_certificate(),
                     SignPeer(*parts_.access.authority, *peer, read, WallNow(), parts_.access.validity));
    return absl::OkStatus();
  }

  const PeopleParts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAccessService(const PeopleParts& parts) {
  return std::make_unique<AccessService>(parts);
}

}  // namespace waggle::queen
