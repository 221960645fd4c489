#include "drone/attempt/attempts.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/failpoint.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/process/tree.h"
#include "drone/attempt/pidfd.h"
#include "drone/attempt/shim_socket.h"

namespace waggle::attempt {
namespace {

using Level = drone::effect::Note::Level;

constexpr Duration kReconnectAfter = std::chrono::milliseconds(200);

// A shim's numbers are checked like any other input: its job may have got hold of it.
std::optional<drone::Held> ToHeld(const shim::Status& status) {
  const auto state = static_cast<std::uint8_t>(status.state);
  if (state < 1 || state > 5 || status.phase >= kPhaseCount || status.counter >= drone::kCounterAfterShim) {
    return std::nullopt;
  }
  drone::Held held;
  held.epoch = status.epoch;
  held.state = static_cast<drone::HeldState>(state);
  held.last = Seq(status.last);
  held.phase = static_cast<Phase>(status.phase);
  held.wants_grant = status.wants_grant;
  held.counter = status.counter;
  held.started = status.started_wall;
  held.finished = status.finished_wall;
  held.test_code = status.test_code;
  held.deploy_code = status.deploy_code;
  return held;
}

}  // namespace

std::string Attempts::HowItEnded(std::optional<int> wait_status) {
  if (!wait_status) return "the shim is gone without a final record";
  if (WIFSIGNALED(*wait_status)) {
    const int signal = WTERMSIG(*wait_status);
    return absl::StrCat("the shim was killed by signal ", signal, " (", ::strsignal(signal), ")");
  }
  return absl::StrCat("the shim exited with code ", WEXITSTATUS(*wait_status), " without a final record");
}

Attempts::Attempts(Config config, HighestEpoch highest, Poller* poller, Janitor* janitor, Emit emit, Log log)
    : config_(std::move(config)),
      highest_(std::move(highest)),
      shim_host_(config_.shim, config_.layout.Attempts(), config_.host.identity),
      poller_(poller),
      janitor_(janitor),
      emit_(std::move(emit)),
      log_(std::move(log)) {}

Attempts::~Attempts() {
  for (auto& [epoch, entry] : entries_) {
    poller_->Remove(entry.link_watch);
    poller_->Remove(entry.pid_watch);
  }
}

absl::Status Attempts::WatchLink(Entry& entry) {
  const Epoch epoch = entry.facts.epoch;
  const std::uint32_t events = EPOLLIN | (entry.link.wants_write() ? EPOLLOUT : 0u);
  ASSIGN_OR_RETURN(entry.link_watch, poller_->Add(entry.link.fd(), events,
                                                  [this, epoch](std::uint32_t e) { OnLink(epoch, e); }));
  return absl::OkStatus();
}

absl::Status Attempts::WatchProcess(Entry& entry) {
  const Epoch epoch = entry.facts.epoch;
  ASSIGN_OR_RETURN(entry.pid_watch, poller_->Add(entry.pidfd.get(), EPOLLIN,
                                                 [this, epoch](std::uint32_t) { OnShimExit(epoch); }));
  return absl::OkStatus();
}

void Attempts::OnLink(Epoch epoch, std::uint32_t events) {
  auto it = entries_.find(epoch);
  if (it == entries_.end() || !it->second.link.open()) return;
  Entry& entry = it->second;
  bool open = true;
  if (events & EPOLLOUT) {
    open = entry.link.Writable();
    if (open && !entry.link.wants_write()) poller_->Change(entry.link_watch, EPOLLIN);
  }
  if (open && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
    bool known = true;
    open = entry.link.Readable([&](const shim::Frame& frame) {
      known = known && AdoptPeer(entry);
      if (known) OnFrame(entry, frame);
    });
    if (!known) {
      Note(Level::kError,
           absl::StrCat("epoch ", epoch.value(), ": whoever answers on its socket is not its shim"));
      entry.link.Close();
      open = false;
    }
  }
  if (!open) LinkClosed(entry);
}

// The first message of a shim found again names its process; from then on a pidfd stands for it, so a reused
// number is never taken for it. False: the sender is not of this attempt.
bool Attempts::AdoptPeer(Entry& entry) {
  if (entry.pid != 0 || entry.link.peer() == 0) return true;
  const pid_t pid = entry.link.peer();
  UniqueFd pidfd(::pidfd_open(pid, 0));
  if (!pidfd.valid()) return true;  // it has exited; the end of the connection tells
  if (!HasAttemptKey(pid, Key(entry))) return false;
  entry.pid = pid;
  entry.pidfd = std::move(pidfd);
  absl::Status watched = WatchProcess(entry);
  if (!watched.ok()) Note(Level::kError, absl::StrCat("cannot watch shim ", pid, ": ", watched.message()));
  return true;
}

void Attempts::OnFrame(Entry& entry, const shim::Frame& frame) {
  const Epoch epoch = entry.facts.epoch;
  entry.answer_by.reset();
  if (const auto* watermark = std::get_if<shim::Watermark>(&frame)) {
    entry.last = Seq(watermark->last);
    emit_(drone::event::ShimWatermark{epoch, entry.last});
    return;
  }
  const auto* status = std::get_if<shim::Status>(&frame);
  if (status == nullptr) return;
  if (!status->epoch) {
    // It waits for a Start that died with the daemon before us; nothing was run.
    if (!entry.child && entry.link.peer() != 0) ::kill(entry.link.peer(), SIGKILL);
    return;
  }
  std::optional<drone::Held> held = ToHeld(*status);
  if (!held || held->epoch != epoch) {
    Note(Level::kError,
         absl::StrCat("epoch ", epoch.value(), ": a status of its shim makes no sense; ignored"));
    return;
  }
  entry.last = held->last;
  entry.finished = held->state == drone::HeldState::kFinished;
  emit_(drone::event::ShimStatus{*held});
}

void Attempts::LinkClosed(Entry& entry) {
  const Epoch epoch = entry.facts.epoch;
  poller_->Remove(entry.link_watch);
  entry.link_watch = 0;
  if (!entry.alive) return;
  if (entry.pid == 0) {  // attached again, and gone before it said a word
    OnShimExit(epoch);
    return;
  }
  emit_(drone::event::ShimDisconnected{epoch});
  entry.reconnect_at = BootClock::now() + kReconnectAfter;
}

void Attempts::Reconnect(Entry& entry, Time now) {
  entry.reconnect_at.reset();
  if (!entry.alive || entry.link.open()) return;
  absl::StatusOr<UniqueFd> connection = ConnectToShim(entry.directory);
  absl::Status status = connection.status();
  if (status.ok()) {
    entry.link = ShimLink(std::move(*connection));
    status = WatchLink(entry);
  }
  if (status.ok()) {
    emit_(drone::event::ShimConnected{entry.facts.epoch});
    return;
  }
  entry.link.Close();
  entry.reconnect_at = now + kReconnectAfter;
}

std::optional<Time> Attempts::NextDeadline() const {
  std::optional<Time> next;
  for (const auto& [epoch, entry] : entries_) {
    for (const std::optional<Time>& due : {entry.reconnect_at, entry.answer_by}) {
      if (due && (!next || *due < *next)) next = due;
    }
  }
  return next;
}

void Attempts::OnTime(Time now) {
  for (auto& [epoch, entry] : entries_) {
    if (entry.reconnect_at && now >= *entry.reconnect_at) Reconnect(entry, now);
    if (!entry.answer_by || now < *entry.answer_by) continue;
    entry.answer_by.reset();
    entry.trouble =
        absl::StrCat(config_.shim, " was started and said nothing for ",
                     std::chrono::duration_cast<std::chrono::milliseconds>(config_.shim_answers).count(),
                     " ms, so it was killed");
    Kill(epoch);
  }
}

void Attempts::SendFrame(Epoch epoch, const shim::Frame& frame) {
  auto it = entries_.find(epoch);
  if (it == entries_.end() || !it->second.link.open()) return;
  Entry& entry = it->second;
  if (!entry.link.Send(frame)) {
    LinkClosed(entry);
  } else if (entry.link.wants_write()) {
    poller_->Change(entry.link_watch, EPOLLIN | EPOLLOUT);
  }
}

void Attempts::Grant(Epoch epoch) {
  failpoint::Pass("drone.grant.received");
  SendFrame(epoch, shim::Grant{});
  failpoint::Pass("drone.grant.sent");
}

void Attempts::Cancel(const drone::Cancel& cancel) {
  SendFrame(cancel.epoch, shim::Cancel{cancel.by, cancel.reason, cancel.now});
}

void Attempts::Kill(Epoch epoch, bool hand_back) {
  auto it = entries_.find(epoch);
  if (it == entries_.end() || !it->second.alive) return;
  Entry& entry = it->second;
  if (hand_back) {
    absl::Status marked = Open(HandedBackMark(entry), O_WRONLY | O_CREAT).status();
    // Without it a later daemon reports a shim that died: the job is queued again all the same.
    if (!marked.ok()) Note(Level::kWarning, absl::StrCat("epoch ", epoch.value(), ": ", marked.message()));
  }
  if (!entry.pidfd.valid()) {
    OnShimExit(epoch);  // its number is not known: the marker finds it with the rest
    return;
  }
  // The shim first, so that it does not take the death of its commands for their end. What was below it is
  // held by descriptors from before, or found by its marker, or handed to us as to the nearest subreaper.
  std::vector<UniqueFd> below;
  for (pid_t pid : process::Descendants(entry.pid)) below.emplace_back(::pidfd_open(pid, 0));
  ::pidfd_send_signal(entry.pidfd.get(), SIGKILL, nullptr, 0);
  for (const UniqueFd& process : below) {
    if (process.valid()) ::pidfd_send_signal(process.get(), SIGKILL, nullptr, 0);
  }
}

void Attempts::OnShimExit(Epoch epoch) {
  auto it = entries_.find(epoch);
  if (it == entries_.end() || !it->second.alive) return;
  failpoint::Pass("drone.shim.gone");
  Entry& entry = it->second;
  entry.alive = false;
  poller_->Remove(entry.pid_watch);
  poller_->Remove(entry.link_watch);
  entry.pid_watch = entry.link_watch = 0;
  entry.reconnect_at.reset();
  // Its last words may still be in the socket.
  if (entry.link.open())
    entry.link.Readable([this, &entry](const shim::Frame& frame) { OnFrame(entry, frame); });
  entry.link.Close();
  if (entry.child && !entry.wait_status) {
    int status = 0;
    if (::waitpid(entry.pid, &status, WNOHANG) == entry.pid) entry.wait_status = status;
  }
  if (entry.finished) {
    drone::Held held;
    held.epoch = epoch;
    held.state = drone::HeldState::kFinished;
    held.last = entry.last;
    emit_(drone::event::ShimGone{held, ""});
    return;
  }
  const std::size_t left = KillLeftovers(entry);
  Ending ending = ReadEnding(entry);
  std::string detail;
  if (ending.held.state == drone::HeldState::kLost && !ending.held.handed_back) {
    detail =
        absl::StrCat(entry.trouble.empty() ? HowItEnded(entry.wait_status) : entry.trouble, LastWords(entry));
    if (!ending.problem.empty()) absl::StrAppend(&detail, "; ", ending.problem);
    if (left > 0) absl::StrAppend(&detail, "; ", left, " of its processes do not die");
  }
  emit_(drone::event::ShimGone{ending.held, detail});
}

void Attempts::Delete(Epoch epoch) {
  auto it = entries_.find(epoch);
  if (it == entries_.end()) return;
  Entry& entry = it->second;
  failpoint::Pass("drone.delete.begun");
  const std::string& work = entry.facts.work_directory;
  // Only an end that its shim has seen leaves nobody behind who still writes there.
  const bool again = entry.finished && ::rename(work.c_str(), (entry.directory + "/work").c_str()) == 0;
  absl::Status gone = again ? absl::OkStatus() : config_.layout.Discard(work);
  failpoint::Pass("drone.delete.work");
  gone.Update(again ? janitor_->Retire(entry.directory, std::move(entry.listener))
                    : config_.layout.Discard(entry.directory));
  if (!gone.ok()) Note(Level::kWarning, absl::StrCat("epoch ", epoch.value(), ": ", gone.message()));
  entries_.erase(it);
  janitor_->Sweep();
}

void Attempts::Trim(Epoch epoch, Seq acked) {
  auto it = entries_.find(epoch);
  if (it == entries_.end()) return;
  Entry& entry = it->second;
  failpoint::Pass("drone.ack.received");
  if (!entry.trimmer) entry.trimmer = std::make_unique<journal::Trimmer>(SpoolOf(entry));
  absl::Status trimmed = entry.trimmer->Trim(acked);
  if (!trimmed.ok()) Note(Level::kWarning, absl::StrCat("epoch ", epoch.value(), ": ", trimmed.message()));
}

absl::StatusOr<Seq> Attempts::Read(Epoch epoch, Seq from, Seq to, std::size_t max_bytes, std::string* out) {
  auto it = entries_.find(epoch);
  if (it == entries_.end()) return absl::DataLossError("its directory is gone");
  Entry& entry = it->second;
  const bool fresh = !entry.reader;
  if (fresh) entry.reader = std::make_unique<journal::Reader>(SpoolOf(entry));
  journal::Reader& reader = *entry.reader;
  if (fresh || reader.next() != from) {
    absl::Status sought = reader.SeekTo(from);
    if (absl::IsNotFound(sought)) return Seq(from.value() - 1);
    // A loss of power may take the front of a spool, too: nobody acknowledged what is missing then.
    if (absl::IsOutOfRange(sought) && entry.facts.boot_id != config_.host.boot_id) {
      return absl::DataLossError(absl::StrCat("the host was started anew: ", sought.message()));
    }
    RETURN_IF_ERROR(sought);
  }
  ASSIGN_OR_RETURN(const std::size_t count, reader.ReadRaw(max_bytes, to, out));
  const Seq upto(from.value() + count - 1);
  // All there is was read and no more will come: one descriptor less for an attempt that only waits for its
  // verdict.
  if (!entry.alive && upto == to) entry.reader.reset();
  return upto;
}

}  // namespace waggle::attempt
