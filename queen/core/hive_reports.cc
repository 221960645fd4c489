// What drones report of their attempts.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/planted.h"
#include "queen/core/hive.h"

namespace waggle::queen {
namespace {

constexpr std::string_view kShimDied = "the process that led the attempt died";
constexpr std::int32_t kLargestCode = 255;

// How far an attempt in this state is. What its drone says next must not lie before.
int Stage(HeldState state) {
  switch (state) {
    case HeldState::kAccepted:
      return 0;
    case HeldState::kRunning:
      return 1;
    case HeldState::kGranted:
      return 2;
    case HeldState::kCleaning:
      return 3;
    case HeldState::kFinished:
      return 4;
    case HeldState::kLost:
      return 5;
  }
  return 0;
}
bool MayFollow(HeldState before, HeldState after) {
  return Stage(after) >= Stage(before);
}

}  // namespace

void Hive::TakeUp(Drone& drone, const HeldAttempt& held) {
  Attempt& attempt = attempts_.at(held.epoch);
  if (attempt.seal) return;
  if (attempt.late) {
    ApplyLateStatus(drone, attempt, held);
    if (held.state == HeldState::kLost) {
      GiveUp(attempt, Reason::kShimLost, std::string(kShimDied), held.last_seq);
    }
    return;
  }
  const JobRow& job = jobs_.at(attempt.row.job);
  if (job.cancel_requested && !planted::Is(planted::kCancelNotSaidAgain)) {
    // The Welcome only says that a cancel is wanted; this says whose it is, and whether it hurries.
    SendCancel(drone, job);
  }
  ApplyStatus(drone, attempt, held);
  if (held.state == HeldState::kLost) LoseShim(drone, attempt, held);
}

void Hive::LoseShim(Drone& drone, Attempt& attempt, const HeldAttempt& held) {
  if (held.handed_back) {
    GiveUp(attempt, Reason::kHandedBack,
           absl::StrCat(drone.row.name, drone.hand_back ? " was drained" : " was stopped",
                        " and handed the job back"),
           held.last_seq);
  } else {
    GiveUp(attempt, held.trimmed ? Reason::kLogIncomplete : Reason::kShimLost,
           held.detail.empty() ? std::string(kShimDied) : held.detail, held.last_seq);
  }
}

void Hive::On(const event::Accept& e) {
  Drone* drone = ByConnection(e.connection);
  if (drone == nullptr) return;
  Heard(*drone);
  Attempt* attempt = Held(*drone, e.epoch);
  if (attempt == nullptr || attempt->late) return;
  HeldAttempt held;
  held.epoch = e.epoch;
  held.counter = attempt->row.counter;
  held.received = e.received != 0 ? e.received : wall_;
  ApplyStatus(*drone, *attempt, held);
}

void Hive::On(const event::Reject& e) {
  Drone* drone = ByConnection(e.connection);
  if (drone == nullptr) return;
  Heard(*drone);
  Attempt* attempt = Held(*drone, e.epoch);
  if (attempt == nullptr) return;
  // Its own word that it takes nothing came before; after it opens again it gets work at once.
  if (!e.withdrawn || drone->intake == Intake::kOpen) Avoid(*drone, kAvoidRefusing);
  GiveUp(*attempt, e.withdrawn ? Reason::kHandedBack : Reason::kRejected,
         absl::StrCat(drone->row.name, " refused the job: ", e.reason), 0);
}

void Hive::On(const event::Status& e) {
  Drone* drone = ByConnection(e.connection);
  if (drone == nullptr) return;
  Heard(*drone);
  Attempt* attempt = Held(*drone, e.attempt.epoch);
  if (attempt == nullptr) return;
  ApplyStatus(*drone, *attempt, e.attempt);
  if (e.attempt.state == HeldState::kLost) LoseShim(*drone, *attempt, e.attempt);
}

void Hive::ApplyStatus(Drone& drone, Attempt& attempt, const HeldAttempt& held) {
  if (attempt.late) return ApplyLateStatus(drone, attempt, held);
  JobRow& job = jobs_.at(attempt.row.job);
  if (attempt.accept_by) {  // the answer to its assignment
    attempt.accept_by.reset();
    drone.refusals = 0;
    // Canceled between offer and answer: the drone may not have known the attempt when the cancel came.
    if (job.cancel_requested) SendCancel(drone, job);
  }
  if (held.counter < attempt.row.counter) return;  // an older one that was overtaken
  if (!MayFollow(attempt.said, held.state)) return;
  attempt.row.counter = held.counter;
  attempt.said = held.state;
  bool news = TakeTimes(attempt, held.received, held.started, 0);
  auto take_code = [&](std::int32_t& known, std::int32_t said) {
    bool first = known == -1 && said >= 0 && said <= kLargestCode;
    news = news || first;
    if (first) known = said;
  };
  take_code(attempt.row.test_code, held.test_code);
  take_code(attempt.row.deploy_code, held.deploy_code);
  JobState state = held.state == HeldState::kAccepted ? JobState::kReceived : JobState::kStarted;
  if (held.state == HeldState::kFinished || held.state == HeldState::kLost) ReleaseSlot(attempt);
  bool deploys = job.type != JobType::kTest;
  bool grant = held.wants_grant && deploys && held.state == HeldState::kRunning && !job.cancel_requested;
  // A drone that is past the grant got it from a queen whose memory of it was lost: its deploy may have
  // begun.
  bool first_grant = !attempt.row.granted && (grant || (deploys && held.state == HeldState::kGranted));
  if (state > attempt.row.state || first_grant || news) {
    attempt.row.state = std::max(attempt.row.state, state);
    attempt.row.granted = attempt.row.granted || first_grant;
    if (job.attempt == attempt.row.epoch) job.state = attempt.row.state;
    Save(attempt.row);
    Save(job);
    run_book_.Started(job);
  }
  if (grant) Send(drone.connection, to_drone::Grant{held.epoch});
  if (planted::Is(planted::kPassedWithoutLog) && held.state == HeldState::kFinished && held.test_code == 0) {
    FinishJob(job, JobState::kPassed, Reason::kNone, "");
  }
}

void Hive::On(const event::ShimLost& e) {
  Drone* drone = ByConnection(e.connection);
  if (drone == nullptr) return;
  Heard(*drone);
  auto known = attempts_.find(e.epoch);
  if (known != attempts_.end() && known->second.session == drone->session && known->second.seal &&
      known->second.seal->at_least > 0) {
    return;  // the Hello said so already: its records are on their way, and Fenced would throw them away
  }
  Attempt* attempt = Held(*drone, e.epoch);
  if (attempt == nullptr) return;
  HeldAttempt lost;
  lost.last_seq = e.last_seq;
  lost.detail = e.detail;
  lost.trimmed = e.trimmed;
  lost.handed_back = e.handed_back;
  LoseShim(*drone, *attempt, lost);
}

}  // namespace waggle::queen
