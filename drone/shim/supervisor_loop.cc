#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/failpoint.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "drone/shim/supervisor.h"

// The event loop of the shim: everything in here returns quickly, and only Pump() waits.
namespace waggle::shim {
namespace {

using namespace std::chrono_literals;
using journal::Kind;
using journal::kNoCommand;

constexpr Time kNever = Time::max();
constexpr int kGapMillis = Pace::kGap / 1ms;

// "10 min", "2 s", "300 ms": limits as people set them.
std::string Spoken(Duration d) {
  if (d >= 1min && d % 1min == 0ns) return absl::StrCat(d / 1min, " min");
  if (d >= 1s && d % 1s == 0ns) return absl::StrCat(d / 1s, " s");
  return absl::StrCat(d / 1ms, " ms");
}

// `reason` and `by` come from people; a status is one line.
std::string OneLine(std::string text) {
  text.resize(std::min(text.size(), limits::kReasonBytes));
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

timespec ToTimespec(Time t) {
  auto nanos = t.time_since_epoch().count();
  return {static_cast<time_t>(nanos / 1'000'000'000), static_cast<long>(nanos % 1'000'000'000)};
}

}  // namespace

bool Supervisor::MakeLoop() {
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child, nullptr);
  signal_fd_.Reset(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  timer_fd_.Reset(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  null_fd_.Reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
  now_ = BootClock::now();
  if (signal_fd_.valid() && timer_fd_.valid() && null_fd_.valid()) return true;
  ::perror("waggle-shim: the event loop cannot be made");
  return false;
}

void Supervisor::PumpUntil(const std::function<bool()>& condition, std::optional<Time> deadline) {
  const std::optional<Time> outer = std::exchange(wait_deadline_, deadline);
  while (!condition() && (!deadline || now_ < *deadline)) Pump();
  wait_deadline_ = outer;
}

// What a turn has gathered goes out in one append and one message, before the next wait.
void Supervisor::Pump() {
  if (!retry_flush_) Flush();
  if (tell_by_ && *tell_by_ <= now_) {
    tell_by_.reset();
    connection_.Push();
  }
  ArmTimer();
  // A spool without space reads no output: the job's pipes fill and it waits.
  const bool reading = command_ && retry_flush_ == std::nullopt;
  const std::optional<Stream> held = reading && !command_->exited() ? pace_.held() : std::nullopt;
  auto pipe = [&](Stream stream) { return reading && held != stream ? command_->fd(stream) : -1; };
  enum { kListen, kPeer, kSignal, kTimer, kOut, kErr, kPlugin, kCount };
  pollfd fds[kCount] = {
      {connection_.listen_fd(), POLLIN, 0},
      {connection_.fd(), static_cast<short>(POLLIN | (connection_.wants_write() ? POLLOUT : 0)), 0},
      {signal_fd_.get(), POLLIN, 0},
      {timer_fd_.get(), POLLIN, 0},
      {pipe(Stream::kOut), POLLIN, 0},
      {pipe(Stream::kErr), POLLIN, 0},
      {plugin_ && !retry_flush_ ? plugin_->fd() : -1, plugin_ ? plugin_->events() : short{0}, 0},
  };
  const int ready = ::poll(fds, kCount, held ? kGapMillis : -1);
  if (ready < 0) return;  // EINTR: the caller's condition is looked at again
  now_ = BootClock::now();

  if (fds[kTimer].revents != 0) {
    std::uint64_t expirations = 0;
    if (::read(timer_fd_.get(), &expirations, sizeof expirations) > 0) armed_.reset();
  }
  if (reading) ReadOutput(fds[kOut].revents != 0, fds[kErr].revents != 0, held && ready == 0);
  if (fds[kPlugin].revents != 0) plugin_->Ready(fds[kPlugin].revents);
  if (fds[kSignal].revents != 0) {
    signalfd_siginfo info[8];
    while (::read(signal_fd_.get(), info, sizeof info) > 0) {
    }
    tree_.Reap(now_);
  }
  // The old connection first: what the daemon sent before it went away still counts.
  if (fds[kPeer].revents & (POLLIN | POLLHUP | POLLERR)) connection_.Readable();
  if (fds[kPeer].revents & POLLOUT) connection_.Push();
  if (fds[kListen].revents != 0) connection_.Accept();
  CheckDeadlines();
}

void Supervisor::ReadOutput(bool out, bool err, bool gap_over) {
  if (!out && !err && !gap_over) return;
  // The one that was held first: what it printed before the other spoke comes before it.
  const std::optional<Stream> held = pace_.held();
  std::size_t took[2] = {0, 0};
  command_->Read(out || held == Stream::kOut, err || held == Stream::kErr, held.value_or(Stream::kOut), now_,
                 [&](Stream stream, std::string_view bytes) {
                   took[static_cast<int>(stream)] += bytes.size();
                   OnOutput(stream, bytes);
                 });
  pace_.Took(took[0], took[1], now_);
}

bool Supervisor::CanStop() const {
  return spool_ && !in_cleanup_ && !sequence_->halted();
}

Duration Supervisor::SilenceLimit() const {
  return rules_.silence.count() > 0 ? rules_.silence : start_->silence;
}

Time Supervisor::NextDeadline() const {
  Time next = kNever;
  auto consider = [&](std::optional<Time> t) {
    if (t) next = std::min(next, *t);
  };
  consider(wait_deadline_);
  consider(retry_flush_);
  consider(tell_by_);
  consider(tree_.deadline());
  if (command_ && !retry_flush_) consider(command_->quiet_deadline());
  if (CanStop()) {
    consider(started_ + start_->wall);
    if (command_) consider(command_->last_output() + SilenceLimit());
    if (command_ && rules_.wall.count() > 0) consider(command_->started() + rules_.wall);
  }
  if (in_cleanup_ && !cleanup_ended_) consider(cleanup_started_ + start_->cleanup);
  return next;
}

// The timer is only ever moved forward to an earlier time; one that fires too early costs a wake-up, while
// moving it with every byte of output would cost a system call each.
void Supervisor::ArmTimer() {
  const Time next = NextDeadline();
  if (next == kNever || (armed_ && *armed_ <= next)) return;
  itimerspec spec{};
  spec.it_value = ToTimespec(next);
  ::timerfd_settime(timer_fd_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
  armed_ = next;
}

void Supervisor::CheckDeadlines() {
  if (retry_flush_ && now_ >= *retry_flush_) Flush();
  tree_.Tick(now_);
  CheckQuietPipes();
  if (CanStop()) {
    if (now_ >= started_ + start_->wall) {
      StopFor(Reason::kTimeout,
              absl::StrCat("the job ran longer than its limit of ", Spoken(start_->wall), " and was ended"));
    } else if (command_ && retry_flush_) {
      command_->TouchOutput(now_);  // it cannot write: that is not its silence
    } else if (command_ && now_ >= command_->last_output() + SilenceLimit()) {
      StopFor(Reason::kSilence,
              absl::StrCat("no output for ", Spoken(SilenceLimit()), ", the ",
                           rules_.silence.count() > 0 ? "step" : "job", "'s silence limit; it was ended"));
    }
    if (command_ && rules_.wall.count() > 0 && now_ >= command_->started() + rules_.wall) {
      StopFor(Reason::kTimeout,
              absl::StrCat("the step ran longer than its limit of ", Spoken(rules_.wall), " and was ended"));
    }
  }
  if (in_cleanup_ && !cleanup_ended_ && now_ >= cleanup_started_ + start_->cleanup) {
    cleanup_ended_ = true;
    Add(Kind::kStatus, command_number_,
        absl::StrCat("cleanup ran longer than its limit of ", Spoken(start_->cleanup), " and was ended"));
    sequence_->StopCleanup();
    tree_.Kill(now_);
  }
}

void Supervisor::CheckQuietPipes() {
  if (!command_ || retry_flush_) return;
  std::optional<Time> deadline = command_->quiet_deadline();
  if (!deadline || now_ < *deadline) return;
  command_->GiveUpPipes();
  Add(Kind::kComment, command_number_,
      "background processes keep the output open; what they print from here is lost");
}

void Supervisor::StopFor(Reason reason, const std::string& sentence) {
  if (!sequence_->Stop(reason, sentence)) return;
  Add(Kind::kStatus, command_number_, sentence);
  tree_.End(now_, start_->interrupt, start_->terminate);
}

bool Supervisor::OnFrame(Frame& frame) {
  if (auto* start = std::get_if<Start>(&frame)) {
    if (start_) return start->epoch == start_->epoch;  // said again by a restarted daemon
    start_ = std::move(*start);
    Sequence::Plan plan{.type = start_->type, .checkout = !start_->checkout.argv.empty()};
    for (int i = 0; i < kPhaseCount; ++i) {
      plan.steps[i] = start_->phases[i].size();
      for (const PluginUse& use : start_->plugins.uses) plan.plugins[i] |= (use.phases >> i & 1) != 0;
    }
    sequence_.emplace(plan);
    return true;
  }
  if (!sequence_) return false;
  if (std::holds_alternative<Grant>(frame)) {
    sequence_->Granted();
    return true;
  }
  if (auto* cancel = std::get_if<Cancel>(&frame)) {
    OnCancel(*cancel);
    return true;
  }
  return false;
}

// Idempotent: the queen sends a cancel again whenever it is not sure that it arrived.
void Supervisor::OnCancel(const Cancel& cancel) {
  std::string sentence = absl::StrCat("canceled by ", OneLine(cancel.by));
  if (!cancel.reason.empty()) absl::StrAppend(&sentence, ": ", OneLine(cancel.reason));
  if (sequence_->Stop(Reason::kCanceled, sentence)) {
    tree_.Reap(now_);
    if (tree_.empty()) return;
    cancel.now ? tree_.Kill(now_) : tree_.End(now_, start_->interrupt, start_->terminate);
  } else if (!in_cleanup_) {
    if (cancel.now && tree_.ending()) tree_.Kill(now_);
  } else if (sequence_->reason() != Reason::kCanceled && !late_cancel_noted_) {
    late_cancel_noted_ = true;
    Add(Kind::kStatus, command_number_,
        absl::StrCat(sentence, "; the outcome was decided, cleanup runs to its end"));
  }
}

void Supervisor::Flush() {
  if (!spool_ || !spool_->pending()) return;
  const bool was_blocked = retry_flush_.has_value();
  absl::Status flushed = spool_->Flush();
  if (absl::IsResourceExhausted(flushed) && !in_reserve_) {
    if (!was_blocked) {
      blocked_since_ = now_;
      ::fprintf(stderr, "waggle-shim: no space for the log, the job waits until there is: %s\n",
                flushed.ToString().c_str());
    }
    if (WaitsForSpace() || now_ < blocked_since_ + kSpacePatience) {
      retry_flush_ = now_ + kRetryFlush;
      return;
    }
    flushed = FlushIntoReserve();
  }
  if (!flushed.ok()) Fail(flushed);
  retry_flush_.reset();
  if (was_blocked && command_) command_->TouchOutput(now_);  // its pipes were not quiet, they were not read
  connection_.Send(Watermark{spool_->last().value()});
  Tell(std::exchange(output_added_, false));
}

void Supervisor::Tell(bool at_once) {
  const Time by = at_once ? now_ : now_ + kTellWithin;
  tell_by_ = std::min(tell_by_.value_or(by), by);
}

bool Supervisor::Decided() const {
  return sequence_->halted() || in_cleanup_;
}

// Not for the rest of a last command that has ended, if the reserve takes all of it.
bool Supervisor::WaitsForSpace() const {
  if (Decided()) return false;
  if (sequence_->RunsMore()) return true;
  return command_ &&
         !(command_->exited() && spool_->pending_bytes() + command_->unread() <= kOutputInReserve);
}

// The batch that was read before the disk was full is in it too: nothing that was read by then is lost.
absl::Status Supervisor::FlushIntoReserve() {
  in_reserve_ = true;
  RETURN_IF_ERROR(writer_->RollInto(absl::StrCat(directory_, "/", std::string(kReserveName))));
  ::fprintf(stderr, "waggle-shim: still no space: the end of the log goes into the reserve\n");
  return spool_->Flush();
}

// The budget is looked at when a segment is full. The last records have their reserve.
absl::Status Supervisor::AppendToSpool(std::string_view records, Seq last) {
  const bool rolls = writer_->position() >= start_->spool_segment;
  if (!start_->truncates && !in_reserve_ && rolls) {
    over_budget_ = budget_->Exceeded(start_->spool_segment);
    if (over_budget_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the spool budget of this drone, ", budget_->bytes(), " bytes, is used up"));
    }
  }
  absl::Status appended = writer_->AppendRaw(records, last);
  failpoint::Pass("shim.records.appended");
  return appended;
}

bool Supervisor::OverBudget() {
  if (!start_->truncates || in_reserve_) return false;
  if (!over_budget_ && writer_->position() + spool_->pending_bytes() < start_->spool_segment) return false;
  if (over_budget_ && now_ < look_at_budget_) return true;
  over_budget_ = budget_->Exceeded(start_->spool_segment);
  look_at_budget_ = now_ + kRetryFlush;
  return over_budget_;
}

void Supervisor::Drop(Stream stream, std::size_t bytes, std::string_view why) {
  dropped_bytes_[static_cast<int>(stream)] += bytes;
  why_dropped_ = why;
}

void Supervisor::DeclareDropped() {
  for (Stream stream : {Stream::kOut, Stream::kErr}) {
    const std::uint64_t bytes = std::exchange(dropped_bytes_[static_cast<int>(stream)], 0);
    if (bytes == 0) continue;
    const Kind kind = stream == Stream::kOut ? Kind::kStdout : Kind::kStderr;
    Add(Kind::kMarker, command_number_, Encode(journal::Gap{bytes, why_dropped_, kind}));
  }
}

void Supervisor::Settle() {
  Flush();
  while (spool_->pending()) Pump();
}

}  // namespace waggle::shim
