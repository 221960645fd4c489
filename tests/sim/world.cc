#include "tests/sim/world.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>

namespace waggle::sim {
namespace {

constexpr std::size_t kTraceLines = 4000;
constexpr Nanos kUptime = 10 * kSecond;  // of a host that has just booted

}  // namespace

const char* Name(Rare path) {
  static constexpr const char* kNames[] = {
#define X(name) #name,
      WAGGLE_SIM_RARE_PATHS(X)
#undef X
  };
  return kNames[static_cast<std::size_t>(path)];
}

void World::At(Nanos when, std::function<void()> what) {
  due_.push({std::max(when, now_), order_++, std::move(what)});
}

bool World::Step(Nanos until) {
  if (failed() || due_.empty() || due_.top().when > until) return false;
  // The queue gives its top as const: moving out of it is safe because it is popped at once.
  Entry entry = std::move(const_cast<Entry&>(due_.top()));
  due_.pop();
  now_ = entry.when;
  ++result.steps;
  entry.what();
  return true;
}

void World::Fail(std::string_view invariant, std::string text) {
  if (failed()) return;
  result.ok = false;
  result.invariant = std::string(invariant);
  result.text = std::move(text);
  if (tracing) AddTrace(absl::StrCat("VIOLATED ", result.invariant, ": ", result.text));
}

void World::AddTrace(std::string line) {
  if (result.trace.size() >= 2 * kTraceLines) {
    result.trace.erase(result.trace.begin(), result.trace.end() - kTraceLines);
  }
  const Nanos micros = now_ / kMicro;
  std::string fraction = absl::StrCat(1'000'000 + micros % 1'000'000).substr(1);
  result.trace.push_back(absl::StrCat(micros / 1'000'000, ".", fraction, " ", line));
}

// "queen::event::Accept" of waggle::queen::event::Accept.
std::string World::TypeName(const std::type_info& type) {
  int status = 0;
  char* name = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
  std::string text = status == 0 ? name : type.name();
  std::free(name);
  return text.starts_with("waggle::") ? text.substr(8) : text;
}

HostClock::HostClock(const World& world, int ppm, Random random)
    : world_(world),
      ppm_(ppm),
      booted_(-random.Between(kMinute, 100'000 * kMinute)),
      wall_offset_(random.OneIn(3) ? random.Between(-24 * 60 * kMinute, 24 * 60 * kMinute) : 0) {}

Time HostClock::LocalAt(Nanos world) const {
  const Nanos up = world - booted_;
  return Time(Duration(kUptime + up + up / 1'000'000 * ppm_));
}

Nanos HostClock::WorldTimeOf(Time local) const {
  const auto up = static_cast<__int128>(local.time_since_epoch().count() - kUptime);
  Nanos world = booted_ + static_cast<Nanos>(up * 1'000'000 / (1'000'000 + ppm_));
  while (LocalAt(world) < local) world += kMicro;
  return world;
}

WallMillis HostClock::Wall() const {
  return 1'700'000'000'000 + (world_.now() + wall_offset_) / kMilli;
}

}  // namespace waggle::sim
