// Peers on other hosts: invited, enrolled, revoked; what they may claim.
#include "absl/strings/str_cat.h"
#include "queen/core/hive.h"

namespace waggle::queen {

void Hive::On(const event::Invite& e) {
  InvitationRow asked = e.invitation;
  asked.id = InvitationId(counters_.peer + 1);
  absl::StatusOr<InvitationRow> made = access_.Invite(std::move(asked), wall_);
  if (!made.ok()) {
    effects_.after.push_back(effect::Answer{e.request, made.status()});
    return;
  }
  ++counters_.peer;
  counters_changed_ = true;
  effects_.rows.invitations.push_back(*made);
  effects_.after.push_back(effect::Answer{e.request, *std::move(made)});
}

void Hive::On(const event::Enrol& e) {
  absl::StatusOr<Access::Enrolled> enrolled = access_.Enrol(e.hash, e.key, e.name, wall_);
  if (!enrolled.ok()) {
    effects_.after.push_back(effect::Answer{e.request, enrolled.status()});
    return;
  }
  effects_.rows.peers.push_back(enrolled->peer);
  effects_.rows.invitations.push_back(std::move(enrolled->invitation));
  effects_.after.push_back(effect::Answer{e.request, std::move(enrolled->peer)});
}

void Hive::On(const event::Revoke& e) {
  absl::StatusOr<PeerRow> revoked = access_.Revoke(e.kind, e.name, wall_);
  if (!revoked.ok()) {
    effects_.after.push_back(effect::Answer{e.request, revoked.status()});
    return;
  }
  effects_.rows.peers.push_back(*revoked);
  auto drone = by_identity_.find(revoked->key);
  if (drone != by_identity_.end()) {
    Drone& gone = drones_.at(drone->second);
    if (gone.connection) {
      CloseSession(gone,
                   absl::PermissionDeniedError("this drone was revoked\nnext: enrol with a new invitation"));
    } else if (gone.session) {
      effects_.after.push_back(
          effect::EndSession{gone.session});  // its bulk stream may have outlived the other
    }
    CutOff(gone);
  }
  effects_.after.push_back(effect::Answer{e.request, *std::move(revoked)});
}

void Hive::CutOff(Drone& drone) {
  LoseDrone(drone, "an administrator revoked it");
  StopAwaitingOf(drone);
}

void Hive::On(const event::ListPeers& e) {
  effects_.after.push_back(effect::Answer{e.request, PeerList{access_.peers(), access_.open(wall_)}});
}

absl::Status Hive::CheckPeer(const event::Hello& e) const {
  if (e.local) return absl::OkStatus();
  const PeerRow* peer = access_.Find(e.identity);
  if (peer == nullptr || peer->kind != PeerKind::kDrone) {
    return absl::PermissionDeniedError(
        "this certificate is not of a drone that may work here\nnext: enrol with a new invitation");
  }
  if (peer->name != e.name) {
    return absl::PermissionDeniedError(absl::StrCat("this drone is enrolled as ", peer->name, ", not as ",
                                                    e.name, "\nnext: start it without --name"));
  }
  return absl::OkStatus();
}

std::map<std::string, std::string> Hive::LabelsOf(const Drone& drone) const {
  const PeerRow* peer = drone.local ? nullptr : access_.Find(drone.row.identity);
  if (peer == nullptr) return drone.row.labels;
  std::map<std::string, std::string> labels = peer->labels;
  for (const auto& [label, value] : drone.row.labels) {
    if (!access_.IsGiven(label)) labels.emplace(label, value);
  }
  return labels;
}

}  // namespace waggle::queen
