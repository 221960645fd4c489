#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/waggle/follow.h"

// One function per verb: does it, prints, returns the exit code. Arguments are as typed; each function reads
// them.
namespace waggle::config {
class Settings;
}
namespace waggle::cli {

class Session;

struct SubmitOptions {
  std::string ref;
  std::string repo;
  std::string job_file;  // a job document as JSON, "-" = standard input; "" = submit a run
  std::string message;
  std::string key;  // "" = one of its own
  bool watch = false;
  Prefix prefix = Prefix::kAuto;
};
int RunSubmit(Session& session, const SubmitOptions& options);

struct WatchOptions {
  std::string target;
  Prefix prefix = Prefix::kAuto;
};
int RunWatch(Session& session, const WatchOptions& options);

struct LogsOptions {
  std::string job;
  std::uint32_t attempt = 0;
  bool follow = false;
  bool raw = false;
  std::string stream;      // "", "stdout" or "stderr"
  std::string lines;       // "A-B"
  std::uint64_t last = 0;  // only so many lines from the end; 0 = all
  bool late = false;       // what a drone that was lost brought later
};
int RunLogs(Session& session, const LogsOptions& options);

struct JobsOptions {
  std::vector<std::string> states;
  std::uint32_t limit = 50;
  std::string run;
};
int RunJobs(Session& session, const JobsOptions& options);

struct RunsOptions {
  std::vector<std::string> states;
  std::string branch;
  std::uint32_t limit = 50;
};
int RunRuns(Session& session, const RunsOptions& options);

struct RetryOptions {
  std::string target;
  bool failed = false;  // of a run: only what did not pass
  bool watch = false;
};
int RunRetry(Session& session, const RetryOptions& options);

// A job or a run.
int RunShow(Session& session, const std::string& target);
int ShowRun(Session& session, std::uint64_t run);

struct CancelOptions {
  std::string target;
  std::string reason;
  bool now = false;
  bool no_wait = false;  // do not wait until it has ended
};
int RunCancel(Session& session, const CancelOptions& options);

int RunDrones(Session& session);

struct DrainOptions {
  std::vector<std::string> names;
  std::string reason;
  std::string deadline;  // "1h"; "" = none
  bool no_wait = false;
};
int RunDrain(Session& session, const DrainOptions& options);
struct ForgetOptions {
  std::string drone;
  std::vector<std::uint64_t> epochs;
};
int RunUndrain(Session& session, const std::vector<std::string>& names);
int RunForget(Session& session, const ForgetOptions& options);

struct LoginOptions {
  std::string url;           // https://HOST:PORT
  std::string token;         // "" = not given
  bool token_stdin = false;  // read it from standard input
};
int RunLogin(Session& session, const LoginOptions& options);
// `address`: as for --queen; "" = the only login, or the one of the queen that is set.
int RunLogout(Session& session, const std::string& address);

int RunConfigShow(Session& session, const config::Settings& settings, bool origin);
int RunConfigKeys(Session& session);

struct LintOptions {
  std::string file;                // "" = .waggle.yml of this directory or its repository
  std::string explain;             // a code
  bool schema = false;             // print the JSON Schema instead
  std::string event, branch, tag;  // what `trigger`, `when` and ${…} are to see
};
int RunLint(Session& session, const LintOptions& options);

struct InitOptions {
  bool force = false;  // over a file that is there
};
int RunInit(Session& session, const InitOptions& options);

int RunVerify(Session& session, const std::string& job);

}  // namespace waggle::cli
