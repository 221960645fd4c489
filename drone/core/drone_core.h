#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "drone/core/events.h"
#include "drone/core/messages.h"
#include "drone/core/view.h"

namespace waggle::drone {

// Decides everything about a drone's session with its queen and about the attempts it holds. Pure: no thread,
// clock, random source, socket or file; time and jitter are arguments. The shell (drone/app) feeds events in
// the order they happen and performs the effects of each step in order before it feeds the next event.
//
// An attempt is held from its Assign to its deletion. It is deleted only when the queen said that its verdict
// is stored or that it is given up, and never while one of its processes lives. A lost link changes nothing
// about attempts.
class DroneCore {
 public:
  explicit DroneCore(Info info);

  // Feeds one event. Never fails: what does not fit the state (a stale epoch, a late answer) changes nothing.
  Effects Step(Time now, const Event& event);

  // How things stand, for the people of this host.
  View view() const;

  bool connected() const { return link_ == Link::kUp; }
  std::size_t held() const { return attempts_.size(); }
  // Attempts whose process tree lives.
  std::uint32_t running() const;
  // Unacknowledged bytes on the bulk stream.
  std::size_t in_flight() const { return in_flight_; }

 private:
  enum class Link { kDown, kOpening, kUp };
  enum class Doom { kNone, kDelete, kFenced };  // why it goes as soon as its processes are gone

  struct Attempt {
    JobId job;
    Held held;
    std::string lost_detail;
    bool handed_back = false;  // is lost because we ended it
    bool process = false;      // the shim has not exited, as far as we know
    bool connected = false;    // to the shim
    bool starting = false;     // StartAttempt was given, its answer is due
    Doom doom = Doom::kNone;
    bool verdict = false;         // its final record is stored, so its tree was gone: the slot is free
    std::optional<Time> kill_at;  // a doomed shim that has not gone by itself

    std::optional<Cancel> cancel;
    bool cancel_sent = false;  // on the present connection to the shim
    bool granted = false;
    bool grant_sent = false;  // likewise

    bool ours = false;           // the queen knows it as ours in this session
    bool unsaid = false;         // a status the queen has not been told
    std::optional<Time> say_by;  // what she is told then, unless something that implies it comes first
    // Bulk: records up to `sent` are on their way, up to `acked` on the queen's disk.
    Seq sent, acked;
    bool stalled = false;  // the spool did not show what the watermark promised
    bool damaged = false;
    bool trimmed = false;                             // damaged: the queen asks for what it had acknowledged
    std::deque<std::pair<Seq, std::size_t>> batches;  // last record and bytes of each unacknowledged message
    std::size_t in_flight = 0;
  };

  // In drone_core.cc, core_intake.cc, core_attempts.cc, core_link.cc and core_bulk.cc, by what they are
  // about.
  void On(Time now, const event::Recovered& e);
  void On(Time now, const event::Begin& e);
  void On(Time now, const event::Pause& e);
  void On(Time now, const event::Resume& e);
  void On(Time now, const event::Resize& e);
  void On(Time now, const event::Drain& e);
  void On(Time now, const event::Stop& e);
  void On(Time now, const event::Detach& e);
  void On(Time now, const event::Timer& e);
  void On(Time now, const event::FromQueen& e);
  void On(Time now, const event::ControlLost& e);
  void On(Time now, const event::FromBulk& e);
  void On(Time now, const event::BulkReady& e);
  void On(Time now, const event::BulkLost& e);
  void On(Time now, const event::RecordsSent& e);
  void On(Time now, const event::SpoolDamaged& e);
  void On(Time now, const event::Started& e);
  void On(Time now, const event::StartFailed& e);
  void On(Time now, const event::ShimConnected& e);
  void On(Time now, const event::ShimDisconnected& e);
  void On(Time now, const event::ShimStatus& e);
  void On(Time now, const event::ShimWatermark& e);
  void On(Time now, const event::ShimGone& e);

  void Hear(Time now, const Welcome& m);
  void Hear(Time now, const Assign& m);
  void Hear(Time now, const Cancel& m);
  void Hear(Time now, const Grant& m);
  void Hear(Time now, const HeartbeatAck& m);
  void Hear(Time now, const Verdict& m);
  void Hear(Time now, const QueryInfo& m);
  void Hear(Time now, const Forget& m);
  void Hear(Time now, const Fenced& m);
  void Hear(Time now, const Drain& m);

