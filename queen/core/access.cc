#include "queen/core/access.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"

namespace waggle::queen {
namespace {

constexpr WallMillis kRememberUsed = 24LL * 3600 * 1000;  // so that a second use can be told who was first

std::string At(WallMillis time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixMillis(time), absl::UTCTimeZone());
}

const char* Noun(PeerKind kind) {
  return kind == PeerKind::kDrone ? "drone" : "user";
}

}  // namespace

Access::Access(const std::vector<PeerRow>& peers, const std::vector<InvitationRow>& invitations) {
  for (const PeerRow& peer : peers) {
    peers_[peer.id] = peer;
    by_key_[peer.key] = peer.id;
    if (peer.revoked == 0) by_name_[{peer.kind, peer.name}] = peer.id;
    Learn(peer.labels);
  }
  for (const InvitationRow& invitation : invitations) {
    invitations_[invitation.id] = invitation;
    by_hash_[invitation.hash] = invitation.id;
    Learn(invitation.labels);
  }
}

void Access::Learn(const std::map<std::string, std::string>& labels) {
  for (const auto& [label, value] : labels) given_labels_.insert(label);
}

const PeerRow* Access::Find(const std::string& key) const {
  auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  const PeerRow& peer = peers_.at(found->second);
  return peer.revoked == 0 ? &peer : nullptr;
}

absl::Status Access::CheckName(PeerKind kind, const std::string& name) const {
  if (!by_name_.contains({kind, name})) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat("there is a ", Noun(kind), " called ", name,
                                               "\nnext: choose another name, or `queen revoke ", Noun(kind),
                                               " ", name, "` first"));
}

void Access::ForgetExpired(WallMillis now) {
  std::erase_if(invitations_, [&](const auto& entry) {
    const InvitationRow& invitation = entry.second;
    const WallMillis kept = std::max(invitation.expires, invitation.used) + kRememberUsed;
    if (kept > now) return false;
    by_hash_.erase(invitation.hash);
    return true;
  });
}

absl::StatusOr<InvitationRow> Access::Invite(InvitationRow asked, WallMillis now) {
  ForgetExpired(now);
  if (open(now).size() >= kOpenInvitations) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kOpenInvitations, " invitations are open\nnext: use them, or wait until they expire"));
  }
  if (!asked.name.empty()) RETURN_IF_ERROR(CheckName(asked.kind, asked.name));
  asked.created = now;
  invitations_[asked.id] = asked;
  by_hash_[asked.hash] = asked.id;
  Learn(asked.labels);
  return asked;
}

absl::StatusOr<Access::Enrolled> Access::Enrol(const std::string& hash, const std::string& key,
                                               const std::string& name, WallMillis now) {
  auto found = by_hash_.find(hash);
  if (found == by_hash_.end()) {
    return absl::NotFoundError(
        "this invitation is not known here\neach works once and for minutes\nnext: ask for a new one");
  }
  InvitationRow& invitation = invitations_.at(found->second);
  auto known = by_key_.find(key);
  if (invitation.used != 0) {
    const bool again = invitation.used_by == key && Find(key) != nullptr;
    if (again) return Enrolled{peers_.at(known->second), invitation};
    const auto first = by_key_.find(invitation.used_by);
    const std::string by = first == by_key_.end() ? "somebody" : peers_.at(first->second).name;
    return absl::FailedPreconditionError(absl::StrCat("this invitation was already used by ", by, " at ",
                                                      At(invitation.used),
                                                      "\neach works once\nnext: ask for a new one"));
  }
  if (invitation.expires <= now) {
    return absl::FailedPreconditionError(
        absl::StrCat("this invitation expired at ", At(invitation.expires), "\nnext: ask for a new one"));
  }
  if (known != by_key_.end()) {
    return absl::AlreadyExistsError(
        absl::StrCat("this key belongs to ", peers_.at(known->second).name, "\nnext: enrol with a new key"));
  }
  if (peers_.size() >= kPeers) {
    return absl::ResourceExhaustedError(absl::StrCat("the queen knows ", kPeers, " peers already"));
  }
  PeerRow peer;
  peer.id = PeerId(invitation.id.value());
  peer.key = key;
  peer.kind = invitation.kind;
  peer.name = invitation.name.empty() ? name : invitation.name;
  peer.labels = invitation.labels;
  peer.enrolled = now;
  RETURN_IF_ERROR(CheckName(peer.kind, peer.name));
  invitation.used = now;
  invitation.used_by = key;
  peers_[peer.id] = peer;
  by_key_[key] = peer.id;
  by_name_[{peer.kind, peer.name}] = peer.id;
  return Enrolled{std::move(peer), invitation};
}

absl::StatusOr<PeerRow> Access::Revoke(PeerKind kind, const std::string& name, WallMillis now) {
  auto found = by_name_.find({kind, name});
  if (found == by_name_.end()) {
    return absl::NotFoundError(
        absl::StrCat("there is no ", Noun(kind), " called ", name, "\nnext: queen peers"));
  }
  PeerRow& peer = peers_.at(found->second);
  peer.revoked = now;
  by_name_.erase(found);
  return peer;
}

std::vector<PeerRow> Access::peers() const {
  std::vector<PeerRow> rows;
  for (const auto& [id, peer] : peers_) rows.push_back(peer);
  return rows;
}

std::vector<InvitationRow> Access::open(WallMillis now) const {
  std::vector<InvitationRow> rows;
  for (const auto& [id, invitation] : invitations_) {
    if (invitation.used == 0 && invitation.expires > now) rows.push_back(invitation);
  }
  return rows;
}

}  // namespace waggle::queen
