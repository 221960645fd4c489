#pragma once

#include <functional>
#include <map>
#include <string>

#include "queen/core/rows.h"

namespace waggle::queen {

// Keeps the rows of each batch as a store would and checks what must hold for every sequence of them: a
// terminal job row is written once and never changes, states never go backwards, epochs and counters only
// grow, a key stands for one submission.
class ShadowStore {
 public:
  // `problem` is called with one sentence for each thing that does not hold.
  explicit ShadowStore(std::function<void(const std::string&)> problem) : problem_(std::move(problem)) {}

  void Apply(const WriteBatch& batch);
  Snapshot Load() const;
  // As `queen restore`. `known`: what was given by the store that is replaced, as far as it could be read.
  void Restore(const ShadowStore& backup, const Counters& known);

  std::map<JobId, JobRow> jobs;
  std::map<Epoch, AttemptRow> attempts;
  std::map<DroneId, DroneRow> drones;
  std::map<RunId, RunRow> runs;
  std::map<JobId, std::string> documents;
  std::map<std::string, SubmissionRow> submissions;
  std::map<PeerId, PeerRow> peers;
  std::map<InvitationId, InvitationRow> invitations;
  std::map<Epoch, RestoreRow> restores;
  Counters counters;

 private:
  void Check(bool holds, const char* what, std::uint64_t number);
  void Take(const Counters& c);
  void Take(const JobRow& row);
  void Take(const AttemptRow& row);
  void Take(const RunRow& row);

  std::function<void(const std::string&)> problem_;
};

}  // namespace waggle::queen