  void Apply(Time now, const Disposition& d, Attempt& a);
  static bool HasSpoken(const Attempt& a);
  void OpenLink(Time now);
  // The link is gone: forget what was in flight, plan the next try.
  void LinkDown(Time now, double jitter);
  // The queen said what no queen says: there is no telling what else it means. A new session starts afresh.
  void CloseBrokenSession(Time now, std::string_view what);
  void Beat(Time now);
  void BeatIfDue(Time now);
  void WatchLink(Time now, double jitter);

  void DeliverToShim(Attempt& a);
  void Say(Time now, Attempt& a);  // tell the queen the status, soon or as soon as there is a session
  void SaySoon(Time now, Attempt& a);
  void Tell(Attempt& a);
  void TellDue(Time now);
  void LogEnd(const Attempt& a);
  void HandBack(const Attempt& a);
  void HandBackAll();
  void DoomAttempt(Time now, Attempt& a, Doom doom);
  void KillOverdue(Time now);
  void RemoveDoomed();
  void FinishLeaving(Time now);
  std::string WhyNoRoom() const;
  std::uint32_t Ending() const;  // fenced attempts whose tree still holds its slot
  void StartDeferred(Time now);

  void Rewind(Attempt& a, Seq acked);
  void Pump();
  bool HasToSend(const Attempt& a) const;

  bool TakesWork() const { return !draining_ && !paused_; }
  Info OfferedInfo() const;
  void Offer();  // tell the queen what is offered now
  void SayLeaving(Time now);
  void EndPauseIfDue(Time now);
  Attempt* Find(Epoch epoch);
  void Do(Effect effect) { effects_.list.push_back(std::move(effect)); }
  void Log(effect::Note::Level level, std::string text);
  std::optional<Time> NextWake() const;
  Duration HeartbeatPeriod() const;

  Info info_;
  Effects effects_;  // of the step under way

  // Link.
  Link link_ = Link::kDown;
  bool begun_ = false;
  Time next_try_{};
  int tries_ = 0;  // since the last Welcome
  Time hello_deadline_{};
  Time proven_{};  // when the newest message that the queen answered was sent: the lease counts from there
  std::deque<std::pair<std::uint64_t, Time>> beats_;  // heartbeats without an answer, and when they were sent
  Time last_beat_{};
  std::uint64_t nonce_ = 0;
  Duration lease_, busy_, idle_;
  std::string last_trouble_;       // already logged
  std::set<Epoch> unheard_shims_;  // recovered, first Status still due; Hello waits for them
  Epoch highest_epoch_;

  // Bulk.
  SessionId session_;
  bool bulk_open_ = false;   // opening or open
  bool bulk_ready_ = false;  // takes a message now
  std::optional<Time> bulk_retry_;
  int bulk_tries_ = 0;
  Epoch last_served_;  // round robin
  std::size_t in_flight_ = 0;

  std::map<Epoch, Attempt> attempts_;
  std::deque<Assign> deferred_;  // for the slots of fenced attempts; at most as many as there are of those

  std::optional<event::Pause> paused_;
  bool offer_unsaid_ = false;  // it changed behind the Hello that is not answered yet
  bool lowered_ = false;       // the queen may not know yet that there are fewer slots
  bool draining_ = false;
  std::optional<Drain> queens_drain_;  // as she said last
  // While draining: the heartbeat behind the word of it. Once it is answered no assignment is on its way any
  // more. 0 = none is awaited. An answer is waited for until leave_by_.
  std::uint64_t farewell_ = 0;
  std::optional<Time> leave_by_;
  std::optional<Time> stop_deadline_;
  bool exited_ = false;
};

// Bounds of this machine. Message and window sizes are in common/base/limits.h.
inline constexpr Duration kFirstStatusWait =
    std::chrono::seconds(2);                                      // for re-attached shims, before the Hello
inline constexpr Duration kShimLeaves = std::chrono::seconds(5);  // after a verdict; then it is killed
inline constexpr std::size_t kBeatsRemembered = 1024;             // unanswered: more than any lease has
// An acceptance waits so long for the first status, and the end for the verdict on the records behind it:
// most often one message says both. A message costs both sides 0.05 ms and the queen a commit.
inline constexpr Duration kSayWithin = std::chrono::milliseconds(30);
inline constexpr Duration kFarewellWait = std::chrono::seconds(2);  // for assignments that cross a drain
inline constexpr Duration kStopWait = std::chrono::seconds(10);     // for the delivery of what was stopped

// Full jitter: anything from nothing to a ceiling that doubles with each try. `jitter` is in [0, 1).
Duration Backoff(int tries, double jitter);

}  // namespace waggle::drone
