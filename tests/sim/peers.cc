// Drones on other hosts: who invites, enrols and revokes them.
#include "tests/sim/simulation.h"

namespace waggle::sim {

void Simulation::EnrolFirst() {
  queen::WriteBatch rows;
  queen::Counters counters;
  for (const auto& drone : drones_) {
    const Peer& peer = drone->peer();
    if (peer.local) continue;
    rows.peers.push_back({.id = PeerId(++counters.peer), .key = peer.identity, .name = peer.name});
  }
  rows.counters = counters;
  store_.Apply(rows);
}

void Simulation::RevokeDrone(const Fault& fault) {
  Revoke(fault.drone, fault.length, /*again=*/false);
}

void Simulation::Revoke(std::size_t drone, Nanos length, bool again) {
  queen_.Ask(
      [&](queen::RequestId id) {
        return queen::event::Revoke{id, queen::PeerKind::kDrone, drones_[drone]->name()};
      },
      [this, drone, length, again](const queen::AnswerValue* answer) {
        if (NotTaken(answer))
          return world_.After(kAskAgain, [this, drone, length] { Revoke(drone, length, /*again=*/true); });
        const auto* revoked = std::get_if<queen::PeerRow>(answer);
        if (revoked != nullptr) {
          world_.Sometimes(Rare::revoked);
          oracle_.RevokeAnswered(revoked->key);
        }
        // It works on the queen's own host, is revoked already, or the first answer got lost.
        if (revoked == nullptr && (!again || drones_[drone]->peer().local)) return;
        world_.After(length, [this, drone] { Invite(drone); });
      });
}

void Simulation::Invite(std::size_t drone) {
  queen::InvitationRow invitation;
  invitation.hash = absl::StrCat("token ", ++invited_);
  invitation.name = drones_[drone]->name();
  invitation.expires = std::numeric_limits<WallMillis>::max() / 2;
  queen_.Ask(
      [&](queen::RequestId id) {
        return queen::event::Invite{id, invitation};
      },
      [this, drone, token = invitation.hash](const queen::AnswerValue* answer) {
        if (NotTaken(answer)) return world_.After(kAskAgain, [this, drone] { Invite(drone); });
        Enrol(drone, token);
      });
}

void Simulation::Enrol(std::size_t drone, const std::string& token) {
  const std::string key = absl::StrCat("key of ", token);
  queen_.Ask(
      [&](queen::RequestId id) {
        return queen::event::Enrol{id, token, key, drones_[drone]->name()};
      },
      [this, drone, token, key](const queen::AnswerValue* answer) {
        if (NotTaken(answer)) return world_.After(kAskAgain, [this, drone, token] { Enrol(drone, token); });
        if (std::holds_alternative<queen::PeerRow>(*answer)) drones_[drone]->Enrolled(key);
        EnrolForgotten();  // the invitation may have been forgotten, too
      });
}

void Simulation::EnrolForgotten() {
  if (store_.restores.empty()) return;
  for (const auto& drone : drones_) {
    if (!drone->peer().local && !oracle_.IsKnown(drone->peer()))
      Revoke(drone->number(), kAskAgain, /*again=*/true);
  }
}

}  // namespace waggle::sim
