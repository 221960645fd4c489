#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "absl/status/statusor.h"
#include "drone/app/control_server.h"
#include "drone/app/health_watch.h"
#include "drone/app/options.h"
#include "drone/app/pause_file.h"
#include "drone/attempt/attempts.h"
#include "drone/attempt/janitor.h"
#include "drone/attempt/layout.h"
#include "drone/attempt/poller.h"
#include "drone/core/drone_core.h"
#include "drone/link/link.h"

namespace waggle::drone {

// The drone: joins the core to the host (drone/attempt) and to the queen (drone/link).
//
// Threads: Run()'s is the attempts loop: one epoll set over the shims' sockets and pidfds, one timer, the
// link's inbox, that of DATA/drone.sock and the signals. It alone steps the core and performs its effects.
// gRPC's pool fills the link's inbox; the janitor empties the trash; the health watch looks at its document.
//
// Signals: TERM = detach and exit, attempts go on under their shims; INT = drain; a second INT, or QUIT =
// stop now. REQUIRES: those and SIGCHLD are blocked in every thread (BlockSignals before any thread starts).
class Daemon {
 public:
  // FailedPrecondition: the data directory belongs to another daemon (AlreadyExists) or cannot be used.
  static absl::StatusOr<std::unique_ptr<Daemon>> Create(Options options);
  static void BlockSignals();
  ~Daemon();

  int Run();  // exit code

 private:
  Daemon(Options options, plugins::Catalog plugins);
  absl::Status Open();
  absl::Status FindQueen();
  absl::Status FindIsolation(const std::string& shim, attempt::Isolations* isolation);
  absl::Status Lock();
  void OnSignals();
  void Emit(Event event);
  void OnDown();       // says the health document
  void TakeUpPause();  // of the daemon before
  // What is asked for over DATA/drone.sock. Internal: the pause could not be kept; nothing was changed.
  absl::StatusOr<LocalStatus> OnRequest(const LocalRequest& request);
  absl::Status Pause(const LocalRequest& request);
  absl::Status Resume();
  void Settle();  // steps the core until no event is left
  void Perform(Effect& effect);
  void Perform(effect::OpenControl& e) { link_->OpenControl(e.hello); }
  void Perform(effect::CloseControl&) { link_->CloseControl(); }
  void Perform(effect::OpenBulk& e) { link_->OpenBulk(e.session); }
  void Perform(effect::CloseBulk&) { link_->CloseBulk(); }
  void Perform(effect::SendControl& e);
  void Perform(effect::SendRecords& e);
  void Perform(effect::TrimSpool& e) { attempts_->Trim(e.epoch, e.acked); }
  void Perform(effect::StartAttempt& e) { attempts_->Start(e.assign); }
  void Perform(effect::GrantShim& e) { attempts_->Grant(e.epoch); }
  void Perform(effect::CancelShim& e) { attempts_->Cancel(e.cancel); }
  void Perform(effect::KillTree& e) { attempts_->Kill(e.epoch, e.hand_back); }
  void Perform(effect::DeleteAttempt& e) { attempts_->Delete(e.epoch); }
  void Perform(effect::Note& e);
  void Perform(effect::Exit& e) { exit_code_ = e.code; }

  Options options_;  // completed by Open()
  const attempt::Layout layout_;
  const plugins::Catalog plugins_;
  UniqueFd lock_;
  UniqueFd signals_;
  std::unique_ptr<attempt::Poller> poller_;
  const PauseFile pause_file_;
  std::unique_ptr<attempt::Janitor> janitor_;
  std::unique_ptr<attempt::Attempts> attempts_;
  std::unique_ptr<Credentials> credentials_;  // of the link
  std::unique_ptr<Link> link_;
  std::optional<DroneCore> core_;  // from Open() on
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<HealthWatch> health_;  // nullptr: nobody set one
  std::mt19937_64 random_{std::random_device{}()};

  // Events that wait for the core. Bounded by what one round of the poller can bring and its effects can
  // answer.
  std::deque<Event> events_;
  std::deque<Event>* answers_ =
      nullptr;  // set while effects are performed: what they emit comes before events_
  std::optional<Time> core_wake_;
  std::optional<int> exit_code_;
};

}  // namespace waggle::drone
