#include "common/base/failpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/text.h"

namespace waggle::failpoint {
namespace {

// Written by Arm(), before there are threads that read it.
struct Plan {
  std::string spec, mark;
  std::uint64_t at = 0;
};
Plan& ThePlan() {
  static Plan plan;
  return plan;
}
std::atomic<std::uint64_t> passed{0};

absl::Status Wrong(std::string_view spec, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(std::string(kVariable), "=", Quoted(spec), ": ",
                                                 std::string(why),
                                                 "\nnext: unset it (it ends this process on purpose, for "
                                                 "tests), or write NAME:N:kill or NAME:N:kill:FILE"));
}

int Find(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace

absl::Status Arm(std::string_view spec) {
  internal::armed = -1;
  passed = 0;
  ThePlan() = {};
  if (spec.empty()) return absl::OkStatus();
  const std::vector<std::string> parts =
      absl::StrSplit(absl::string_view(spec.data(), spec.size()), absl::MaxSplits(':', 3));
  Plan plan{std::string(spec), parts.size() > 3 ? parts[3] : "", 0};
  const int point = Find(parts[0]);
  if (point < 0) {
    const std::string_view meant = DidYouMean(parts[0], kNames);
    return Wrong(spec,
                 absl::StrCat("there is no failpoint ", Quoted(parts[0]),
                              meant.empty() ? "" : absl::StrCat("; did you mean ", Quoted(meant), "?")));
  }
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[1], &plan.at) || plan.at == 0) {
    return Wrong(spec, "how often it is passed is not a number from 1");
  }
  if (parts.size() < 3 || parts[2] != "kill") return Wrong(spec, "the only action is kill");
  ThePlan() = std::move(plan);
  internal::armed = point;
  return absl::OkStatus();
}

absl::Status ArmFromEnvironment() {
  const char* spec = std::getenv(kVariable);
  return Arm(spec == nullptr ? "" : spec);
}

const std::string& Armed() {
  return ThePlan().spec;
}

namespace internal {

void Hit() {
  const Plan& plan = ThePlan();
  if (passed.fetch_add(1) + 1 != plan.at) return;
  if (!plan.mark.empty()) {
    const int mark = ::open(plan.mark.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (mark < 0 && errno == EEXIST) return;
  }
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();  // nothing behind the point may run while the signal is on its way
}

}  // namespace internal
}  // namespace waggle::failpoint
