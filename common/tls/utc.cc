#include "common/tls/utc.h"

#include <time.h>

namespace waggle::tls {

std::string UtcText(WallMillis at) {
  const time_t seconds = at / 1000 - (at % 1000 < 0 ? 1 : 0);
  tm utc;
  char text[64];
  if (::gmtime_r(&seconds, &utc) == nullptr) return "an unknown time";
  return std::string(text, ::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc));
}

}  // namespace waggle::tls
