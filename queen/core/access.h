#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "queen/core/rows.h"

namespace waggle::queen {

// Who may speak to the queen from other hosts: peers, each known by the key of its certificate, and the
// invitations that make them. Pure; one thread. Every change is returned as the row to store.
class Access {
 public:
  static constexpr std::size_t kOpenInvitations = 1'000;
  static constexpr std::size_t kPeers = 32'768;

  Access(const std::vector<PeerRow>& peers, const std::vector<InvitationRow>& invitations);

  // nullptr: nobody, or revoked.
  const PeerRow* Find(const std::string& key) const;
  bool IsRevoked(const std::string& key) const { return by_key_.contains(key) && Find(key) == nullptr; }
  // A label that some operator gave to somebody: what a drone says of it itself counts for nothing.
  bool IsGiven(const std::string& label) const { return given_labels_.contains(label); }

  // ResourceExhausted: too many are open. AlreadyExists: the name is taken.
  absl::StatusOr<InvitationRow> Invite(InvitationRow asked, WallMillis now);
  struct Enrolled {
    PeerRow peer;
    InvitationRow invitation;  // used up
  };
  // Makes a peer of who holds the invitation; a repeat with the same key gives the same. `name` is what it
  // would like to be called, if the invitation leaves that open. NotFound: no such invitation.
  // FailedPrecondition: used or expired. AlreadyExists: the name or the key is taken.
  absl::StatusOr<Enrolled> Enrol(const std::string& hash, const std::string& key, const std::string& name,
                                 WallMillis now);
  // For ever: the key is never accepted again. NotFound.
  absl::StatusOr<PeerRow> Revoke(PeerKind kind, const std::string& name, WallMillis now);

  std::vector<PeerRow> peers() const;  // by id, with the revoked ones
  std::vector<InvitationRow> open(WallMillis now) const;

 private:
  absl::Status CheckName(PeerKind kind, const std::string& name) const;
  void Learn(const std::map<std::string, std::string>& labels);
  void ForgetExpired(WallMillis now);

  std::map<PeerId, PeerRow> peers_;
  std::unordered_map<std::string, PeerId> by_key_;
  std::map<std::pair<PeerKind, std::string>, PeerId> by_name_;  // of those that are not revoked
  std::map<InvitationId, InvitationRow> invitations_;           // open, or used not long ago
  std::unordered_map<std::string, InvitationId> by_hash_;
  std::set<std::string> given_labels_;
};

}  // namespace waggle::queen
