#include "tests/support/shadow_store.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace waggle::queen {
namespace {

bool Same(const JobRow& a, const JobRow& b) {
  return a.state == b.state && a.reason == b.reason && a.detail == b.detail && a.attempt == b.attempt &&
         a.attempts == b.attempts && a.test_code == b.test_code && a.deploy_code == b.deploy_code &&
         a.times.finished == b.times.finished;
}

}  // namespace

void ShadowStore::Check(bool holds, const char* what, std::uint64_t number) {
  if (!holds) problem_(absl::StrCat(what, ": ", number));
}

void ShadowStore::Take(const Counters& c) {
  const bool grow = c.job >= counters.job && c.run >= counters.run && c.drone >= counters.drone &&
                    c.epoch >= counters.epoch && c.session >= counters.session && c.peer >= counters.peer;
  Check(grow, "a counter went backwards; the epoch's is now", c.epoch);
  counters = c;
}

void ShadowStore::Take(const JobRow& row) {
  auto at = jobs.find(row.id);
  // Beside the verdict the truth may come, once.
  const bool truth =
      at != jobs.end() && row.late.known() && !at->second.late.known() && Same(row, at->second);
  // Somebody asked for it once more.
  const bool again = at != jobs.end() && row.state == JobState::kCreated && !row.attempt &&
                     row.retried == at->second.attempts;
  if (at != jobs.end() && IsTerminal(at->second.state) && !truth && !again) {
    problem_(absl::StrCat("job ", row.id.value(), " is ", std::string(Name(at->second.state)),
                          " and was written again as ", std::string(Name(row.state)),
                          Same(row, at->second) ? " (the same)" : ""));
  }
  Check(row.id.value() <= counters.job, "a job is stored without the counter that gave its number",
        row.id.value());
  Check(row.attempt.value() <= counters.epoch, "a job names an epoch that was not given",
        row.attempt.value());
  jobs[row.id] = row;
}

void ShadowStore::Take(const AttemptRow& row) {
  const std::uint64_t epoch = row.epoch.value();
  Check(epoch <= counters.epoch, "an epoch is stored without the counter that gave it", epoch);
  auto at = attempts.find(row.epoch);
  if (at == attempts.end()) {
    Check(attempts.empty() || row.epoch > attempts.rbegin()->first, "an epoch is lower than one before it",
          epoch);
  } else {
    const AttemptRow& before = at->second;
    Check(before.job == row.job, "an attempt changed its job", epoch);
    Check(!before.log_closed || (before.late_awaited && !row.late_awaited && before.reason == row.reason &&
                                 before.last_seq == row.last_seq),
          "an attempt was over and is written again", epoch);
    Check(!IsTerminal(before.state) || before.state == row.state, "the verdict of an attempt changed", epoch);
    Check(row.state >= before.state, "the state of an attempt went backwards", epoch);
  }
  attempts[row.epoch] = row;
}

void ShadowStore::Take(const RunRow& row) {
  auto at = runs.find(row.id);
  const bool again = row.state == JobState::kStarted && row.finished == 0;
  if (at != runs.end() && IsTerminal(at->second.state) && row.state != at->second.state && !again) {
    problem_(absl::StrCat("r", row.id.value(), " is ", std::string(Name(at->second.state)), " and becomes ",
                          std::string(Name(row.state))));
  }
  Check(row.id.value() <= counters.run, "a run is stored without the counter that gave its number",
        row.id.value());
  runs[row.id] = row;
}

void ShadowStore::Apply(const WriteBatch& batch) {
  if (batch.counters) Take(*batch.counters);
  for (const JobRow& row : batch.jobs) Take(row);
  for (const AttemptRow& row : batch.attempts) Take(row);
  for (const DroneRow& row : batch.drones) {
    Check(row.id.value() <= counters.drone, "a drone is stored without the counter that gave its number",
          row.id.value());
    drones[row.id] = row;
  }
  for (const RunRow& row : batch.runs) Take(row);
  for (const PeerRow& row : batch.peers) {
    auto before = peers.find(row.id);
    Check(before == peers.end() || before->second.revoked == 0, "a revoked peer was written again",
          row.id.value());
    peers[row.id] = row;
  }
  for (const InvitationRow& row : batch.invitations) {
    Check(row.id.value() <= counters.peer, "an invitation is stored without the counter that gave its number",
          row.id.value());
    invitations[row.id] = row;
  }
  for (const RestoreRow& row : batch.restores) {
    auto before = restores.find(row.first);
    Check(before == restores.end() || !before->second.last, "a restore that was over is written again",
          row.first.value());
    restores[row.first] = row;
  }
  for (const WriteBatch::Document& document : batch.documents) documents[document.job] = document.bytes;
  for (const SubmissionRow& row : batch.submissions) {
    if (!submissions.emplace(row.key, row).second) {
      problem_(absl::StrCat("a key was stored twice: ", row.key));
    }
  }
}

void ShadowStore::Restore(const ShadowStore& backup, const Counters& known) {
  *this = backup;
  const Epoch first(counters.epoch + 1);
  restores[first] = {.first = first};
  counters.job = std::max(counters.job, known.job);
  counters.run = std::max(counters.run, known.run);
  counters.epoch = std::max(counters.epoch, known.epoch);
  counters.session = std::max(counters.session, known.session);
}

Snapshot ShadowStore::Load() const {
  Snapshot snapshot;
  snapshot.counters = counters;
  std::set<Epoch> current;
  for (const auto& [id, row] : jobs) {
    if (IsTerminal(row.state)) continue;
    snapshot.jobs.push_back(row);
    current.insert(row.attempt);
  }
  for (const auto& [epoch, row] : attempts) {
    if (current.contains(epoch) || !row.log_closed) snapshot.attempts.push_back(row);
  }
  for (const auto& [epoch, row] : attempts) {
    if (row.late_awaited) snapshot.awaited.push_back({jobs.at(row.job), row});
  }
  for (const JobRow& unfinished : std::vector<JobRow>(snapshot.jobs)) {
    const bool known = std::any_of(snapshot.runs.begin(), snapshot.runs.end(),
                                   [&](const RunRow& run) { return run.id == unfinished.run; });
    if (!unfinished.run || known) continue;
    if (auto run = runs.find(unfinished.run); run != runs.end()) snapshot.runs.push_back(run->second);
    for (const auto& [id, row] : jobs) {
      if (row.run == unfinished.run && IsTerminal(row.state)) snapshot.run_jobs.push_back(row);
    }
  }
  for (const auto& [id, row] : drones) snapshot.drones.push_back(row);
  for (const auto& [id, row] : peers) snapshot.peers.push_back(row);
  for (const auto& [id, row] : invitations) snapshot.invitations.push_back(row);
  for (const auto& [first, row] : restores) {
    if (row.last) snapshot.restores.push_back(row);
  }
  for (const auto& [first, row] : restores) {
    if (!row.last) snapshot.restores.push_back(row);
  }
  return snapshot;
}

}  // namespace waggle::queen
