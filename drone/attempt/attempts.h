#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/ids.h"
#include "common/journal/reader.h"
#include "common/journal/trim.h"
#include "drone/attempt/facts.h"
#include "drone/attempt/janitor.h"
#include "drone/attempt/layout.h"
#include "drone/attempt/poller.h"
#include "drone/attempt/shim_host.h"
#include "drone/attempt/shim_link.h"
#include "drone/attempt/shim_socket.h"
#include "drone/attempt/start_frame.h"
#include "drone/core/events.h"

namespace waggle::attempt {

// The attempts on this host: their directories, their shims and what is left of their processes. Performs
// what the core decides about them and tells it what happens to them. One thread, the one that runs the
// Poller. Shims outlive this object; a new one finds them again with Recover().
//
// REQUIRES: the process is a subreaper, and this object alone waits for its children.
class Attempts {
 public:
  // How long a new shim may stay silent before it is killed as hung: it speaks first thing.
  static constexpr Duration kShimAnswers = std::chrono::seconds(20);

  struct Config {
    Layout layout;
    Host host;
    std::string shim;  // absolute path of waggle-shim
    Duration shim_answers = kShimAnswers;
  };
  // Called on the Poller's thread, also from within the calls below: the receiver queues and handles it
  // afterwards.
  using Emit = std::function<void(drone::Event)>;
  using Log = std::function<void(drone::effect::Note)>;

  Attempts(Config config, HighestEpoch highest, Poller* poller, Janitor* janitor, Emit emit, Log log);
  ~Attempts();

  // Looks through DATA/attempts: emits Recovered (and ShimConnected) for each; kills what is left of those
  // whose shim is gone; sets aside what cannot be understood; discards work directories of nobody.
  void Recover();
  Epoch highest_epoch() const { return highest_.value(); }

  void Start(const drone::Assign& assign);  // emits Started and ShimConnected, or StartFailed
  void Grant(Epoch epoch);
  void Cancel(const drone::Cancel& cancel);
  // Emits ShimGone when it is over. `hand_back`: the directory says from now on that it was us, so that what
  // is lost by it counts as handed back, whichever daemon delivers it.
  void Kill(Epoch epoch, bool hand_back = false);
  void Delete(Epoch epoch);  // REQUIRES: its shim is gone

  // What the queen has stored goes from the front of the spool, so that its space serves the job again.
  void Trim(Epoch epoch, Seq acked);
  // Appends whole records from `from` up to `to` to `*out`, at most `max_bytes` of them but at least one;
  // gives the last, or from - 1 when none is there yet. DataLoss: nothing from there on can be read.
  // OutOfRange: it was trimmed.
  absl::StatusOr<Seq> Read(Epoch epoch, Seq from, Seq to, std::size_t max_bytes, std::string* out);

  void Reap();  // on SIGCHLD
  std::optional<Time> NextDeadline() const;
  void OnTime(Time now);

 private:
  struct Entry {
    Facts facts;
    std::string directory;
    bool alive = false;  // its shim is not known to be gone
    pid_t pid = 0;       // of the shim; 0 = not known yet (attached again, nothing said)
    bool child = false;  // of this process
    std::optional<int> wait_status;
    UniqueFd pidfd;
    Poller::Watch pid_watch = 0, link_watch = 0;
    Listener listener;
    ShimLink link{UniqueFd()};
    std::optional<Time> reconnect_at;
    std::optional<Time> answer_by;  // started, and has not said a word
    std::string trouble;            // why we killed it
    bool finished = false;          // its shim said so
    Seq last;
    std::unique_ptr<journal::Reader> reader;
    std::unique_ptr<journal::Trimmer> trimmer;
  };

  // How an attempt without a shim ended, from its spool.
  struct Ending {
    drone::Held held;  // kFinished or kLost
    std::string problem;
  };

  // Starting (attempts_start.cc).
  absl::Status TryStart(const drone::Assign& assign, Entry* entry);
  absl::Status TakeWorkDirectory(Entry* entry);            // out of the spare, which is entry->directory
  absl::Status NameDirectory(Entry* entry, bool durable);  // the spare becomes the attempt's
  absl::Status Launch(Entry* entry);

  // Finding again (attempts_recover.cc).
  void RecoverOne(const std::string& name);
  void RecoverDead(Entry entry, bool same_boot);
  void DiscardStrayWork();

  absl::Status WatchLink(Entry& entry);
  absl::Status WatchProcess(Entry& entry);
  void OnLink(Epoch epoch, std::uint32_t events);
  void OnFrame(Entry& entry, const shim::Frame& frame);
  bool AdoptPeer(Entry& entry);
  void LinkClosed(Entry& entry);
  void Reconnect(Entry& entry, Time now);
  void SendFrame(Epoch epoch, const shim::Frame& frame);
  void OnShimExit(Epoch epoch);

  Ending ReadEnding(const Entry& entry) const;
  static std::string HowItEnded(std::optional<int> wait_status);
  std::string LastWords(const Entry& entry) const;
  std::size_t KillLeftovers(const Entry& entry);
  void KillOrphans(Time deadline);
  static journal::Location SpoolOf(const Entry& entry) {
    return {entry.directory, std::string(shim::kSpoolPrefix)};
  }
  static std::string HandedBackMark(const Entry& entry) { return entry.directory + "/handed-back"; }
  std::string Key(const Entry& entry) const { return AttemptKey(config_.host.identity, entry.facts.epoch); }
  void Note(drone::effect::Note::Level level, std::string text) { log_({level, std::move(text)}); }

  const Config config_;
  HighestEpoch highest_;
  ShimHost shim_host_;
  Poller* const poller_;
  Janitor* const janitor_;
  const Emit emit_;
  const Log log_;
  std::map<Epoch, Entry> entries_;
};

// How long killed processes may take to disappear before they are reported as left.
inline constexpr Duration kKillWait = std::chrono::seconds(2);

}  // namespace waggle::attempt
