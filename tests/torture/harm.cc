#include "tests/torture/harm.h"

#include <signal.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace waggle::test {
namespace {

using sim::kMilli;
using sim::kSecond;

constexpr std::int64_t kSoonest = 500 * kMilli, kLatest = 20 * kSecond;  // between two harms
constexpr std::int64_t kShortestDown = 1 * kMilli, kLongestDown = 4 * kSecond;
constexpr std::int64_t kShortestFreeze = 20 * kMilli, kLongestFreeze = 10 * kSecond;
constexpr std::int64_t kShortestBreak = 100 * kMilli, kLongestBreak = 9 * kSecond;  // of a cable
constexpr Duration kLongestStep = std::chrono::seconds(3);                          // of a proxy
constexpr std::size_t kShownLog = 3000;

const char* KindOf(const ChaosStep& step) {
  if (step.act == ChaosStep::Act::kCutAfter) return "link cut at a byte";
  if (step.act == ChaosStep::Act::kCutAll && step.faults == Faults{}) return "link cut";
  if (step.act == ChaosStep::Act::kCutAll) return "link away";
  const bool hole = step.faults.up.black_hole || step.faults.down.black_hole;
  return hole ? "link swallows" : "link slow or stalled";
}

}  // namespace

Victim::Victim(std::string name, std::function<Child()> start, std::uint64_t seed, Tally* tally)
    : name_(std::move(name)), start_(std::move(start)), tally_(tally), random_(seed, name_) {
  Up();
  next_ = BootClock::now() + Duration(random_.Skewed(kSoonest, kLatest));
}

void Victim::Up() {
  up_at_.reset();
  leaving_ = false;
  frozen_ = false;
  if (child_) gone_.push_back(std::move(*child_));
  if (gone_.size() > 2) gone_.erase(gone_.begin());
  child_ = start_();
}

void Victim::Turn(Time now) {
  if (up_at_) {
    if (now < *up_at_) return;
    Up();
    next_ = now + Duration(random_.Skewed(kSoonest, kLatest));
    return;
  }
  if (leaving_) {
    if (child_->Running()) return;
    if (*child_->Wait() != 0) tally_->Violation(absl::StrCat(name_, " ends with code ", *child_->Wait()));
    up_at_ = now + Duration(random_.Skewed(kShortestDown, kLongestDown));
    return;
  }
  Supervise();
  if (now < next_) return;
  if (frozen_) {
    child_->Signal(SIGCONT);
    frozen_ = false;
    next_ = now + Duration(random_.Skewed(kSoonest, kLatest));
    return;
  }
  Harm(now);
}

void Victim::Harm(Time now) {
  const std::uint64_t dice = random_.Below(100);
  if (dice < 50) {
    tally_->Fault(name_ + " killed");
    child_->Signal(SIGKILL);
    child_->Wait();
    up_at_ = now + Duration(random_.Skewed(kShortestDown, kLongestDown));
  } else if (dice < 88) {
    tally_->Fault(name_ + " frozen");
    child_->Signal(SIGSTOP);
    frozen_ = true;
    next_ = now + Duration(random_.Skewed(kShortestFreeze, kLongestFreeze));
  } else {
    tally_->Fault(name_ + " told to end");
    child_->Signal(SIGTERM);
    leaving_ = true;
  }
}

void Victim::Supervise() {
  if (frozen_ || up_at_ || leaving_ || child_->Running()) return;
  const std::string log = child_->Err();
  tally_->Violation(absl::StrCat(name_, " ended by itself with code ", *child_->Wait(), "\n",
                                 log.substr(log.size() - std::min(log.size(), kShownLog))));
  Up();
}

void Victim::Heal() {
  if (frozen_) child_->Signal(SIGCONT);
  frozen_ = false;
  if (leaving_) child_->Wait();
  if (leaving_ || up_at_) Up();
}

HurtLink::HurtLink(std::unique_ptr<ChaosProxy> proxy, NetNamespace* cable, std::uint64_t seed, Tally* tally)
    : proxy_(std::move(proxy)),
      cable_(cable),
      tally_(tally),
      script_(seed, kLongestStep),
      random_(seed, "cable"),
      next_(BootClock::now()),
      next_cable_(next_ + Duration(random_.Skewed(kSoonest, kLatest))) {}

void HurtLink::Turn(Time now) {
  if (cable_ != nullptr) TurnCable(now);
  if (now < next_) return;
  const ChaosStep step = script_.Next();
  There([&] { proxy_->Perform(step); });
  if (step != ChaosStep{.lasts = step.lasts}) tally_->Fault(KindOf(step));
  next_ = now + step.lasts;
}

// A door that opens again listens in the network of who opens it.
void HurtLink::There(const std::function<void()>& what) {
  cable_ != nullptr ? cable_->Inside(what) : what();
}

void HurtLink::TurnCable(Time now) {
  if (now < next_cable_) return;
  absl::Status done;
  if (broken_) {
    done = cable_->Heal();
  } else if (random_.OneIn(2)) {
    tally_->Fault("cable broken");
    done = cable_->DropBothWays();
  } else {
    tally_->Fault("cable broken one way");
    done = cable_->DropOneWay(random_.OneIn(2) ? NetNamespace::From::kInside : NetNamespace::From::kHost);
  }
  if (!done.ok()) tally_->Violation(absl::StrCat("the torture cannot break a cable: ", done.message()));
  broken_ = !broken_;
  next_cable_ = now + Duration(broken_ ? random_.Skewed(kShortestBreak, kLongestBreak)
                                       : random_.Skewed(kSoonest, kLatest));
}

void HurtLink::Heal() {
  There([&] { proxy_->Heal(); });
  if (cable_ != nullptr) cable_->Heal().IgnoreError();
}

}  // namespace waggle::test
