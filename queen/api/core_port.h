#pragma once

#include <functional>
#include <memory>

#include "queen/core/events.h"

namespace waggle::queen {

// The way from the services to the core. Thread-safe, never blocks.
class CorePort {
 public:
  virtual ~CorePort() = default;
  // False: the inbox is full or the queen stops. Events of the queen herself (a connection ended, a log is
  // complete) are always taken.
  // `hold` is let go when the core has dealt with the event: who posts bounds by it what is on its way.
  virtual bool Post(Event event, std::shared_ptr<const void> hold = nullptr) = 0;
  // Posts make(id); `done` gets the answer once what it says is durable, on the writer thread: convert and
  // return. When the inbox is full or the queen stops the answer is an Unavailable status, possibly before
  // Ask returns.
  virtual void Ask(const std::function<Event(RequestId)>& make, std::function<void(AnswerValue)> done) = 0;
};

}  // namespace waggle::queen
