#include "queen/app/backup.h"

#include <sys/stat.h>

#include <CLI/CLI.hpp>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/vocabulary.h"
#include "queen/app/data_lock.h"
#include "queen/store/sqlite/backup.h"

namespace waggle::queen {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDatabase = "queen.db";
constexpr const char* kAuthority = "tls";
constexpr std::size_t kFileBytes = 64 * limits::kKiB;  // of a key or a certificate

absl::Status MakeDirectory(const fs::path& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("make directory ", path.string()));
}

// Keys and certificates, each durable before this returns.
absl::Status CopyAuthority(const fs::path& from, const fs::path& to) {
  RETURN_IF_ERROR(MakeDirectory(to));
  std::error_code error;
  for (fs::directory_iterator at(from, error), end; !error && at != end; at.increment(error)) {
    ASSIGN_OR_RETURN(const std::string bytes, ReadFile(at->path().string(), kFileBytes));
    RETURN_IF_ERROR(WriteFileDurably((to / at->path().filename()).string(), bytes, 0600));
  }
  if (error) return absl::InternalError(absl::StrCat("read ", from.string(), ": ", error.message()));
  return SyncDirectory(to.string());
}

absl::Status BackUp(const fs::path& data, const fs::path& to) {
  if (fs::exists(to)) {
    return absl::AlreadyExistsError(absl::StrCat(
        to.string(), " is there already\nnext: name a directory that is not, one for each backup"));
  }
  RETURN_IF_ERROR(MakeDirectory(to));
  absl::Status status = BackUpSqliteStore((data / kDatabase).string(), (to / kDatabase).string());
  if (status.ok() && fs::is_directory(data / kAuthority))
    status = CopyAuthority(data / kAuthority, to / kAuthority);
  std::error_code ignored;
  if (!status.ok()) fs::remove_all(to, ignored);
  return status;
}

absl::StatusOr<RestoredStore> Restore(const fs::path& from, const fs::path& data) {
  if (!fs::exists(from / kDatabase)) {
    return absl::NotFoundError(absl::StrCat("there is no ", kDatabase, " in ", from.string(),
                                            "\nnext: name a directory that `queen backup` made"));
  }
  RETURN_IF_ERROR(MakeDirectoriesDurably(data.string()));  // of a new host
  ASSIGN_OR_RETURN(const UniqueFd lock, LockDirectory(data.string()));
  ASSIGN_OR_RETURN(RestoredStore restored,
                   RestoreSqliteStore((from / kDatabase).string(), (data / kDatabase).string()));
  // An authority that is there is the one that drones know.
  if (fs::is_directory(from / kAuthority) && !fs::exists(data / kAuthority))
    RETURN_IF_ERROR(CopyAuthority(from / kAuthority, data / kAuthority));
  return restored;
}

int RunBackUp(const config::Settings& settings, const std::string& to) {
  absl::Status status = BackUp(settings.Get("data"), fs::absolute(to).lexically_normal());
  if (!status.ok()) return config::Fail(exit_code::kRuntimeFailure, status);
  std::printf(
      "%s holds what the queen knows, and her keys: keep it as safe as %s. Logs are not in it: copy "
      "%s/logs, too\n",
      to.c_str(), settings.Get("data").c_str(), settings.Get("data").c_str());
  return exit_code::kOk;
}

int RunRestore(const config::Settings& settings, const std::string& from) {
  const std::string data = settings.Get("data");
  absl::StatusOr<RestoredStore> restored = Restore(from, data);
  if (!restored.ok()) return config::Fail(exit_code::kRuntimeFailure, restored.status());
  const std::string newest =
      restored->newest == 0
          ? ""
          : absl::StrCat(", the newest of ",
                         absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixMillis(restored->newest),
                                          absl::UTCTimeZone()));
  std::printf("restored %llu jobs%s\n", static_cast<unsigned long long>(restored->jobs), newest.c_str());
  if (restored->replaced) {
    std::printf("the database that was there is now %s/%s.replaced%s\n", data.c_str(), kDatabase,
                restored->readable ? "" : "; it could not be read, so numbers of jobs may be given again");
  }
  std::printf(
      "Once started, the queen gives no work for one lease and learns from her drones what they hold. "
      "Attempts "
      "that she does not remember are kept: `waggle drones` lists them, `waggle forget` ends them. Deploys "
      "that "
      "the backup holds unfinished end as unknown, tests run again. Who was revoked, drained or enrolled "
      "since "
      "the backup is not: do it again.\n");
  return exit_code::kOk;
}

}  // namespace

std::vector<config::Verb> BackupVerbs() {
  auto to = std::make_shared<std::string>(), from = std::make_shared<std::string>();
  return {{"backup",
           "Copy what the queen knows into a new directory, while she runs too",
           {"data"},
           [to](CLI::App& app) { app.add_option("DIR", *to, "Made by this")->required(); },
           [to](const config::Settings& settings) { return RunBackUp(settings, *to); }},
          {"restore",
           "Go back to a backup, while no queen runs",
           {"data"},
           [from](CLI::App& app) { app.add_option("DIR", *from, "As `queen backup` made it")->required(); },
           [from](const config::Settings& settings) { return RunRestore(settings, *from); }}};
}

}  // namespace waggle::queen
