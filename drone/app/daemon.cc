#include "drone/app/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/failpoint.h"
#include "common/base/status_macros.h"
#include "common/base/vocabulary.h"
#include "common/process/spawn.h"
#include "common/process/tree.h"
#include "drone/app/hooks.h"

namespace waggle::drone {
namespace {

constexpr Duration kGoodbye = std::chrono::seconds(1);  // for the last control messages

sigset_t HandledSignals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGQUIT, SIGCHLD}) ::sigaddset(&set, signal);
  return set;
}

constexpr Duration kHelperAnswers = std::chrono::seconds(5);  // to the question for its version
constexpr std::size_t kHelperOutput = 4096;

// A helper that is missing, of another machine, or broken: said at the start, not by the first job.
absl::Status CheckHelper(const std::string& path, const std::string& name) {
  process::SpawnOptions options;
  options.argv = {path, "--version"};
  absl::StatusOr<process::Captured> answer = process::RunCaptured(options, "", kHelperAnswers, kHelperOutput);
  std::string why;
  if (absl::IsNotFound(answer.status())) {
    why = "it is missing";
  } else if (!answer.ok()) {
    why = std::string(answer.status().message());
  } else if (answer->exit_code != 0) {
    why = absl::StrCat("asked for its version it ended with code ", answer->exit_code);
  } else if (!absl::StartsWith(answer->out, name + " ")) {
    why = "asked for its version it did not answer as the program it should be";
  } else {
    return absl::OkStatus();
  }
  // One that is only late may be in time at the next start.
  return absl::Status(
      absl::IsDeadlineExceeded(answer.status()) ? absl::StatusCode::kUnavailable
                                                : absl::StatusCode::kFailedPrecondition,
      absl::StrCat("cannot use ", path, ": ", why,
                   "\nnext: install the drone and its helpers anew, from one package and for this machine"));
}

absl::StatusOr<std::string> BootId() {
  ASSIGN_OR_RETURN(std::string id, ReadFile("/proc/sys/kernel/random/boot_id", 64));
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

// What tells this data directory from a copy of it, for as long as the host runs.
absl::StatusOr<std::string> PlaceOf(const std::string& boot_id, const std::string& data) {
  struct stat info;
  if (::stat(data.c_str(), &info) != 0) return ErrnoStatus("look at", data);
  return absl::StrCat(boot_id, "/", info.st_dev, "/", info.st_ino);
}

}  // namespace

void Daemon::BlockSignals() {
  sigset_t set = HandledSignals();
  ::sigaddset(&set, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Daemon::Daemon(Options options, plugins::Catalog plugins)
    : options_(std::move(options)),
      layout_(options_.data),
      plugins_(std::move(plugins)),
      pause_file_(options_.data) {}

Daemon::~Daemon() {
  health_.reset();
  control_.reset();
  link_.reset();
  attempts_.reset();
}

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Create(Options options) {
  plugins::Catalog plugins = FindPlugins(options.plugin_directories, options.env);
  options.info.plugins = plugins.Offered();
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(options), std::move(plugins)));
  RETURN_IF_ERROR(daemon->Open());
  return daemon;
}

absl::Status Daemon::Lock() {
  const std::string path = options_.data + "/lock";
  ASSIGN_OR_RETURN(lock_, waggle::Open(path, O_RDWR | O_CREAT));
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus("lock", path);
    absl::StatusOr<std::string> holder = ReadFile(path, 64);
    while (holder.ok() && !holder->empty() && holder->back() == '\n') holder->pop_back();
    return absl::AlreadyExistsError(
        absl::StrCat("another drone daemon",
                     holder.ok() && !holder->empty() ? absl::StrCat(" (process ", *holder, ")") : "",
                     " uses ", options_.data, ". Stop it first, or give this one its own --data"));
  }
  const std::string pid = absl::StrCat(::getpid(), "\n");
  if (::ftruncate(lock_.get(), 0) != 0) return ErrnoStatus("write", path);
  return WriteAll(lock_.get(), pid);
}

