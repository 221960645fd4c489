#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/limits.h"
#include "queen/core/access.h"
#include "queen/core/branch_gate.h"
#include "queen/core/events.h"
#include "queen/core/placement.h"
#include "queen/core/rivals.h"
#include "queen/core/run_book.h"
#include "queen/core/submissions.h"

namespace waggle::queen {

struct HiveConfig {
  Duration lease = limits::kLease;
  Duration margin = limits::kLeaseMargin;
  Duration accept_deadline = limits::kAcceptDeadline;
  // Stepped so much later than it asked for: the queen was the one away (stopped, suspended, overloaded).
  Duration away = std::chrono::seconds(1);
  int infrastructure_retries = limits::kInfrastructureRetries;
  bool serial_branches = true;  // runs of one repository and branch go one after the other
  // The queen waits longer than the drone counts, so that the drone always knows first.
  Duration LostAfter() const { return lease + lease / 20 + margin; }
};

// Decides everything about jobs, drones and leases. Pure: no thread, clock, random source, socket or file;
// one thread at a time. Step() returns what must be stored and what may be said after it is stored
// (architecture.md section 4).
//
// Life of a job: submitted → queued → assigned to a drone with a new epoch → accepted (received) → started →
// its log is complete → verdict. An attempt that is lost before that is sealed; its job is queued again
// (TEST, or not yet granted; bounded) or ends errored. Every message about an attempt must come from the
// session that holds it, or it is answered with Fenced and changes nothing.
class Hive {
 public:
  Hive(HiveConfig config, Snapshot snapshot, Time now);

  // What must happen before the first event: queued jobs wait, held attempts get a full lease, logs of
  // attempts given up before the restart are sealed.
  Effects Start(Time now, WallMillis wall);
  Effects Step(Time now, WallMillis wall, const Event& event);

  std::uint64_t waiting() const { return placement_.waiting() + branch_gate_.held(); }

 private:
  struct Attempt {
    AttemptRow row;
    SessionId session;  // that may speak for it; none until its drone is back after a restart
    bool holds_slot = false;
    // Set once it is given up: nothing its drone says counts any more, only records up to seal->at_least.
    std::optional<effect::SealLog> seal;
    std::optional<Time> accept_by;          // not answered by then: given up
    std::optional<Time> seal_by;            // the awaited records are not there by then: sealed without them
    HeldState said = HeldState::kAccepted;  // the furthest its drone reported in this process
    // Its verdict is out, as unknown: what its drone brings now is only the truth about it (hive_late.cc).
    bool late = false;
    bool kept = false;  // its drone is back before the verdict is out, and told to keep it until then
  };
  struct Drone {
    DroneRow row;
    ConnectionId connection;  // none = not connected
    SessionId session;
    bool local = false;
    std::string place;          // of its session
    std::uint64_t said_at = 0;  // of its Hello
    Rivals rivals;
    bool lost = false;           // its lease is over; it holds nothing
    bool lease_checked = false;  // has an entry in lease_checks_
    Time last_heard{};
    WallMillis connected_at = 0;
    Intake intake = Intake::kOpen;  // what its owner says in this session
    std::string intake_reason;
    WallMillis intake_until = 0;
    std::optional<Time> hand_back_at;  // the deadline of its drain, while that is to come
    bool hand_back = false;            // it is over: what runs goes elsewhere
    Vitals vitals;
    std::set<Epoch> attempts;  // assigned to it, until their log is closed
    // Of a time that a restored queen does not remember (hive_restore.cc), and how many may still run.
    std::set<Epoch> forgotten;
    std::uint32_t forgotten_running = 0;
    int trespasses = 0;  // of this session
    int refusals = 0;    // assignments refused or not answered since the last one it accepted
    std::optional<Time> avoided_until;
  };

