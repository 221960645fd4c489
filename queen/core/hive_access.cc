// Peers on other hosts: invited, enrolled, revoked.
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
  effects_.after.push_back(effect::EndPeer{revoked->key});
  auto drone = by_identity_.find(revoked->key);
  if (drone != by_identity_.end()) {
    Drone& gone = drones_.at(drone->second);
    if (gone.connection) {
      CloseSession(gone,
                   absl::PermissionDeniedError("this drone was revoked\nnext: enrol with a new invitation"));
    }
    LoseDrone(gone, "an administrator revoked it");
  }
  effects_.after.push_back(effect::Answer{e.request, *std::move(revoked)});
}

void Hive::On(const event::ListPeers& e) {
  effects_.after.push_back(effect::Answer{e.request, PeerList{access_.peers(), access_.open(wall_)}});
}

}  // namespace waggle::queen