// The socket that was named, or the queen on another host that this drone is enrolled with.
absl::Status Daemon::FindQueen() {
  if (!options_.target.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(credentials_, Credentials::Load(options_.data, WallNow()));
  if (credentials_ == nullptr) {
    return absl::InvalidArgumentError(
        "no queen is named, and this drone is not enrolled with one\nnext: name the socket of a queen on "
        "this host "
        "with --queen, or enrol with one elsewhere: drone enroll URL --token INVITATION");
  }
  options_.target = credentials_->queen();
  if (options_.name.empty()) options_.name = credentials_->name();
  return absl::OkStatus();
}

// Jobs shall see neither our data nor the queen's, wherever they are.
absl::Status Daemon::FindIsolation(const std::string& shim, attempt::Isolations* isolation) {
  std::vector<std::string> hidden = {options_.data};
  if (absl::string_view socket = options_.target; absl::ConsumePrefix(&socket, "unix:"))
    hidden.emplace_back(socket.substr(0, std::max<std::size_t>(socket.rfind('/'), 1)));
  ASSIGN_OR_RETURN(*isolation,
                   attempt::Isolations::Detect(options_.isolation, shim, layout_, std::move(hidden)));
  for (auto& [name, value] : isolation->Labels()) options_.info.labels[name] = value;
  spdlog::info("isolation: {}", isolation->Summary());
  return absl::OkStatus();
}

absl::Status Daemon::Open() {
  RETURN_IF_ERROR(FindQueen());
  RETURN_IF_ERROR(MakeDirectories(options_.data));
  RETURN_IF_ERROR(Lock());
  RETURN_IF_ERROR(layout_.Prepare());
  attempt::Attempts::Config config{layout_, {}, ExecutableDirectory() + "/waggle-shim"};
  ASSIGN_OR_RETURN(config.host.identity, layout_.Identity());
  ASSIGN_OR_RETURN(config.host.boot_id, BootId());
  config.host.drone = options_.name;
  config.host.version = options_.version;
  config.host.helper = ExecutableDirectory() + "/waggle-git";
  config.host.mirrors = layout_.Mirrors();
  config.host.env = options_.env;
  config.host.spool_budget = options_.spool_budget;
  config.host.slots = options_.info.capacity;
  config.host.plugins = plugins_;
  config.host.plugin_limit = options_.plugin_limit;
  for (const plugins::Catalog::Entry& entry : plugins_.entries()) {
    if (!entry.trouble.empty()) spdlog::warn("no job gets the plugin {}: {}", entry.name, entry.trouble);
  }
  RETURN_IF_ERROR(CheckHelper(config.shim, "waggle-shim"));
  if (absl::Status git = CheckHelper(config.host.helper, "waggle-git"); !git.ok()) {
    spdlog::warn("jobs with a repository will fail here: {}", std::string(git.message()));
  }
  RETURN_IF_ERROR(FindIsolation(config.shim, &config.host.isolation));
  core_.emplace(options_.info);
  RETURN_IF_ERROR(process::BecomeSubreaper());
  ASSIGN_OR_RETURN(attempt::HighestEpoch highest, attempt::HighestEpoch::Open(layout_));
  ASSIGN_OR_RETURN(poller_, attempt::Poller::Create());
  const sigset_t set = HandledSignals();
  signals_ = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) return ErrnoStatus("make", "signalfd");
  RETURN_IF_ERROR(poller_->Add(signals_.get(), EPOLLIN, [this](std::uint32_t) { OnSignals(); }).status());
  ASSIGN_OR_RETURN(control_, ControlServer::Create(options_.data, poller_.get(),
                                                   [this](const LocalRequest& r) { return OnRequest(r); }));
  RunHook("start", options_.start_hook, options_.name, options_.data);
  if (!options_.health.empty()) {
    ASSIGN_OR_RETURN(health_, HealthWatch::Create(options_.health, poller_.get(), [this] { OnDown(); }));
  }
  janitor_ = std::make_unique<attempt::Janitor>(layout_);
  auto emit = [this](Event event) { Emit(std::move(event)); };
  Link::Facts facts{options_.target,  config.host.identity, options_.name,
                    options_.version, options_.host,        config.host.boot_id,
                    options_.data,    credentials_.get(),   {}};
  ASSIGN_OR_RETURN(facts.place, PlaceOf(config.host.boot_id, options_.data));
  ASSIGN_OR_RETURN(link_, Link::Create(std::move(facts), poller_.get(), emit));
  attempts_ =
      std::make_unique<attempt::Attempts>(std::move(config), std::move(highest), poller_.get(),
                                          janitor_.get(), emit, [this](effect::Note note) { Perform(note); });
  return absl::OkStatus();
}

void Daemon::Emit(Event event) {
  (answers_ != nullptr ? *answers_ : events_).push_back(std::move(event));
}

int Daemon::Run() {
  spdlog::info("drone {} {} with {} slots, speed {}, data in {}, queen at {}", options_.version,
               options_.name, options_.info.capacity, options_.info.speed, options_.data, options_.target);
  attempts_->Recover();
  TakeUpPause();
  Emit(event::Begin{attempts_->highest_epoch()});
  Settle();
  while (!exit_code_) {
    std::optional<Time> wake = core_wake_;
    const std::optional<Time> attempts = attempts_->NextDeadline();
    if (attempts && (!wake || *attempts < *wake)) wake = attempts;
    poller_->WakeAt(wake);
    absl::StatusOr<bool> due = poller_->Wait();
    if (!due.ok()) {
      spdlog::error("the event loop failed: {}", std::string(due.status().message()));
      exit_code_ = exit_code::kRuntimeFailure;
      break;
    }
    if (*due) {
      attempts_->OnTime(BootClock::now());
      Emit(event::Timer{std::uniform_real_distribution<double>(0.0, 1.0)(random_)});
    }
    Settle();
  }
  health_.reset();
  control_.reset();
  link_->Shutdown(kGoodbye);
  RunHook("exit", options_.exit_hook, options_.name, options_.data);
  return *exit_code_;
}

void Daemon::OnDown() {
  if (core_->view().draining) return;
  spdlog::warn("the health document {} says down", options_.health);
  Emit(event::Drain{});
}