  void On(const event::SubmitJob&);
  void On(const event::SubmitRun&);
  void On(const event::Retry&);
  void On(const event::CancelRun&);
  void On(const event::CancelJob&);
  void On(const event::Explain&);
  void On(const event::ListFleet&);
  void On(const event::DrainDrone&);
  void On(const event::UndrainDrone&);
  void On(const event::ForgetAttempt&);
  void On(const event::Invite&);
  void On(const event::Enrol&);
  void On(const event::Revoke&);
  void On(const event::ListPeers&);
  void On(const event::Hello&);
  void On(const event::Disconnected&);
  void On(const event::Info&);
  void On(const event::Heartbeat&);
  void On(const event::Accept&);
  void On(const event::Reject&);
  void On(const event::Status&);
  void On(const event::ShimLost&);
  void On(const event::Alive&);
  void On(const event::Trespass&);
  void On(const event::LogComplete&);
  void On(const event::Storage&);
  void On(const event::Tick&);

  // hive_jobs.cc
  // True: answered with why nothing new is taken now.
  bool RefuseNew(RequestId request);
  // True: it is a repeat, and answered.
  bool AnswerRepeat(RequestId request, const event::SubmissionKey& key);
  void Remember(const event::SubmissionKey& key, JobId job, RunId run);
  // A row of its own; it goes nowhere yet.
  JobRow& AddJob(JobDraft draft, RunId run);
  void EnterBranch(const JobRow& job);
  void LeaveBranch(JobId job);  // whom it held up goes on
  void Enqueue(JobRow& job);
  void PlaceJobs();
  void Assign(JobId job, DroneId drone);
  // The attempt will bring no more: seal its log once it has the records up to `log_at_least`; the job is
  // queued again at once, or its verdict follows when the log is sealed. On an attempt that was given up
  // before: wait for no records.
  void GiveUp(Attempt& attempt, Reason reason, std::string detail, std::uint64_t log_at_least);
  // Gives the row as it is stored; `job` is gone.
  JobRow FinishJob(JobRow& job, JobState state, Reason reason, std::string detail);
  // Gives the job as it is after that.
  JobRow CancelUnfinished(JobRow& job, const std::string& by, const std::string& reason, bool now);
  static std::string CancelDetail(const JobRow& job);
  void SendCancel(const Drone& drone, const JobRow& job);
  // After a restart: an attempt nobody can bring to an end any more.
  void SealOrphan(Attempt& attempt);
  void FinishAttempt(Attempt& attempt, JobState state, Reason reason, std::string detail);
  // Only a restored queen finds a seal in a log that she does not remember: the end of this attempt, and not
  // of its job.
  void TakeForgottenSeal(Attempt& attempt, const journal::Final& final);
  void ReleaseSlot(Attempt& attempt);
  void Forget(Epoch epoch);
  // The attempt ended because somebody closes its drone: as long as the job has some left, it does not count.
  static void Excuse(JobRow& job, Reason reason);
  bool MayRetry(const JobRow& job, const Attempt& attempt, Reason reason) const;
  static bool MayRepeat(const JobRow& job, const Attempt& attempt, JobState state);
  JobRow RepeatFailed(JobRow& job);
  std::uint32_t RetriesOf(const JobRow& job) const;  // of infrastructure
  static std::uint32_t Counted(const JobRow& job);   // attempts that count against them
  // True when one of them was news.
  bool TakeTimes(Attempt& attempt, WallMillis received, WallMillis started, WallMillis finished);

  // hive_runs.cc
  void OpenRuns(Snapshot& snapshot);
  void SupersedeBefore(const RunRow& run);
  void CancelRun(RunId run, const std::string& by, const std::string& reason, bool now, bool spare_deploys);
  // Jobs that wait for others, of which something was decided: they go, or are skipped.
  void Settle();
  // OK: the rows are what the core knows, and each of `again` may run once more.
  absl::Status CheckRetry(const event::Retry& e) const;
  // The drone on which a deploy of this job goes on behind its verdict `unknown`; "" = none, as far as is
  // known.
  std::string RunsLateOn(JobId job) const;
  // Those of `jobs` as this step left them, by id.
  std::vector<JobRow> StoredOf(const std::vector<JobRow>& jobs) const;
  void NoteEnded(const JobRow& job);

