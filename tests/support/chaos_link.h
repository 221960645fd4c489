#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "common/base/fd.h"
#include "tests/sim/random.h"
#include "tests/support/chaos_pipe.h"
#include "tests/support/chaos_script.h"

namespace waggle::test {

// What a chaos proxy did. Bytes are those a socket took, of all connections together.
struct ChaosCounts {
  std::uint64_t accepted = 0;      // connections
  std::uint64_t open = 0;          // of them: not over yet
  std::uint64_t unreachable = 0;   // of them: cut, because the target could not be reached
  std::uint64_t cut = 0;           // connections that a fault ended
  std::uint64_t up = 0, down = 0;  // bytes delivered
  std::uint64_t lost = 0;          // bytes swallowed by a black hole
  std::uint64_t held = 0;          // bytes on their way now
  std::uint64_t steps = 0;         // calls of Set, Heal, CutAll, CutAfter and Perform
};

// One connection through a chaos proxy: two sockets that are watched with EPOLLET, and a pipe between them in
// each direction. It owns its sockets and knows no thread, lock or epoll.
class ChaosLink {
 public:
  // What all links of a proxy share.
  struct World {
    Faults faults;
    std::array<std::optional<std::uint64_t>, 2> cut_after;  // bytes left, by way
    ChaosCounts counts;
    sim::Random random;
    Time now{};
  };
  enum class Next : std::uint8_t {
    kWait,   // for its sockets, or for Due()
    kAgain,  // it did its share and has more to do
    kOver,   // both sockets are closed
  };
  enum class Side : std::uint8_t { kClient, kTarget };

  explicit ChaosLink(UniqueFd client);

  bool connected() const { return ends_[1].fd.valid() || leaving_; }
  void Connect(UniqueFd target);
  void Ready(Side side, std::uint32_t events);  // of epoll

  // Moves what can be moved.
  Next Step(World& world);
  // When to step again if no socket says so.
  Time Due(const World& world) const;
  std::size_t held() const { return pipes_[0].size() + pipes_[1].size(); }
  void Cut();  // resets both ends, with all that is on its way

 private:
  struct End {
    UniqueFd fd;
    bool readable = false, writable = false;
    bool ended = false;  // nothing more comes from there
    bool shut = false;   // it was told that nothing more comes
  };
  enum class Flow : std::uint8_t { kIdle, kMore, kBroken, kCut };

  End& From(Way way) { return ends_[way == Way::kUp ? 0 : 1]; }
  End& To(Way way) { return ends_[way == Way::kUp ? 1 : 0]; }
  ChaosPipe& Pipe(Way way) { return pipes_[static_cast<std::size_t>(way)]; }
  bool& Lost(Way way) { return lost_[static_cast<std::size_t>(way)]; }

  Flow Move(Way way, World& world);
  Flow Swallow(Way way, World& world);
  Flow Take(Way way, World& world);
  Flow Give(Way way, World& world);
  Flow ReceiverGone(Way way, World& world);
  Flow Broken(World& world);
  void CutHere(Way way);

  std::array<End, 2> ends_;  // by Side
  std::array<ChaosPipe, 2> pipes_;
  std::array<bool, 2> lost_{};  // by way: something is missing in that stream
  bool leaving_ = false;        // it is cut, and the last bytes before that are not with their receiver yet
};

}  // namespace waggle::test