void Daemon::TakeUpPause() {
  const WallMillis now = WallNow();
  const std::optional<PauseFile::Pause> kept = pause_file_.Load(now);
  if (!kept) return;
  event::Pause pause{kept->reason, std::nullopt, kept->until};
  if (kept->until != 0) pause.until = BootClock::now() + std::chrono::milliseconds(kept->until - now);
  Emit(std::move(pause));
}

absl::StatusOr<LocalStatus> Daemon::OnRequest(const LocalRequest& request) {
  absl::Status done;
  switch (request.what) {
    case LocalRequest::What::kStatus:
      break;
    case LocalRequest::What::kPause:
      done = Pause(request);
      break;
    case LocalRequest::What::kResume:
      done = Resume();
      break;
    case LocalRequest::What::kDrain:
      if (!core_->view().draining) Emit(event::Drain{});  // a second one would stop
      break;
    case LocalRequest::What::kStop:
      Emit(event::Stop{});
      break;
    case LocalRequest::What::kResize:
      Emit(event::Resize{request.capacity});
      break;
  }
  RETURN_IF_ERROR(done);
  Settle();
  return LocalStatus{options_.name, options_.version, options_.host,
                     options_.data, options_.target,  core_->view()};
}

absl::Status Daemon::Pause(const LocalRequest& request) {
  event::Pause pause{request.reason, std::nullopt, 0};
  if (request.length > Duration::zero()) {
    pause.until = BootClock::now() + request.length;
    pause.until_wall =
        WallNow() + std::chrono::duration_cast<std::chrono::milliseconds>(request.length).count();
  }
  absl::Status kept = pause_file_.Save({pause.until_wall, pause.reason});
  if (!kept.ok()) {
    return absl::InternalError(absl::StrCat("the pause would not survive a restart, so the drone goes on: ",
                                            kept.message(), "\nnext: `drone drain` needs no file"));
  }
  Emit(std::move(pause));
  return absl::OkStatus();
}

absl::Status Daemon::Resume() {
  if (core_->view().stopping) {
    return absl::FailedPreconditionError(
        "the drone is stopping: what ran is handed back\nnext: start it again with `drone serve`");
  }
  RETURN_IF_ERROR(pause_file_.Remove());
  Emit(event::Resume{});
  return absl::OkStatus();
}

void Daemon::Settle() {
  while (!events_.empty() && !exit_code_) {
    Event event = std::move(events_.front());
    events_.pop_front();
    Effects effects = core_->Step(BootClock::now(), event);
    core_wake_ = effects.wake;
    // What an effect answers belongs directly behind its step: nothing may come between a question and its
    // answer.
    std::deque<Event> answers;
    answers_ = &answers;
    for (Effect& effect : effects.list) Perform(effect);
    answers_ = nullptr;
    events_.insert(events_.begin(), std::make_move_iterator(answers.begin()),
                   std::make_move_iterator(answers.end()));
  }
}

void Daemon::Perform(Effect& effect) {
  std::visit([this](auto& e) { Perform(e); }, effect);
}

void Daemon::Perform(effect::SendControl& e) {
  link_->Send(e.message);
  failpoint::Pass("drone.control.sent");
}

void Daemon::Perform(effect::SendRecords& e) {
  std::string buffer = link_->TakeBuffer();
  absl::StatusOr<Seq> upto = attempts_->Read(e.epoch, e.from, e.to, e.max_bytes, &buffer);
  if (!upto.ok()) {
    const Seq good(e.from.value() - 1);
    const bool trimmed = absl::IsOutOfRange(upto.status());
    if (trimmed || absl::IsDataLoss(upto.status())) {
      Emit(event::SpoolDamaged{e.epoch, good, std::string(upto.status().message()), trimmed});
    } else {
      spdlog::warn("epoch {}: its spool cannot be read now: {}", e.epoch.value(),
                   std::string(upto.status().message()));
      Emit(event::RecordsSent{e.epoch, good, 0});
    }
    return;
  }
  const std::size_t bytes = buffer.size();
  if (bytes > 0) link_->SendRecords(e.epoch, std::move(buffer));
  failpoint::Pass("drone.records.sent");
  Emit(event::RecordsSent{e.epoch, *upto, bytes});
}

void Daemon::Perform(effect::Note& e) {
  switch (e.level) {
    case effect::Note::Level::kDebug:
      return spdlog::debug(e.text);
    case effect::Note::Level::kInfo:
      return spdlog::info(e.text);
    case effect::Note::Level::kWarning:
      return spdlog::warn(e.text);
    case effect::Note::Level::kError:
      return spdlog::error(e.text);
  }
}

void Daemon::OnSignals() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    switch (info.ssi_signo) {
      case SIGCHLD:
        attempts_->Reap();
        break;
      case SIGTERM:
        Emit(event::Detach{});
        break;
      case SIGINT:
        Emit(event::Drain{});
        break;
      case SIGQUIT:
        Emit(event::Stop{});
        break;
    }
  }
}

}  // namespace waggle::drone