  // hive_late.cc
  // It has ended as unknown; its drone does not know yet.
  void AwaitTruth(Attempt& attempt, JobRow job);
  // Its drone is back and keeps it until the verdict is out: that is now, whatever it is.
  void AskAgain(const Attempt& attempt);
  void StopAwaiting(Epoch epoch);
  void StopAwaitingOf(const Drone& drone);
  void StopAwaitingMissing(const Drone& drone, const std::set<Epoch>& listed);
  void ForgetLate(Epoch epoch);
  bool AwaitsTruth(const Drone& drone, Epoch epoch) const;
  // Its drone is back with it. REQUIRES: AwaitsTruth().
  Disposition ResumeLate(Drone& drone, const HeldAttempt& held);
  void ApplyLateStatus(Drone& drone, Attempt& attempt, const HeldAttempt& held);
  void GiveUpLate(Attempt& attempt, Reason reason, std::string detail, std::uint64_t log_at_least);
  void LoseLate(Attempt& attempt);  // its drone is lost once more; forgets `attempt`
  void TakeTruth(const event::LogComplete& complete);
  // False: its drone is not there, or holds it no more.
  bool SayVerdict(const Attempt& attempt);

  // hive_drones.cc
  Drone* ByConnection(ConnectionId connection);
  // The live attempt of this epoch if this drone's session holds it; otherwise answers Fenced and gives
  // nullptr.
  Attempt* Held(Drone& drone, Epoch epoch);
  // It spoke of this epoch, which it does not hold. A crossing message about an attempt that was its own is
  // no offence; three about others' attempts end the session.
  void CountTrespass(Drone& drone, Epoch epoch);
  // It did not take an assignment: no other for a while, or one broken drone would use up every job's
  // attempts.
  void Avoid(Drone& drone, Duration at_first);
  void CloseSession(Drone& drone, absl::Status why);
  Drone* FindOrAddDrone(const event::Hello& hello);
  void OpenSession(Drone& drone, const event::Hello& hello);
  static void TakeInfo(Drone& drone, const DroneInfo& info);
  Disposition Resume(Drone& drone, const HeldAttempt& held);
  // Why it takes no work, as the end of a sentence about it; "" if it does.
  std::string WhyClosed(const Drone& drone) const;
  void UpdatePlacement(Drone& drone);
  void Heard(Drone& drone);
  void CheckLeaseLater(Drone& drone);
  void LoseDrone(Drone& drone, std::string_view why);
  void StartLeasesAnew();
  void CheckDeadlines();
  void CheckAttempt(Attempt& attempt);
  std::string LastSeen(const Drone& drone) const;

  // hive_reports.cc
  // After the Welcome: what the Hello said of an attempt that goes on.
  void TakeUp(Drone& drone, const HeldAttempt& held);
  void ApplyStatus(Drone& drone, Attempt& attempt, const HeldAttempt& held);
  void LoseShim(Drone& drone, Attempt& attempt, const HeldAttempt& held);

  // hive_drains.cc
  // nullptr: there is none of this name, and that is answered.
  Drone* FindNamed(RequestId request, const std::string& name);
  DroneView ViewOf(const Drone& drone) const;
  static to_drone::Drain DrainOf(const Drone& drone);
  // Who drained a drone meant the host of that name, also if it is set up anew meanwhile.
  void TakeOverDrain(Drone& from, Drone& to);
  void HandBackLater(Drone& drone, Duration in);
  void CheckDrain(Drone& drone);
  // Before a session opens that may end another one: drains a drone whose key is used in two places again and
  // again. True: now, or once more.
  bool WatchRivals(Drone& drone, const event::Hello& hello);

