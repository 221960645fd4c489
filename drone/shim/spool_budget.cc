#include "drone/shim/spool_budget.h"

#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "drone/shim/protocol.h"

namespace waggle::shim {
namespace {

constexpr std::uint64_t kLeastSegment = 64 * limits::kKiB;

}  // namespace

std::uint64_t SpoolBudget::Used() const {
  std::uint64_t used = 0;
  const std::string prefix = absl::StrCat(std::string(kSpoolPrefix), ".");
  for (const std::string& attempt : ListDirectory(attempts_).value_or(std::vector<std::string>())) {
    const std::string directory = absl::StrCat(attempts_, "/", attempt);
    for (const std::string& name : ListDirectory(directory).value_or(std::vector<std::string>())) {
      struct stat file {};
      if (!absl::StartsWith(name, prefix)) continue;
      if (::stat(absl::StrCat(directory, "/", name).c_str(), &file) == 0) {
        used += static_cast<std::uint64_t>(file.st_size);
      }
    }
  }
  return used;
}

std::uint64_t SpoolSegment(std::uint64_t budget, std::uint32_t slots) {
  if (budget == 0) return limits::kSpoolSegment;
  return std::clamp<std::uint64_t>(budget / (2 * (std::uint64_t{slots} + 1)), kLeastSegment,
                                   limits::kSpoolSegment);
}

}  // namespace waggle::shim
