#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "tests/sim/random.h"
#include "tests/support/chaos_proxy.h"
#include "tests/support/chaos_script.h"
#include "tests/support/child.h"
#include "tests/support/net_namespace.h"
#include "tests/torture/tally.h"

namespace waggle::test {

// A daemon that is killed, frozen and told to end, and started again each time. One thread, the one that made
// it.
class Victim {
 public:
  Victim(std::string name, std::function<Child()> start, std::uint64_t seed, Tally* tally);

  void Turn(Time now);  // harms it when that is due, and starts it again
  void Heal();          // runs from here on
  // It ended by itself: that is a violation, and it is started again.
  void Supervise();
  Child& child() { return *child_; }
  const std::string& name() const { return name_; }

 private:
  void Harm(Time now);
  void Up();

  const std::string name_;
  const std::function<Child()> start_;
  Tally* const tally_;
  sim::Random random_;
  std::vector<Child> gone_;  // for their logs
  std::optional<Child> child_;
  bool frozen_ = false;
  bool leaving_ = false;  // told to end
  Time next_;             // harm, or its end
  std::optional<Time> up_at_;
};

// The proxy before somebody, and the cable of the network it is in if it has one of its own.
class HurtLink {
 public:
  HurtLink(std::unique_ptr<ChaosProxy> proxy, NetNamespace* cable, std::uint64_t seed, Tally* tally);

  void Turn(Time now);
  void Heal();
  std::uint64_t cut() const { return proxy_->counts().cut; }

 private:
  void TurnCable(Time now);
  void There(const std::function<void()>& what);

  const std::unique_ptr<ChaosProxy> proxy_;
  NetNamespace* const cable_;  // nullptr: none
  Tally* const tally_;
  ChaosScript script_;
  sim::Random random_;
  Time next_, next_cable_;
  bool broken_ = false;
};

}  // namespace waggle::test