  // hive_restore.cc
  void BeginListening();  // at the start, when a backup was restored
  void SettleDeploys();   // which the backup holds unfinished: they may have run since
  void ListenAnew();
  void CheckListening();
  bool listening() const { return listen_until_.has_value(); }
  std::string WhyListening() const;
  std::uint64_t ByTheClock() const;
  // A drone has seen this epoch: it is not given again.
  void Learn(Epoch highest);
  // Given in a time that is not remembered, as far as anybody can tell.
  bool IsForgotten(Epoch epoch) const;
  void NoteForgotten(Drone& drone, const HeldAttempt& held);

  // hive_access.cc
  void CutOff(Drone& drone);  // revoked: nothing more comes of it
  // PermissionDenied: it comes from another host and may not.
  absl::Status CheckPeer(const event::Hello& hello) const;
  // The labels that count: what the operator gave, and what it says of itself beyond that.
  std::map<std::string, std::string> LabelsOf(const Drone& drone) const;

  // Adds the row as it is now to the step's batch; of several in one batch the last counts.
  void Save(const JobRow& job);  // and tells watchers
  void Save(const AttemptRow& attempt);
  void Save(const DroneRow& drone);
  void Save(const RestoreRow& restore);
  void Send(ConnectionId connection, ToDrone message);
  Effects Take();

  const HiveConfig config_;
  Counters counters_;
  bool counters_changed_ = false;
  std::unordered_map<JobId, JobRow> jobs_;       // unfinished ones
  std::unordered_map<Epoch, Attempt> attempts_;  // of unfinished jobs, or with an open log
  std::map<Epoch, Snapshot::Awaited> awaited_;   // unknown ones whose drone may bring the truth
  std::unordered_map<DroneId, Drone> drones_;
  std::unordered_map<std::string, DroneId> by_identity_, by_name_;
  std::unordered_map<ConnectionId, DroneId> by_connection_;
  std::unordered_map<SessionId, DroneId> by_session_;
  RunBook run_book_;
  std::vector<JobId> decided_;  // by it
  bool settling_ = false;
  // The newest jobs that ended, with the attempts they had: what is read from the store may be older.
  struct Recent {
    std::uint32_t attempts = 0;
    std::uint64_t number = 0;  // which end of a job it was
  };
  std::unordered_map<JobId, Recent> recent_;
  std::deque<std::pair<JobId, std::uint64_t>> recent_order_;
  std::uint64_t ended_ = 0;
  Submissions submissions_;
  Access access_;
  BranchGate branch_gate_;  // of unfinished jobs; those it holds are not known to placement_
  Placement placement_;
  std::vector<RestoreRow> restores_;
  std::optional<Time> listen_until_;  // the last of restores_ is open until then
  std::uint64_t highest_heard_ = 0;   // by what drones said meanwhile
  std::string storage_trouble_;       // "": there is space; else nothing new is taken, nothing is placed
  // When something may be due. Lazy: an entry is checked when it comes up and put back if its time moved.
  std::set<std::pair<Time, DroneId>> lease_checks_;
  std::set<std::pair<Time, Epoch>> attempt_checks_;
  std::set<std::pair<Time, DroneId>> avoided_;
  std::set<std::pair<Time, DroneId>> drain_checks_;

  std::optional<Time> asked_wake_;  // by the last step

  // Of the running step.
  Time now_{};
  WallMillis wall_ = 0;
  Effects effects_;
};

// How long a drone gets no work after an assignment it refused, or let pass in silence; doubles each time, at
// most five times, until it accepts one or greets anew.
inline constexpr Duration kAvoidRefusing = std::chrono::seconds(1);
inline constexpr Duration kAvoidSilent = std::chrono::seconds(30);
// Unknown deploys that a drone may still explain: a KiB or two of memory each. Behind it the oldest are given
// up.
inline constexpr std::size_t kTruthsAwaited = 4096;
inline constexpr std::size_t kRecentJobs = 4096;  // a read is not behind by more
inline constexpr int kTrespasses = 3;             // messages about others' attempts that end a session

}  // namespace waggle::queen
