#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "drone/core/events.h"
#include "drone/core/messages.h"

namespace waggle::drone {

// How things stand with a drone: plain values, copied out of its core.
struct View {
  struct Job {
    JobId job;  // none: its attempt is being started
    Held held;
    std::uint64_t undelivered = 0;  // records that the queen has not acknowledged
  };

  bool connected = false;
  std::string trouble;                      // why not, as far as the last try knows
  std::uint32_t capacity = 0, running = 0;  // slots; attempts whose process tree lives
  std::optional<event::Pause> pause;
  std::optional<Drain> queens_drain;
  bool draining = false, stopping = false;
  std::vector<Job> jobs;  // every attempt it holds, oldest first
};

}  // namespace waggle::drone
