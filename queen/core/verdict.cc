#include "queen/core/verdict.h"

#include <algorithm>
#include <limits>

#include "common/base/limits.h"
#include "queen/core/said.h"

namespace waggle::queen {
namespace {

constexpr std::size_t kStepBytes = 2 * limits::kNameBytes;
constexpr std::uint64_t kRecordsOfSeal = 2;  // the status and the final

}  // namespace

JobState VerdictOf(const journal::Final& final) {
  if (final.reason == Reason::kCanceled) return JobState::kCanceled;
  if (final.reason != Reason::kNone) return JobState::kErrored;
  return final.failed_code == 0 ? JobState::kPassed : JobState::kFailed;
}

Receipt ReceiptOf(const journal::Final& final) {
  if (final.processes_left == journal::kNobodyCounted) return {};
  constexpr std::uint32_t kMost = std::numeric_limits<std::int32_t>::max();
  return {.left = static_cast<std::int32_t>(std::min(final.processes_left, kMost)),
          .killed = final.processes_killed,
          .took_ms =
              static_cast<std::int64_t>(final.kill_nanos / 1'000'000 + (final.kill_nanos % 1'000'000 != 0))};
}

LateTruth LateTruthOf(const event::LogComplete& complete, WallMillis wall) {
  const journal::Final& final = complete.final;
  LateTruth late;
  late.state = complete.problem.empty() ? VerdictOf(final) : JobState::kErrored;
  late.reason = complete.problem.empty() ? final.reason : Reason::kLogIncomplete;
  late.detail = complete.problem.empty() ? Presentable(final.detail, limits::kReasonBytes) : complete.problem;
  late.test_code = final.test_code;
  late.deploy_code = final.deploy_code;
  late.failed_code = final.failed_code;
  late.failed_step = FailedStepOf(final);
  late.finished = std::clamp<WallMillis>(final.finished, 0, wall);  // only shown; no clock of ours
  late.arrived = wall;
  late.last_seq = complete.last_seq;
  return late;
}

std::string FailedStepOf(const journal::Final& final) {
  return Presentable(final.failed_step, kStepBytes);
}

Seq LastBeforeSeal(const AttemptRow& attempt) {
  return Seq(attempt.last_seq - std::min(attempt.last_seq, kRecordsOfSeal));
}

}  // namespace waggle::queen
