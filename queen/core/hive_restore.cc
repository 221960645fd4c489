// After a backup was restored: a time is missing that drones and people remember.
//
// Nothing is given for one lease. Drones come back meanwhile and say which epochs they have seen; behind the
// highest, and a million more, the queen goes on. An attempt of the missing time is kept by its drone,
// listed, and ended when a person says so. Deploys that the backup holds unfinished end as unknown, because
// they may have run since; tests run again.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/planted.h"
#include "queen/core/hive.h"

namespace waggle::queen {
namespace {

// What is given afterwards must stay below what any Hello may hold (2^62), or one lie would shut out every
// drone.
constexpr std::uint64_t kHighestLearnt = std::uint64_t{1} << 61;
// For drones that were not heard: they may have seen more.
constexpr std::uint64_t kEpochsSkipped = 1'000'000;
constexpr std::uint64_t kSessionsSkipped = 1'000'000;
// Of jobs and runs: a number that somebody wrote down in the missing time shall not be another job's.
constexpr std::uint64_t kNumbersSkipped = 10'000;
// More such times than anybody restores backups: a drone that lies shall not fill the database.
constexpr std::size_t kMostRestores = 1000;

}  // namespace

void Hive::BeginListening() {
  if (restores_.empty() || restores_.back().last) return;
  RestoreRow& restore = restores_.back();
  ListenAnew();
  if (restore.begun) return;
  restore.begun = true;
  Save(restore);
  counters_.session += kSessionsSkipped + ByTheClock();
  counters_.job += kNumbersSkipped;
  counters_.run += kNumbersSkipped;
  counters_changed_ = true;
  SettleDeploys();
}

void Hive::SettleDeploys() {
  std::vector<JobId> deploys;
  for (const auto& [id, job] : jobs_) {
    if (job.type != JobType::kTest) deploys.push_back(id);
  }
  std::sort(deploys.begin(), deploys.end());
  for (JobId id : deploys) {
    JobRow& job = jobs_.at(id);
    auto held = attempts_.find(job.attempt);
    if (held != attempts_.end()) {
      held->second.row.granted = true;  // as far as anybody knows
      GiveUp(held->second, Reason::kDroneLost, "the queen was restored from a backup", 0);
    } else {
      FinishJob(
          job, JobState::kErrored, Reason::kUnknown,
          "the queen was restored from a backup of before its end; its deploy may have run since, so it is "
          "not repeated");
    }
  }
}

void Hive::ListenAnew() {
  listen_until_ = now_ + config_.LostAfter();
}

// One backup may be restored again and again, and who saw what was given in between may not be heard. So what
// is skipped grows with time.
std::uint64_t Hive::ByTheClock() const {
  return std::min(static_cast<std::uint64_t>(std::max<WallMillis>(0, wall_)), kHighestLearnt);
}

std::string Hive::WhyListening() const {
  const auto left = std::chrono::ceil<std::chrono::seconds>(*listen_until_ - now_).count();
  return absl::StrCat("the queen was restored from a backup and listens to her drones for ", left,
                      " s before she gives work");
}

void Hive::CheckListening() {
  if (!listening() || *listen_until_ > now_) return;
  listen_until_.reset();
  if (!planted::Is(planted::kEpochNotLearnt)) {
    counters_.epoch = std::max(counters_.epoch, highest_heard_) + kEpochsSkipped + ByTheClock();
    counters_changed_ = true;
  }
  RestoreRow& restore = restores_.back();
  restore.last = Epoch(counters_.epoch);
  Save(restore);
}

void Hive::Learn(Epoch highest) {
  const std::uint64_t seen = std::min(highest.value(), kHighestLearnt);
  highest_heard_ = std::max(highest_heard_, seen);
  if (listening() || seen <= counters_.epoch || restores_.size() >= kMostRestores ||
      planted::Is(planted::kEpochNotLearnt)) {
    return;
  }
  // A backup was put in place and nobody said so. What was given since may have been given twice; from here
  // on nothing is.
  RestoreRow missing{Epoch(counters_.epoch + 1), Epoch(seen + kEpochsSkipped), true};
  counters_.epoch = missing.last.value();
  counters_changed_ = true;
  Save(missing);
  restores_.push_back(missing);
}

bool Hive::IsForgotten(Epoch epoch) const {
  if (epoch.value() > counters_.epoch) return true;
  return std::any_of(restores_.begin(), restores_.end(), [&](const RestoreRow& missing) {
    return missing.first <= epoch && (!missing.last || epoch <= missing.last);
  });
}

void Hive::NoteForgotten(Drone& drone, const HeldAttempt& held) {
  const bool over = held.state == HeldState::kFinished || held.state == HeldState::kLost;
  if (drone.forgotten.insert(held.epoch).second && !over) ++drone.forgotten_running;
}

void Hive::On(const event::ForgetAttempt& e) {
  Drone* drone = FindNamed(e.request, e.drone);
  if (drone == nullptr) return;
  if (!drone->connection || drone->forgotten.erase(e.epoch) == 0) {
    effects_.after.push_back(effect::Answer{
        e.request,
        absl::NotFoundError(absl::StrCat(
            e.drone, drone->connection ? " holds no attempt " : " is not connected, attempt ",
            e.epoch.value(), " that the queen does not remember\nnext: `waggle drones` lists them"))});
    return;
  }
  Send(drone->connection, to_drone::Fenced{e.epoch});
  drone->forgotten_running =
      std::min<std::uint32_t>(drone->forgotten_running, static_cast<std::uint32_t>(drone->forgotten.size()));
  UpdatePlacement(*drone);
  effects_.after.push_back(effect::Answer{e.request, ViewOf(*drone)});
}

}  // namespace waggle::queen
