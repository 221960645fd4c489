#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/failpoint.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/journal/events.h"
#include "common/journal/scan.h"
#include "common/process/cgroup.h"
#include "common/process/tree.h"
#include "drone/attempt/attempts.h"
#include "drone/attempt/pidfd.h"
#include "drone/attempt/shim_socket.h"

// What a restarted daemon finds, and what a dead shim leaves behind.
namespace waggle::attempt {
namespace {

using Level = drone::effect::Note::Level;

constexpr std::size_t kFactsBytes = 64 * limits::kKiB;
constexpr std::size_t kLastWordsBytes = 1 * limits::kKiB;
constexpr std::size_t kLastWordsLines = 3;

std::vector<std::string> EntriesOf(const std::string& path) {
  std::vector<std::string> names;
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr) return names;
  while (const dirent* entry = ::readdir(dir)) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

// Direct children of this process, whichever of its threads they hang on.
std::vector<pid_t> Children() {
  std::vector<pid_t> children;
  for (const std::string& thread : EntriesOf("/proc/self/task")) {
    absl::StatusOr<std::string> list =
        ReadFile(absl::StrCat("/proc/self/task/", thread, "/children"), limits::kMiB);
    if (!list.ok()) continue;
    for (absl::string_view word : absl::StrSplit(*list, ' ', absl::SkipEmpty())) {
      int pid = 0;
      if (absl::SimpleAtoi(word, &pid)) children.push_back(pid);
    }
  }
  return children;
}

// What a dead shim left: its cgroup in one step where there is one, then whoever carries the attempt's mark.
// Returns how many do not die.
std::size_t KillAttempt(const std::string& key, Duration limit) {
  absl::StatusOr<std::unique_ptr<process::Cgroup>> cgroup =
      process::Cgroup::Adopt(process::AttemptCgroup(key));
  if (cgroup.ok()) (*cgroup)->Kill().IgnoreError();
  const std::size_t left = process::KillMarked(key, limit).left;
  if (cgroup.ok()) (*cgroup)->Remove(limit).IgnoreError();  // what is still in it is counted above
  return left;
}

}  // namespace

void Attempts::Recover() {
  for (const std::string& name : EntriesOf(config_.layout.Attempts())) {
    RecoverOne(name);
    failpoint::Pass("drone.recovery.found");
  }
  DiscardStrayWork();
  janitor_->Sweep();
}

void Attempts::RecoverOne(const std::string& name) {
  Entry entry;
  entry.directory = config_.layout.Attempts() + "/" + name;
  auto set_aside = [&](std::string_view why) {
    absl::Status moved = config_.layout.SetAside(name);
    Note(Level::kError, absl::StrCat("attempt directory ", name, " cannot be used: ", std::string(why),
                                     moved.ok() ? "; moved to attempts.bad" : "; left where it is"));
  };
  std::uint64_t number = 0;
  if (!absl::SimpleAtoi(name, &number) || number == 0 || name != absl::StrCat(number)) {
    set_aside("its name is not an epoch");
    return;
  }
  absl::StatusOr<std::string> bytes =
      ReadFile(absl::StrCat(entry.directory, "/", std::string(kFactsName)), kFactsBytes);
  absl::StatusOr<Facts> facts = bytes.ok() ? DecodeFacts(*bytes) : bytes.status();
  if (facts.ok() && facts->epoch.value() != number) facts = absl::DataLossError("it names another epoch");
  if (!facts.ok()) {
    // Whatever may still run for it is nobody's now.
    KillAttempt(AttemptKey(config_.host.identity, Epoch(number)), kKillWait);
    set_aside(absl::StrCat(std::string(kFactsName), ": ", facts.status().message()));
    return;
  }
  entry.facts = std::move(*facts);
  highest_.Raise(entry.facts.epoch);
  const bool same_boot = entry.facts.boot_id == config_.host.boot_id;
  absl::StatusOr<UniqueFd> connection =
      same_boot ? ConnectToShim(entry.directory) : absl::UnavailableError("the host was started anew");
  if (!connection.ok() && !absl::IsResourceExhausted(connection.status())) {
    RecoverDead(std::move(entry), same_boot);
    return;
  }
  const Epoch epoch = entry.facts.epoch;
  entry.alive = true;
  if (FileExists(HandedBackMark(entry))) RemoveFile(HandedBackMark(entry)).IgnoreError();  // it was not to be
  Entry& kept = entries_[epoch] = std::move(entry);
  drone::event::Recovered recovered{kept.facts.job, {}, /*alive=*/true, ""};
  recovered.held.epoch = epoch;
  recovered.held.received = kept.facts.received;
  emit_(recovered);
  if (connection.ok()) {
    kept.link = ShimLink(std::move(*connection));
    absl::Status watched = WatchLink(kept);
    if (watched.ok()) {
      emit_(drone::event::ShimConnected{epoch});
      return;
    }
    kept.link.Close();
  }
  kept.reconnect_at = BootClock::now();
}

void Attempts::RecoverDead(Entry entry, bool same_boot) {
  // After a restart of the host the numbers of its processes mean somebody else's.
  std::size_t left = 0;
  if (same_boot) left = KillLeftovers(entry);
  Ending ending = ReadEnding(entry);
  std::string detail;
  if (ending.held.state == drone::HeldState::kLost && !ending.held.handed_back) {
    detail = same_boot ? absl::StrCat("its shim was gone when the drone started again", LastWords(entry))
                       : "the host was started anew in the middle of it";
    if (!ending.problem.empty()) absl::StrAppend(&detail, "; ", ending.problem);
    if (left > 0) absl::StrAppend(&detail, "; ", left, " of its processes do not die");
  }
  ending.held.received = entry.facts.received;
  ending.held.counter = drone::kCounterAfterShim;
  const Epoch epoch = entry.facts.epoch;
  const JobId job = entry.facts.job;
  entries_[epoch] = std::move(entry);
  emit_(drone::event::Recovered{job, ending.held, /*alive=*/false, detail});
}

void Attempts::DiscardStrayWork() {
  std::set<std::string> wanted;
  for (const auto& [epoch, entry] : entries_) wanted.insert(entry.facts.work_directory);
  for (const std::string& name : EntriesOf(config_.layout.Work())) {
    const std::string path = config_.layout.Work() + "/" + name;
    if (wanted.count(path) == 0) (void)config_.layout.Discard(path).ok();
  }
}

Attempts::Ending Attempts::ReadEnding(const Entry& entry) const {
  Ending ending;
  drone::Held& held = ending.held;
  held.epoch = entry.facts.epoch;
  held.state = drone::HeldState::kLost;
  held.handed_back = FileExists(HandedBackMark(entry));
  std::optional<journal::Final> final;
  auto visit = [&](const journal::RecordView& record, journal::Position) {
    if (record.header.phase < kPhaseCount) held.phase = static_cast<Phase>(record.header.phase);
    if (record.header.kind == journal::Kind::kPhase) {
      std::optional<journal::PhaseEvent> phase = journal::DecodePhaseEvent(record.payload);
      if (!phase) return;
      if (held.started == 0 && !phase->end) held.started = phase->wall;
    } else if (record.header.kind == journal::Kind::kFinal) {
      final = journal::DecodeFinal(record.payload);
    }
  };
  absl::StatusOr<journal::Tail> tail = journal::ScanLeft(SpoolOf(entry), entry.facts.epoch, visit);
  if (!tail.ok()) {
    ending.problem = absl::StrCat("its spool cannot be read: ", tail.status().message());
    return ending;
  }
  held.last = tail->last;
  ending.problem = tail->problem;
  if (!final) return ending;
  held.state = drone::HeldState::kFinished;
  held.handed_back = false;
  if (final->started != 0) held.started = final->started;
  held.finished = final->finished;
  held.test_code = final->test_code;
  held.deploy_code = final->deploy_code;
  return ending;
}

std::string Attempts::LastWords(const Entry& entry) const {
  absl::StatusOr<UniqueFd> file =
      Open(absl::StrCat(entry.directory, "/", std::string(shim::kShimLog)), O_RDONLY);
  if (!file.ok()) return "";
  const off_t size = ::lseek(file->get(), 0, SEEK_END);
  std::string text(kLastWordsBytes, '\0');
  absl::StatusOr<std::size_t> got = PreadFull(file->get(), std::as_writable_bytes(std::span(text)),
                                              std::max<off_t>(0, size - static_cast<off_t>(kLastWordsBytes)));
  if (!got.ok() || *got == 0) return "";
  text.resize(*got);
  std::vector<std::string> lines = absl::StrSplit(absl::StripSuffix(text, "\n"), '\n');
  if (lines.size() > kLastWordsLines) lines.erase(lines.begin(), lines.end() - kLastWordsLines);
  std::string words = "; its last words:";
  for (std::string& line : lines) {
    for (char& c : line) {
      if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    }
    absl::StrAppend(&words, " ", line);
  }
  return words;
}

std::size_t Attempts::KillLeftovers(const Entry& entry) {
  const Time deadline = BootClock::now() + kKillWait;
  KillOrphans(deadline);
  return KillAttempt(Key(entry), std::max<Duration>(deadline - BootClock::now(), Duration::zero()));
}

// Live shims hold their own orphans. So a child of ours that is no shim was left by a dead one, whatever it
// did to its environment.
void Attempts::KillOrphans(Time deadline) {
  std::set<pid_t> shims = {shim_host_.pid()};
  for (const auto& [epoch, entry] : entries_) {
    if (entry.child && entry.alive) shims.insert(entry.pid);
  }
  for (;;) {
    bool any = false;
    for (pid_t child : Children()) {
      if (shims.count(child) > 0) continue;
      UniqueFd process(::pidfd_open(child, 0));
      std::set<pid_t> killed;
      process::KillSweep(child, &killed);
      ::kill(child, SIGKILL);  // our child and not reaped yet: the number is its own
      int status = 0;
      if (::waitpid(child, &status, WNOHANG) == child) {
        any = true;  // what was below it is ours now
        for (auto& [epoch, entry] : entries_) {
          if (entry.child && entry.pid == child) entry.wait_status = status;
        }
        continue;
      }
      if (!process.valid()) continue;
      any = true;
    }
    if (!any || BootClock::now() >= deadline) return;
    ::usleep(1000);
  }
}

void Attempts::Reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    for (auto& [epoch, entry] : entries_) {
      if (entry.child && entry.pid == pid) entry.wait_status = status;
    }
  }
}

}  // namespace waggle::attempt
