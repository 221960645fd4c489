#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "drone/core/events.h"
#include "queen/core/hive.h"
#include "queen/logs/log_shard.h"
#include "tests/sim/network.h"
#include "tests/sim/oracle.h"
#include "tests/sim/wire.h"
#include "tests/support/shadow_store.h"

namespace waggle::sim {

class DroneHost;

// The queen's host: the real Hive and the real LogShard; around them what queen/app/mailbox.cc (batches, one
// commit in flight, effects behind it) and queen/api/hive_streams.h (streams, sessions) do. She can be
// killed between any two effects and with a commit under way.
class QueenHost {
 public:
  QueenHost(World& world, Oracle& oracle, queen::ShadowStore& store);

  void Start();
  bool up() const { return hive_ != nullptr; }

  // ---- people ----
  using Done = std::function<void(const queen::AnswerValue*)>;  // nullptr: no answer came, nobody knows
  void Ask(const std::function<queen::Event(queen::RequestId)>& make, Done done);
  std::optional<Seq> LastAppended(Epoch epoch) const;

  // ---- streams from drones ----
  std::shared_ptr<Connection> Connect(DroneHost& drone, bool bulk);
  void HearControl(std::uint64_t connection, const drone::ControlUp& message);
  void HearBulkHello(DroneHost& drone, std::uint64_t connection, SessionId session);
  void HearRecords(std::uint64_t connection, Epoch epoch, const std::string& packed);
  drone::event::ControlLost::Why WhyClosed(std::uint64_t connection) const;

  // ---- faults ----
  void Kill(std::uint64_t after_effects, Nanos down);
  void LosePower(Nanos down);
  void Restore(const queen::ShadowStore& backup, Nanos down);
  void Pause(Nanos length);
  void SlowDisk(Nanos until) { slow_until_ = until; }
  void SetDiskFull(bool full);
  void FlipLogBit();
  void FailSync() { world_.disk.FailSyncs("/q", 1); }
  void StepWall(Nanos by) { clock_.StepWall(by); }
  void Heal();

 private:
  struct Batch {
    queen::WriteBatch rows;
    std::vector<queen::Effect> after;
    bool empty() const { return rows.empty() && after.empty(); }
  };
  struct Stream {
    DroneHost* drone = nullptr;
    Peer peer;
    std::shared_ptr<Connection> connection;
    bool bulk = false;
    SessionId session;  // of a bulk stream that said which
    Nanos alive_said = -kMinute;
    Nanos handed_over = 0;  // the newest message, to the core or the logs
  };

  // queen.cc: the mailbox.
  void Later(Nanos delay, std::function<void()> what);
  void Post(queen::Event event);
  void StepAll();
  void Append(queen::Effects effects);
  void ArmTimer();
  void StartCommit();
  void Commit();
  void Starved();
  void LookAtDisk();
  void NoteHeard(const queen::Event& event);
  void CheckSteps(const queen::Event& event, const queen::Effects& effects, Duration late);
  void Gone(Nanos down, bool commit_kept);

  // queen_streams.cc: effects and streams.
  void Perform(const queen::Effect& effect);
  void Send(const queen::effect::Send& e);
  void SendBulk(SessionId session, drone::BulkDown message);
  void CloseStream(std::uint64_t id);
  void HandOver(Stream& stream, std::function<void()> what);
  void OpenLogs(const std::vector<Epoch>& recover, const std::vector<std::pair<Epoch, Seq>>& late);
  void RunLogs();
  void TakeRecords(SessionId session, Epoch epoch, const std::string& packed);
  void StorageFailed(const absl::Status& status);
  Nanos DiskTime();

  World& world_;
  Oracle& oracle_;
  queen::ShadowStore& store_;
  Random random_;
  HostClock clock_;

  Process process_;
  std::uint64_t life_ = 0;
  std::unique_ptr<queen::Hive> hive_;
  std::unique_ptr<queen::LogShard> logs_;
  bool dying_ = false;  // has to leave; nothing she does from here on is seen
  Nanos down_ = kSecond;
  std::optional<std::uint64_t> kill_after_;
  Nanos slow_until_ = 0;
  std::uint64_t lives_ = 0;
  bool restored_before_ = false;

  std::deque<queen::Event> inbox_;
  bool step_planned_ = false, logs_planned_ = false, sync_planned_ = false;
  Batch pending_, in_flight_;
  bool committing_ = false, commit_waits_ = false;
  bool starved_ = false, disk_trouble_ = false, look_planned_ = false;  // as StorageGuard
  std::optional<Time> wake_;
  std::uint64_t timer_ = 0;
  std::uint64_t next_request_ = 0;
  std::map<queen::RequestId, Done> waiting_;

  std::uint64_t next_stream_ = 0;
  std::map<std::uint64_t, Stream> streams_;
  std::map<SessionId, std::uint64_t> bulk_;         // the stream of a session
  std::map<SessionId, const DroneHost*> sessions_;  // open ones
  std::map<std::uint64_t, drone::event::ControlLost::Why> why_closed_;
  std::set<Epoch> canceled_, granted_, awaited_;    // said or asked before, by this queen or the one before
  std::map<std::size_t, Time> heard_;               // of each drone, last
  std::set<std::pair<Epoch, std::string>> losses_;  // that were decided, by attempt and detail
};

}  // namespace waggle::sim
