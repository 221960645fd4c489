#include "common/wire/enums.h"

#include "waggle/v1/job.pb.h"

namespace waggle::wire {
namespace {

// Equal numbers on both sides make the conversion a cast; these lines fail to compile when one side is
// renumbered.
template <typename A, typename B>
constexpr bool Same(A a, B b) {
  return static_cast<int>(a) == static_cast<int>(b);
}
static_assert(Same(JobType::kTest, v1::TEST) && Same(JobType::kDeploy, v1::DEPLOY) &&
              Same(JobType::kTestAndDeploy, v1::TEST_AND_DEPLOY));
static_assert(Same(JobState::kCreated, v1::CREATED) && Same(JobState::kQueued, v1::QUEUED) &&
              Same(JobState::kReceived, v1::RECEIVED) && Same(JobState::kStarted, v1::STARTED) &&
              Same(JobState::kPassed, v1::PASSED) && Same(JobState::kFailed, v1::FAILED) &&
              Same(JobState::kErrored, v1::ERRORED) && Same(JobState::kCanceled, v1::CANCELED) &&
              Same(JobState::kSkipped, v1::SKIPPED));
static_assert(Same(Phase::kEnvironment, v1::ENVIRONMENT) && Same(Phase::kPrepare, v1::PREPARE) &&
              Same(Phase::kTest, v1::TEST_PHASE) && Same(Phase::kDeploy, v1::DEPLOY_PHASE) &&
              Same(Phase::kCleanup, v1::CLEANUP));
static_assert(Same(Isolation::kAuto, v1::ISOLATION_AUTO) && Same(Isolation::kNone, v1::ISOLATION_NONE) &&
              Same(Isolation::kUser, v1::ISOLATION_USER) &&
              Same(Isolation::kBubblewrap, v1::ISOLATION_BUBBLEWRAP));

}  // namespace

std::optional<JobType> FromProto(v1::JobType type) {
  if (!v1::JobType_IsValid(type) || type == v1::JOB_TYPE_UNSPECIFIED) return std::nullopt;
  return static_cast<JobType>(type);
}

std::optional<JobState> FromProto(v1::JobState state) {
  if (!v1::JobState_IsValid(state) || state == v1::JOB_STATE_UNSPECIFIED) return std::nullopt;
  return static_cast<JobState>(state);
}

std::optional<Phase> FromProto(v1::Phase phase) {
  if (!v1::Phase_IsValid(phase)) return std::nullopt;
  return static_cast<Phase>(phase);
}

std::optional<Isolation> FromProto(v1::Isolation isolation) {
  if (!v1::Isolation_IsValid(isolation)) return std::nullopt;
  return static_cast<Isolation>(isolation);
}

v1::JobType ToProto(JobType type) {
  return static_cast<v1::JobType>(type);
}
v1::JobState ToProto(JobState state) {
  return static_cast<v1::JobState>(state);
}
v1::Phase ToProto(Phase phase) {
  return static_cast<v1::Phase>(phase);
}
v1::Isolation ToProto(Isolation isolation) {
  return static_cast<v1::Isolation>(isolation);
}

}  // namespace waggle::wire
