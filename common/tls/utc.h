#pragma once

#include <string>

#include "common/base/clock.h"

namespace waggle::tls {

// "2026-11-02 10:12:05 UTC", for messages.
std::string UtcText(WallMillis at);

}  // namespace waggle::tls
