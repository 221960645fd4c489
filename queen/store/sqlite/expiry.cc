#include "queen/store/sqlite/expiry.h"

#include <algorithm>

#include "common/base/status_macros.h"

namespace waggle::queen::sqlite {
namespace {

// JobState::kPassed, the first one that has ended, is 5 (see load.cc). What an attempt that runs can have is
// excluded here, in the statement that marks, so that no clock and no caller can get it deleted.
constexpr const char* kMark =
    "UPDATE attempts SET log_removed=?1 WHERE epoch IN ("
    "SELECT epoch FROM attempts INDEXED BY attempts_with_log "
    "WHERE log_closed = 1 AND log_removed = 0 AND log_ended BETWEEN ?2 AND ?3 AND state >= 5 "
    "AND late_awaited = 0 ORDER BY log_ended LIMIT ?4)";
constexpr const char* kLeaving =
    "SELECT epoch FROM attempts INDEXED BY attempts_leaving WHERE log_removed > 0 AND log_files = 1 "
    "ORDER BY epoch LIMIT ?1";
constexpr const char* kGone = "UPDATE attempts SET log_files=0 WHERE epoch=? AND log_removed > 0";

constexpr const char* kMarking = "mark expired logs";

// The year 2000. A log that ended before that was sealed under a clock nobody had set, and its age is
// unknown.
constexpr WallMillis kPlausible = 946'684'800'000;

}  // namespace

absl::StatusOr<std::vector<Epoch>> ExpireLogs(Connection& connection, WallMillis before, WallMillis now,
                                              std::size_t most) {
  RETURN_IF_ERROR(connection.Begin(kMarking));
  {
    ASSIGN_OR_RETURN(Statement mark, connection.Prepare(kMark, kMarking));
    mark.BindInt(std::max<WallMillis>(now, 1));
    mark.BindInt(kPlausible);
    mark.BindInt(before - 1);
    mark.BindInt(static_cast<std::int64_t>(most));
    RETURN_IF_ERROR(mark.Run());
  }
  RETURN_IF_ERROR(connection.Commit(kMarking));
  std::vector<Epoch> leaving;
  ASSIGN_OR_RETURN(Statement statement, connection.Prepare(kLeaving, "list expired logs"));
  statement.BindInt(static_cast<std::int64_t>(most));
  while (true) {
    ASSIGN_OR_RETURN(bool more, statement.Step());
    if (!more) return leaving;
    leaving.emplace_back(static_cast<std::uint64_t>(statement.Int(0)));
  }
}

absl::Status LogsGone(Connection& connection, const std::vector<Epoch>& epochs) {
  constexpr const char* kOperation = "note deleted logs";
  RETURN_IF_ERROR(connection.Begin(kOperation));
  for (Epoch epoch : epochs) {
    ASSIGN_OR_RETURN(Statement statement, connection.Prepare(kGone, kOperation));
    statement.BindInt(static_cast<std::int64_t>(epoch.value()));
    RETURN_IF_ERROR(statement.Run());
  }
  return connection.Commit(kOperation);
}

std::vector<std::string> ExpiryStatements() {
  return {kMark, kLeaving, kGone};
}

}  // namespace waggle::queen::sqlite
