#include "queen/logs/removal.h"

#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "queen/logs/log_store.h"

namespace waggle::queen {
namespace {

std::string Day(WallMillis at) {
  return absl::FormatTime("%Y-%m-%d", absl::FromUnixMillis(at), absl::UTCTimeZone());
}

}  // namespace

std::optional<Epoch> EpochOfLogFile(const std::string& name) {
  std::uint64_t epoch = 0;
  if (!absl::SimpleAtoi(name.substr(0, name.find_first_of(".-")), &epoch) || epoch == 0) return std::nullopt;
  return Epoch(epoch);
}

absl::Status DeleteLogFiles(const std::string& logs, const std::set<Epoch>& epochs) {
  std::set<std::string> directories;
  for (Epoch epoch : epochs) directories.insert(LogLocation(logs, epoch).directory);
  for (const std::string& directory : directories) {
    absl::StatusOr<std::vector<std::string>> names = ListDirectory(directory);
    if (absl::IsNotFound(names.status())) continue;
    RETURN_IF_ERROR(names.status());
    for (const std::string& name : *names) {
      const std::optional<Epoch> epoch = EpochOfLogFile(name);
      if (epoch && epochs.contains(*epoch)) RETURN_IF_ERROR(RemoveFile(absl::StrCat(directory, "/", name)));
    }
    RETURN_IF_ERROR(SyncDirectory(directory));
  }
  return absl::OkStatus();
}

absl::Status CheckLogKept(const AttemptRow& attempt) {
  if (attempt.log_removed == 0) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(
      "the log of job ", attempt.job.value(), " attempt ", attempt.number, " was removed on ",
      Day(attempt.log_removed), ": it ended on ", Day(attempt.log_ended),
      ", and the queen keeps logs for a limited time (her setting retention.logs)\nnext: waggle show ",
      attempt.job.value(), " still says how it went"));
}

}  // namespace waggle::queen
