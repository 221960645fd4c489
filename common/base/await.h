#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"

namespace waggle {

// Waits until the condition holds or the boot clock gets to `until`; at once if it is there. True: the
// condition holds. Any thread that holds the mutex, as for Mutex::Await.
//
// In place of Mutex::AwaitWithTimeout, which waits for a moment of the wall clock: set back by an hour, it
// waits an hour longer. Here one thread of the process, made by the first wait, wakes those whose time has
// come; a wait costs a timer of the kernel only if it is the next that is due.
bool AwaitUntil(absl::Mutex& mutex, const absl::Condition& condition, Time until)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
// As AwaitUntil, from now on.
bool AwaitFor(absl::Mutex& mutex, const absl::Condition& condition, Duration wait)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

}  // namespace waggle
