#include "queen/app/check.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/base/fd.h"
#include "common/base/vocabulary.h"
#include "common/journal/scan.h"
#include "queen/app/authority_files.h"
#include "queen/app/data_lock.h"
#include "queen/app/storage_guard.h"
#include "queen/logs/log_store.h"
#include "queen/logs/removal.h"
#include "queen/store/sqlite/check.h"

namespace waggle::queen {
namespace {

namespace fs = std::filesystem;

std::string Size(std::uint64_t bytes) {
  return bytes < limits::kGiB ? absl::StrFormat("%.1f MiB", static_cast<double>(bytes) / limits::kMiB)
                              : absl::StrFormat("%.1f GiB", static_cast<double>(bytes) / limits::kGiB);
}

std::string FirstLine(const absl::Status& status) {
  const std::string text(status.message());
  return text.substr(0, text.find('\n'));
}

class Checker {
 public:
  explicit Checker(std::string data) : data_(std::move(data)) {}

  int Run() {
    if (!fs::is_directory(data_)) {
      return config::Fail(
          exit_code::kRuntimeFailure,
          absl::NotFoundError(absl::StrCat("there is no data directory ", data_,
                                           "\nnext: name the one of `queen serve` with --data")));
    }
    absl::StatusOr<UniqueFd> lock = LockDirectory(data_);
    const bool used = absl::IsFailedPrecondition(lock.status());
    if (!lock.ok() && !used) return config::Fail(exit_code::kRuntimeFailure, lock.status());
    CheckDisk();
    CheckAuthority();
    if (used) {
      Say("–",
          "a queen runs: database and logs are checked while she is stopped; waggle verify JOB checks one "
          "log");
    } else if (CheckDatabase()) {
      CheckLogs();
    }
    return wrong_ ? exit_code::kRuntimeFailure : exit_code::kOk;
  }

 private:
  static void Say(const char* mark, const std::string& text) { std::printf("%s %s\n", mark, text.c_str()); }
  void Wrong(const std::string& text) {
    wrong_ = true;
    Say("✗", text);
  }

  void CheckDisk() {
    absl::StatusOr<DiskSpace> space = SpaceOf(data_);
    if (!space.ok()) return Wrong(FirstLine(space.status()));
    const std::string trouble = StorageTrouble(*space, false);
    if (!trouble.empty()) return Wrong(trouble);
    Say("✓", absl::StrCat("disk: ", Size(space->free_bytes), " free"));
  }

  void CheckAuthority() {
    if (!FileExists(data_ + "/tls/authority.crt")) return;  // she has never served other hosts
    absl::StatusOr<Identity> identity = OpenIdentity(data_, {"localhost"}, WallNow());
    if (!identity.ok()) return Wrong(FirstLine(identity.status()));
    const absl::Time until = absl::FromUnixMillis(identity->authority.certificate().not_after());
    Say("✓", absl::StrCat("authority: until ", absl::FormatTime("%Y-%m-%d", until, absl::UTCTimeZone())));
  }

  bool CheckDatabase() {
    const std::string path = data_ + "/queen.db";
    if (!FileExists(path)) {
      Say("–", "no database yet");
      return false;
    }
    absl::StatusOr<StoreReport> report =
        CheckSqliteStore(path, [this](const AttemptRow& attempt) { attempts_.push_back(attempt); });
    if (!report.ok()) {
      Wrong(std::string(report.status().message()));
      return false;
    }
    for (const StoreReport::Row& row : report->bad) {
      Wrong(absl::StrCat(
          "row ", row.key, " of table ", row.table, row.at == 0 ? " cannot be read: " : " was set aside ",
          row.at == 0
              ? ""
              : absl::FormatTime("%Y-%m-%d %H:%M UTC: ", absl::FromUnixMillis(row.at), absl::UTCTimeZone()),
          row.reason));
    }
    Say(report->bad.empty() ? "✓" : "✗",
        absl::StrCat("database: ", report->rows["jobs"], " jobs, ", report->rows["attempts"], " attempts, ",
                     report->rows["drones"], " drones; ", report->bad.size(), " rows cannot be read"));
    return true;
  }

  void CheckLogs() {
    std::size_t damaged = 0, open = 0, removed = 0;
    std::set<Epoch> known;
    for (const AttemptRow& attempt : attempts_) {
      known.insert(attempt.epoch);
      const journal::Location at = LogLocation(data_ + "/logs", attempt.epoch);
      // The end of an open log may be torn; the next start cuts it there and its drone sends the rest again.
      if (!attempt.log_closed) {
        ++open;
        continue;
      }
      if (attempt.log_removed != 0) {  // what may be left of its files goes at the next start
        ++removed;
        continue;
      }
      absl::StatusOr<journal::VerifyResult> result = journal::Verify(at, attempt.epoch);
      if (result.ok() && result->complete) continue;
      ++damaged;
      Wrong(absl::StrCat("log of job ", attempt.job.value(), " attempt ", attempt.number, ": ",
                         result.ok() ? result->problem : FirstLine(result.status())));
    }
    const std::size_t foreign = CountForeign(known);
    Say(damaged == 0 ? "✓" : "✗",
        absl::StrCat("logs: ", attempts_.size() - open - damaged - removed, " complete, ", open, " open, ",
                     damaged, " damaged",
                     removed == 0 ? "" : absl::StrCat(", ", removed, " removed (retention.logs)"),
                     foreign == 0 ? "" : absl::StrCat("; ", foreign, " files are of no attempt")));
  }

  std::size_t CountForeign(const std::set<Epoch>& known) const {
    std::size_t foreign = 0;
    std::error_code error;
    for (fs::recursive_directory_iterator at(data_ + "/logs", error), end; !error && at != end;
         at.increment(error)) {
      if (at->is_directory(error)) continue;
      const std::optional<Epoch> epoch = EpochOfLogFile(at->path().filename().string());
      if (!epoch || !known.contains(*epoch)) ++foreign;
    }
    return foreign;
  }

  const std::string data_;
  std::vector<AttemptRow> attempts_;
  bool wrong_ = false;
};

}  // namespace

config::Verb CheckVerb() {
  return {"check",
          "Look at disk, authority, database and every log; changes nothing",
          {"data"},
          [](CLI::App&) {},
          [](const config::Settings& settings) { return Checker(settings.Get("data")).Run(); }};
}

}  // namespace waggle::queen
