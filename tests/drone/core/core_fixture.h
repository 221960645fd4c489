#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "common/base/limits.h"
#include "drone/core/drone_core.h"

namespace waggle::drone {

using namespace std::chrono_literals;

// A core in virtual time, with the shell's part played by the test. `said` are the effects of the last step.
class CoreTest : public testing::Test {
 protected:
  explicit CoreTest(std::uint32_t capacity = 2) : core_(Info{1.0, capacity, {{"os", "linux"}}}) {}

  void Step(Event event) {
    Effects effects = core_.Step(now_, event);
    said_ = std::move(effects.list);
    wake_ = effects.wake;
  }
  void Hear(ControlDown message) { Step(event::FromQueen{std::move(message)}); }
  void HearBulk(BulkDown message) { Step(event::FromBulk{std::move(message)}); }
  // Moves time to where the core asked to be woken, and wakes it.
  void Sleep(double jitter = 0.5) {
    ASSERT_TRUE(wake_.has_value()) << "the core would sleep for ever";
    now_ = std::max(now_, *wake_);
    Step(event::Timer{jitter});
  }
  void SleepFor(Duration d) {
    const Time until = now_ + d;
    while (wake_ && *wake_ <= until) Sleep();
    now_ = until;
  }

  void Begin() { Step(event::Begin{}); }
  void WelcomeWith(std::vector<Disposition> attempts = {}, Duration lease = 30s) {
    Hear(Welcome{1, SessionId(++session_), lease, 5s, 15s, std::move(attempts)});
  }
  void Connect() {
    Begin();
    ASSERT_EQ(Count<effect::OpenControl>(), 1u);
    WelcomeWith();
    Step(event::BulkReady{});
  }
  void AssignOnly(std::uint64_t epoch) { Hear(Assign{Epoch(epoch), 1, "document", 1000}); }
  void Run(std::uint64_t epoch) {
    AssignOnly(epoch);
    ASSERT_EQ(Count<effect::StartAttempt>(), 1u) << "epoch " << epoch;
    Step(event::Started{Epoch(epoch), JobId(epoch + 100)});
    Step(event::ShimConnected{Epoch(epoch)});
    Status(epoch, HeldState::kRunning, 0);
    ASSERT_EQ(Sent<Held>().size(), 1u);
  }
  void Status(std::uint64_t epoch, HeldState state, std::uint64_t last, bool wants_grant = false) {
    Held held;
    held.epoch = Epoch(epoch);
    held.state = state;
    held.last = Seq(last);
    held.counter = ++counter_;
    held.started = 2000;
    held.wants_grant = wants_grant;
    if (state == HeldState::kFinished) held.test_code = 0;
    Step(event::ShimStatus{held});
  }
  void Gone(std::uint64_t epoch, HeldState state, std::uint64_t last, std::string detail = "") {
    Held held;
    held.epoch = Epoch(epoch);
    held.state = state;
    held.last = Seq(last);
    Step(event::ShimGone{held, std::move(detail)});
  }
  void Watermark(std::uint64_t epoch, std::uint64_t last) {
    Step(event::ShimWatermark{Epoch(epoch), Seq(last)});
  }
  void Cut(std::string text = "connection reset", double jitter = 0.5) {
    Step(event::ControlLost{event::ControlLost::Why::kCut, std::move(text), jitter});
  }
  // From a cut to the next Hello.
  void ComeBack() {
    while (Count<effect::OpenControl>() == 0) Sleep();
  }

  template <typename E>
  std::vector<E> All() const {
    std::vector<E> found;
    for (const Effect& effect : said_) {
      if (const E* e = std::get_if<E>(&effect)) found.push_back(*e);
    }
    return found;
  }
  template <typename E>
  std::size_t Count() const {
    return All<E>().size();
  }
  // Control messages of this kind in the last step.
  template <typename M>
  std::vector<M> Sent() const {
    std::vector<M> found;
    for (const effect::SendControl& send : All<effect::SendControl>()) {
      if (const M* m = std::get_if<M>(&send.message)) found.push_back(*m);
    }
    return found;
  }
  Hello LastHello() const { return All<effect::OpenControl>().at(0).hello; }

  DroneCore core_;
  Time now_{std::chrono::hours(1)};
  std::vector<Effect> said_;
  std::optional<Time> wake_;
  std::uint64_t session_ = 0;
  std::uint32_t counter_ = 0;
};

}  // namespace waggle::drone
