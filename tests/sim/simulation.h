#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "tests/sim/drone.h"
#include "tests/sim/oracle.h"
#include "tests/sim/plan.h"
#include "tests/sim/queen.h"
#include "tests/sim/world.h"
#include "tests/support/shadow_store.h"

namespace waggle::sim {

inline constexpr Nanos kAskAgain = 2 * kSecond;  // of a person whom nobody answered

// One seed, from its first event to its verdict: chaos until plan.chaos_end, then everything is made whole
// and must come to its end, then every slot of every drone must be free to use.
class Simulation {
 public:
  Simulation(const Plan& plan, bool tracing);
  // `most_steps`: stop after so many events, whatever they came to.
  Result Run(std::uint64_t most_steps = ~std::uint64_t{0});

 private:
  struct View {  // of a watcher: checksums of the records it was shown
    std::map<Epoch, std::vector<std::uint32_t>> records;
  };

  // simulation.cc
  bool RunUntil(Nanos until, const std::function<bool()>& done);
  bool Quiet() const;
  std::string Unfinished() const;
  void ProbeSlots();
  void CheckFleet(bool at_end);
  void CheckWatchers();
  void AskWhy();

  // people.cc
  void PlanPeople();
  bool NotTaken(const queen::AnswerValue* answer);
  void Submit(std::size_t index);
  void SubmitRun(std::uint32_t run);
  queen::JobDraft DraftOf(std::size_t index) const;
  void Submitted(std::size_t index, JobId job);
  void Cancel(JobId job, bool now);
  std::size_t FirstOf(std::uint32_t run) const;  // index of its first job
  void CancelRun(RunId run);
  void Retry(JobId job);
  const queen::SubmissionRow* FindStored(const std::string& key);
  void DrainDrone(const Fault& fault);  // and later undrains it
  void UndrainDrone(const std::string& name);
  void CancelEndless();
  void TidyFleet();  // ends what a restored queen does not remember, undrains what she quarantined
  void Watch(std::size_t index);
  void Look(JobId job, View& view);

  // peers.cc
  void EnrolFirst();                     // whoever is on another host, before the queen starts
  void RevokeDrone(const Fault& fault);  // and later enrols it anew
  void Revoke(std::size_t drone, Nanos length, bool again);
  void Invite(std::size_t drone);
  void Enrol(std::size_t drone, const std::string& token);
  void EnrolForgotten();  // whom a restored queen does not know

  // faults.cc
  void Strike(const Fault& fault);
  void StrikeStream(const Fault& fault, DroneHost& drone);
  void StrikeDrone(const Fault& fault, DroneHost& drone);
  void CloneKey(const Fault& fault, DroneHost& drone);
  void StrikeQueen(const Fault& fault);
  void RestoreBackup(const Fault& fault);
  void Heal();

  const Plan plan_;
  World world_;  // its disk outlives everything that has files open
  queen::ShadowStore store_;
  Oracle oracle_;
  QueenHost queen_;
  std::vector<std::unique_ptr<DroneHost>> drones_, clones_;
  Random people_;
  std::map<std::size_t, JobId> jobs_;  // of the plan, once their number is known
  std::map<JobId, std::size_t> plans_;
  std::map<JobId, View> views_;
  std::set<RunId> canceled_runs_;
  std::map<std::string, std::uint64_t> undrains_;  // asked for, by drone
  std::uint64_t queen_power_losses_ = 0;
  std::uint64_t invited_ = 0;
  bool fleet_checked_ = false;
  std::uint64_t most_steps_ = 0;
};

}  // namespace waggle::sim
