#include "queen/app/retention.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/await.h"
#include "common/base/failpoint.h"

namespace waggle::queen {
namespace {

constexpr std::chrono::milliseconds kEvery = std::chrono::hours(1);

// As it is written in a file, if it is whole days.
std::string Spelled(std::chrono::milliseconds limit) {
  constexpr std::chrono::milliseconds kDay = std::chrono::hours(24);
  return limit % kDay == kDay.zero() ? absl::StrCat(limit / kDay, "d")
                                     : absl::FormatDuration(absl::FromChrono(limit));
}

}  // namespace

Retention::Retention(Store& store, LogStore& logs, std::chrono::milliseconds limit,
                     std::function<void(const absl::Status&)> failed, RetentionClocks clocks)
    : store_(store),
      logs_(logs),
      limit_(limit),
      failed_(std::move(failed)),
      clocks_(std::move(clocks)),
      check_(clocks_.boot(), clocks_.wall(), NewestStored()) {}

Retention::~Retention() {
  Stop();
}

void Retention::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Retention::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

bool Retention::Stopping() {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

WallMillis Retention::NewestStored() {
  absl::StatusOr<std::vector<JobRow>> jobs =
      store_.ListJobs({.limit = 1, .before = {}, .states = {}, .run = {}});
  return jobs.ok() && !jobs->empty() ? jobs->front().times.created : 0;
}

// Retention thread.
void Retention::Loop() {
  const Duration every = std::min(kEvery, limit_);
  for (;;) {
    Sweep();
    absl::MutexLock lock(&mutex_);
    AwaitFor(mutex_, absl::Condition(&stopping_), every);
    if (stopping_) return;
  }
}

std::size_t Retention::Sweep() {
  const WallMillis now = clocks_.wall();
  if (const std::string why = check_.Look(clocks_.boot(), now); !why.empty()) {
    spdlog::warn("{}: no old logs are removed until it was steady for a day (retention.logs)", why);
    return 0;
  }
  std::size_t gone = 0;
  while (gone < kSweep && !Stopping()) {
    absl::StatusOr<std::vector<Epoch>> marked = store_.ExpireLogs(now - limit_.count(), now, kBatch);
    if (!marked.ok()) {
      if (!absl::IsResourceExhausted(marked.status())) failed_(marked.status());
      break;  // without space for the mark it is tried again at the next sweep
    }
    if (marked->empty()) break;
    failpoint::Pass("queen.retention.marked");
    absl::StatusOr<std::vector<Epoch>> deleted = logs_.Delete(*marked);
    if (!deleted.ok()) {
      spdlog::error("old logs: {}; tried again later", std::string(deleted.status().message()));
      break;
    }
    failpoint::Pass("queen.retention.deleted");
    if (absl::Status noted = store_.LogsGone(*deleted); !noted.ok()) {
      if (!absl::IsResourceExhausted(noted)) failed_(noted);
      break;
    }
    gone += deleted->size();
    if (deleted->size() < marked->size()) break;  // one is still open for a moment
  }
  if (gone > 0)
    spdlog::info("removed the logs of {} attempts that ended more than {} ago (retention.logs)", gone,
                 Spelled(limit_));
  return gone;
}

}  // namespace waggle::queen
