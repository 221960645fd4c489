#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/journal/reader.h"
#include "common/journal/trim.h"
#include "drone/core/drone_core.h"
#include "tests/sim/network.h"
#include "tests/sim/oracle.h"
#include "tests/sim/shim.h"
#include "tests/sim/wire.h"

namespace waggle::sim {

class QueenHost;

// One worker host: its daemon (the real core; around it what drone/app, drone/attempt and drone/link do), its
// shims and its disk /dN. The daemon can be killed between any two effects; the shims go on.
class DroneHost {
 public:
  DroneHost(World& world, Oracle& oracle, QueenHost& queen, std::size_t number);
  // Another host that has the key of `original`, and with `data` what is in its data directory now.
  DroneHost(const DroneHost& original, std::size_t copy, bool data);

  void StartDaemon();
  // KILL, as soon as the daemon has performed so many more effects, or after a moment.
  void KillDaemon(std::uint64_t after_effects, Nanos down);
  void Detach(Nanos down);
  void Drain(Nanos down);
  void Stop(Nanos down);                      // everything is handed back
  void PauseWork(Nanos length, bool resume);  // it ends by itself, or before that somebody resumes
  void Resize(std::uint64_t choice, Nanos length);
  void PauseDaemon(Nanos length);
  void Suspend(Nanos length);  // daemon and shims; the boot clock runs on
  void Reboot(Nanos down);
  void KillShim(std::uint64_t which);
  void CutShimSockets();
  void SetDiskFull(bool full) { world_.disk.SetFull(host_, full); }
  void CutConnections(bool control, bool bulk);
  void Stall(bool bulk, Side from, Nanos length);
  void SlowLink(Nanos extra, Nanos length);         // each message takes up to so much longer
  void Partition(Nanos length, Nanos down_length);  // the way down may come back earlier
  void FlipSpoolBit() { world_.disk.FlipBit(host_, random_); }
  void ExpireCertificate(Nanos length, bool cut);  // somebody renews it by then
  void Enrolled(std::string identity);             // anew: this is its key now
  void Unplug();                                   // for good, with all that runs on it
  void StepWall(Nanos by) { clock_.StepWall(by); }
  // Everything that holds it back ends now.
  void Heal();

  const std::string& name() const { return peer_.name; }
  const Peer& peer() const { return peer_; }
  bool partitioned() const { return world_.now() < partitioned_until_; }
  bool expired() const { return world_.now() < expired_until_; }
  std::size_t number() const { return number_; }
  bool ThinksConnected() const { return core_ != nullptr && !process_.paused() && core_->connected(); }
  bool Idle() const { return core_ != nullptr && core_->connected() && facts_.empty(); }

  // From the queen, over the streams.
  void HearControl(std::uint64_t connection, drone::ControlDown message);
  void HearBulk(std::uint64_t connection, const drone::BulkDown& message);

 private:
  // attempt.bin of an attempt directory.
  struct Facts {
    JobId job;
    WallMillis received = 0;
    std::uint64_t boot = 0;
    bool durable = false;
    Shim* shim = nullptr;
    bool handed_back = false;
  };
  // What the daemon knows of it.
  struct Entry {
    bool alive = false, attached = false, finished = false;
    Seq last;
    std::unique_ptr<journal::Reader> reader;
    std::unique_ptr<journal::Trimmer> trimmer;
  };

  // drone.cc: the daemon.
  void Emit(drone::Event event);
  void Settle();
  void Perform(drone::Effect& effect);
  void Perform(drone::effect::OpenControl& e);
  void Perform(drone::effect::CloseControl& e);
  void Perform(drone::effect::OpenBulk& e);
  void Perform(drone::effect::CloseBulk& e);
  void Perform(drone::effect::SendControl& e);
  void Perform(drone::effect::SendRecords& e);
  void Perform(drone::effect::TrimSpool& e);
  void Perform(drone::effect::StartAttempt& e);
  void Perform(drone::effect::GrantShim& e);
  void Perform(drone::effect::CancelShim& e);
  void Perform(drone::effect::KillTree& e);
  void Perform(drone::effect::DeleteAttempt& e);
  void Perform(drone::effect::Note& e);
  void Perform(drone::effect::Exit& e);
  void ArmTimer();
  std::shared_ptr<Connection> Connect(bool bulk);
  void BulkReadyLater(std::uint64_t connection);
  void DaemonGone(Nanos down);  // its streams die with it
  void StartLater(Nanos down);
  void Input(drone::Event event);  // something happened outside: queue it and settle
  // `what` happens in this daemon, unless another one runs by then.
  void Later(Nanos delay, std::function<void()> what);

  // drone_host.cc: attempts on this host, and faults.
  void Recover();
  void EmitPause();
  void ResumeWork();
  drone::Held ReadEnding(Epoch epoch, const Facts& facts);
  void ShimExited(Epoch epoch);
  void Attach(Epoch epoch);
  Shim::Listener ListenerOf(Epoch epoch);
  journal::Location SpoolOf(Epoch epoch) const;
  bool HasRoom() const;

  World& world_;
  Oracle& oracle_;
  QueenHost& queen_;
  const std::size_t number_;
  Peer peer_;
  const std::string host_, name_;  // of its files; in the trace
  Random random_;
  HostClock clock_;

  Process process_;  // the daemon
  std::unique_ptr<drone::DroneCore> core_;
  std::uint64_t life_ = 0;  // of the daemon
  bool dying_ = false;      // was killed while it performs effects
  bool unplugged_ = false;
  Nanos down_ = 0;
  std::optional<std::uint64_t> kill_after_;
  bool draining_ = false;
  std::deque<drone::Event> events_;
  std::deque<drone::Event>* answers_ = nullptr;
  bool settling_ = false;
  std::optional<Time> wake_;
  std::uint64_t timer_ = 0;
  std::map<Epoch, Entry> entries_;
  std::shared_ptr<Connection> control_, bulk_;
  Nanos partitioned_until_ = 0, expired_until_ = 0;
  Nanos slow_extra_ = 0, slow_until_ = 0;
  Nanos paused_until_ = 0;  // what stands in DATA/paused

  // The disk of the host, and what runs on it.
  std::map<Epoch, Facts> facts_;
  std::set<Epoch> fenced_;  // the queen said so
  Epoch highest_;
  std::uint64_t boot_ = 1;
  std::vector<std::unique_ptr<Shim>> shims_;
};

}  // namespace waggle::sim
