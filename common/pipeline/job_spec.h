#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/base/vocabulary.h"

// The job document as the house knows it: the same content as waggle.v1.JobDocument
// (proto/waggle/v1/job.proto), where each field is described. common/wire converts; nothing else sees both.
namespace waggle::pipeline {

struct HttpsAuth {
  std::string username, password;
};
struct SshAuth {
  std::string private_key;  // PEM or OpenSSH text
};

struct Repo {
  std::string url;  // https, ssh, git or an absolute local path; empty = the job has no repository
  std::variant<std::monostate, HttpsAuth, SshAuth> auth;
  std::string provider;     // "github", "gitlab", …; informational
  std::string vcs = "git";  // "git" or "hg"
  bool IsLocal() const { return !url.empty() && url.front() == '/'; }
};

struct Ref {
  std::string branch;  // with id: the branch or tag the commit was found on
  std::string id;      // commit, 40 hex digits; may be empty when only a branch is known
  std::string fetch;   // alternative to branch/id: a refspec such as "+refs/pull/141/merge"
};

struct Author {
  std::string id, url, name, email, image, username;
};

struct Trigger {
  std::string type = "manual";
  Author author;
  std::string message;
  WallMillis timestamp = 0;  // required
  std::string url;
  std::string source_kind;  // "UI", "API" or "plugin"
  std::string source_name;  // page, app or plugin
};

struct Plugin {
  std::string name;
  std::string config_json = "{}";  // one JSON object
  std::string version;             // its first parts, such as "2"; "" = any

  bool enabled() const;  // unless its configuration says `"enabled": false`
};

struct Command {
  std::string name;               // step name; may be empty
  std::string command;            // a script, or the program when args are given
  std::vector<std::string> args;  // not empty: run `command` with these, without a shell
  std::string screen;             // if set, shown and stored instead of the command
  bool silent = false;            // output is withheld, one marker line is shown
  std::map<std::string, std::string> env;
  std::string cwd;  // relative to the phase's directory; never leaves it
  bool allow_failure = false;
  std::chrono::milliseconds wall{0}, silence{0};  // zero = only what Limits says
  std::string shell;                              // "bash", "sh"; "" = whichever is there
  std::vector<std::string> secrets;               // names, for this step alone
};

struct Limits {  // zero = the default of limits.h
  std::chrono::milliseconds wall{0}, silence{0}, cleanup{0};
  std::uint64_t log_bytes = 0;
  bool truncates = false;  // when the drone's spool budget is used up: drop output instead of waiting
};

struct JobSpec {
  std::string name;     // display name; default "job"
  std::string user_id;  // who asked
  Repo repo;
  Ref ref;
  JobType type = JobType::kTest;
  Trigger trigger;
  std::vector<Plugin> plugins;
  std::array<std::vector<Command>, kPhaseCount> phases;  // index: Phase
  std::map<std::string, std::string> env;                // plain variables for every command
  std::map<std::string, std::string> needs;              // labels a drone must have
  std::int32_t priority = 0;                             // higher first; negatives allowed
  Limits limits;
  Isolation isolation = Isolation::kAuto;
  bool network = true;
  std::vector<std::string> secrets;  // names, for every step
  bool submodules = false;
  std::map<std::string, std::string> matrix;  // the cell: every step has it as MATRIX_NAME
};

// Bounds and consistency of a document, whoever made it. The message names the field, the value and the
// limit. InvalidArgument: no command at all, a needed field missing, a bound crossed, an unknown vcs, a cwd
// that leaves, …
absl::Status Check(const JobSpec& spec);

// Letters, digits and _, no digit first, within kNameBytes.
bool IsVariableName(std::string_view name);
// One to three whole numbers with dots between them.
bool IsPluginVersion(std::string_view text);

}  // namespace waggle::pipeline
