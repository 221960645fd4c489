#include "tests/support/chaos_script.h"

#include <algorithm>
#include <initializer_list>

#include "absl/strings/str_cat.h"

namespace waggle::test {
namespace {

using Act = ChaosStep::Act;

constexpr std::int64_t kShortest = 10 * sim::kMilli;
constexpr std::int64_t kFarthestCut = 1 << 20;  // bytes: beyond a handshake, within a job's output
constexpr std::int64_t kSlowest = 2'000, kFastest = 2'000'000;  // bytes per second

std::int64_t Millis(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

void Append(std::string* text, const char* name, const WayFaults& faults) {
  if (faults == WayFaults{}) return;
  absl::StrAppend(text, text->empty() ? "" : ", ", name, ":");
  if (faults.delay.count() != 0) absl::StrAppend(text, " delay ", Millis(faults.delay), " ms");
  if (faults.jitter.count() != 0) absl::StrAppend(text, " jitter ", Millis(faults.jitter), " ms");
  if (faults.rate != 0) absl::StrAppend(text, " ", faults.rate, " bytes/s");
  if (faults.black_hole) absl::StrAppend(text, " black hole");
  if (faults.stalled) absl::StrAppend(text, " stalled");
}

std::string Text(const Faults& faults) {
  std::string text;
  Append(&text, "up", faults.up);
  Append(&text, "down", faults.down);
  const char* comma = text.empty() ? "" : ", ";
  if (faults.door == Door::kRefusing) absl::StrAppend(&text, comma, "door refuses");
  if (faults.door == Door::kSilent) absl::StrAppend(&text, comma, "door is silent");
  return text.empty() ? "healthy" : text;
}

}  // namespace

std::string Text(const ChaosStep& step) {
  std::string what = Text(step.faults);
  if (step.act == Act::kCutAll) what = absl::StrCat("cut all, ", what);
  if (step.act == Act::kCutAfter) {
    what = absl::StrCat("cut after ", step.bytes, " bytes ", step.way == Way::kUp ? "up" : "down");
  }
  return absl::StrCat(what, ", for ", Millis(step.lasts), " ms");
}

ChaosStep ChaosScript::Next() {
  hurt_ = !hurt_;
  ChaosStep step = hurt_ ? Fault() : ChaosStep{};
  step.lasts = Duration(random_.Skewed(kShortest, std::max<std::int64_t>(kShortest, longest_.count())));
  return step;
}

ChaosStep ChaosScript::Fault() {
  ChaosStep step;
  // Up, down or both, for the faults of a direction.
  const std::uint64_t ways = 1 + random_.Below(3);
  auto hurt = [&](const WayFaults& faults) {
    if ((ways & 1) != 0) step.faults.up = faults;
    if ((ways & 2) != 0) step.faults.down = faults;
  };
  switch (random_.Below(10)) {
    case 0:
      step.act = Act::kCutAll;
      break;
    case 1:
      step.act = Act::kCutAll;
      step.faults.door = random_.OneIn(2) ? Door::kRefusing : Door::kSilent;
      break;
    case 2:
      hurt({.delay = Duration(random_.Skewed(sim::kMilli, sim::kSecond)),
            .jitter = Duration(random_.Skewed(sim::kMilli, 200 * sim::kMilli))});
      break;
    case 3:
      hurt({.rate = static_cast<std::uint64_t>(random_.Skewed(kSlowest, kFastest))});
      break;
    case 4:
    case 5:
      hurt({.black_hole = true});
      break;
    case 6:
      hurt({.stalled = true});
      break;
    default:
      step.act = Act::kCutAfter;
      step.way = random_.OneIn(2) ? Way::kUp : Way::kDown;
      step.bytes = static_cast<std::uint64_t>(random_.Skewed(1, kFarthestCut));
  }
  return step;
}

}  // namespace waggle::test
