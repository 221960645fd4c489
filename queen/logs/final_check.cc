#include "queen/logs/final_check.h"

#include <cstdint>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace waggle::queen {

std::string Contradiction(const journal::Final& final) {
  using Code =
      std::tuple<const char*, std::int32_t, std::int32_t>;  // whose, what it says, the least it may be
  const bool clean = final.failed_code == 0 && final.reason == Reason::kNone;
  for (const auto& [whose, code, least] :
       {Code("its tests", final.test_code, -1), Code("its deploy", final.deploy_code, -1),
        Code("its first failed command", final.failed_code, 0)}) {
    const bool unknown = code == 504 && final.reason != Reason::kNone;  // the queen's own word
    if (code < least || (code > 255 && !unknown)) {
      return absl::StrCat("the final record says exit code ", code, " of ", whose);
    }
    if (code > 0 && clean) {
      return absl::StrCat("the final record says exit code ", code, " of ", whose, ", but no failed command");
    }
  }
  return "";
}

}  // namespace waggle::queen
