#include "drone/attempt/start_frame.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cctype>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/process/tree.h"
#include "common/wire/job_document.h"

namespace waggle::attempt {
namespace {

using Env = std::map<std::string, std::string>;

void SetIfAny(Env* env, const char* name, const std::string& value) {
  if (!value.empty()) (*env)[name] = value;
}

// "team/shop" of https://host/team/shop.git, git@host:team/shop or /srv/git/shop (there only the name
// counts).
std::string RepoPath(const pipeline::Repo& repo) {
  std::string path = wire::PublicUrl(repo.url);
  if (repo.IsLocal()) {
    path = path.substr(0, path.find_last_not_of('/') + 1);
    path = path.substr(path.rfind('/') + 1);
  } else if (std::size_t scheme = path.find("://"); scheme != std::string::npos) {
    std::size_t slash = path.find('/', scheme + 3);
    path = slash == std::string::npos ? "" : path.substr(slash + 1);
  } else {
    path = path.substr(path.find(':') + 1);
  }
  while (!path.empty() && path.back() == '/') path.pop_back();
  if (absl::EndsWith(path, ".git")) path.resize(path.size() - 4);
  return path;
}

void AddSource(const pipeline::JobSpec& spec, Env* env) {
  if (!spec.repo.url.empty()) {
    const std::string path = RepoPath(spec.repo);
    const std::size_t slash = path.rfind('/');
    const std::string url = wire::PublicUrl(spec.repo.url);
    SetIfAny(env, "CI_REPO", path);
    SetIfAny(env, "CI_REPO_NAME", slash == std::string::npos ? path : path.substr(slash + 1));
    SetIfAny(env, "CI_REPO_OWNER", slash == std::string::npos ? "" : path.substr(0, slash));
    SetIfAny(env, "CI_REPO_URL", url);
    SetIfAny(env, "CI_REPO_CLONE_URL", url);
  }
  SetIfAny(env, "CI_COMMIT_SHA", spec.ref.id);
  SetIfAny(env, "CI_COMMIT_BRANCH", spec.ref.branch);
  SetIfAny(env, "CI_COMMIT_REF", spec.ref.fetch);
  SetIfAny(env, "CI_COMMIT_MESSAGE", spec.trigger.message);
  SetIfAny(env, "CI_COMMIT_AUTHOR",
           spec.trigger.author.name.empty() ? spec.trigger.author.username : spec.trigger.author.name);
  SetIfAny(env, "CI_COMMIT_AUTHOR_EMAIL", spec.trigger.author.email);
  SetIfAny(env, "CI_PIPELINE_EVENT", spec.trigger.type);
}

Env MakeEnvironment(const pipeline::JobSpec& spec, const Facts& facts, const Host& host,
                    const std::string& attempt_directory, const std::string& job_directory) {
  Env env = {
      {"CI", "true"},
      {"WAGGLE", "true"},
      {"WAGGLE_JOB", absl::StrCat(facts.job.value())},
      {"WAGGLE_ATTEMPT", absl::StrCat(facts.attempt)},
      {"WAGGLE_DRONE", host.drone},
      {"CI_WORKFLOW_NAME", spec.name},
      {"CI_WORKSPACE", job_directory},
      {"HOME", attempt_directory + "/home"},
      {"TMPDIR", attempt_directory + "/tmp"},
      {"LANG", "C.UTF-8"},
      {"TZ", "UTC"},
      {"TERM", "dumb"},
      {"PATH", kJobPath},
  };
  AddSource(spec, &env);
  for (const auto& [axis, value] : spec.matrix) env["MATRIX_" + absl::AsciiStrToUpper(axis)] = value;
  for (const auto& [name, value] : host.env) env[name] = value;
  for (const auto& [name, value] : spec.env) env[name] = value;
  env[std::string(process::kAttemptVariable)] = AttemptKey(host.identity, facts.epoch);
  return env;
}

// user and password of https://user:password@host/…; the helper gets them on its standard input only.
pipeline::HttpsAuth UrlAuth(const std::string& url) {
  const std::size_t begin = url.find("://") + 3;
  const std::string user = url.substr(begin, url.find('@', begin) - begin);
  const std::size_t colon = user.find(':');
  if (colon == std::string::npos) return {user, ""};
  return {user.substr(0, colon), user.substr(colon + 1)};
}

std::string Credentials(const pipeline::Repo& repo) {
  if (const auto* ssh = std::get_if<pipeline::SshAuth>(&repo.auth)) {
    return absl::StrCat("sshkey ", ssh->private_key.size(), "\n", ssh->private_key);
  }
  pipeline::HttpsAuth https;
  if (const auto* given = std::get_if<pipeline::HttpsAuth>(&repo.auth)) {
    https = *given;
  } else if (repo.url.find("://") != std::string::npos && wire::PublicUrl(repo.url) != repo.url) {
    https = UrlAuth(repo.url);
  } else {
    return "";
  }
  return absl::StrCat("username ", https.username, "\npassword ", https.password, "\n");
}

shim::Checkout MakeCheckout(const pipeline::JobSpec& spec, const Host& host, const sandbox::Plan& plan,
                            const std::string& attempt_directory, const std::string& job_directory) {
  shim::Checkout checkout;
  if (spec.repo.url.empty()) return checkout;
  const std::string url = wire::PublicUrl(spec.repo.url);
  checkout.argv = {host.helper, "checkout", "--mirrors", host.mirrors, "--url", url};
  auto option = [&](const char* name, const std::string& value) {
    if (value.empty()) return;
    checkout.argv.push_back(name);
    checkout.argv.push_back(value);
  };
  option("--branch", spec.ref.branch);
  option("--id", spec.ref.id);
  option("--fetch", spec.ref.fetch);
  option("--target", plan.isolated() ? attempt_directory + std::string(shim::kCheckout) : job_directory);
  // The job does not see the mirrors.
  if (plan.isolated()) checkout.argv.push_back("--own");
  checkout.input = Credentials(spec.repo);
  if (!checkout.input.empty()) checkout.argv.push_back("--credentials");
  const std::string& at = !spec.ref.id.empty()      ? spec.ref.id
                          : !spec.ref.fetch.empty() ? spec.ref.fetch
                                                    : spec.ref.branch;
  checkout.comment = at.empty() ? absl::StrCat("fetch ", url) : absl::StrCat("fetch ", url, " at ", at);
  return checkout;
}

shim::Step MakeStep(const pipeline::Command& command) {
  shim::Step step;
  step.name = command.name;
  step.command = command.command;
  step.screen = command.screen;
  step.cwd = command.cwd;
  step.args = command.args;
  step.env = command.env;
  step.env.erase(std::string(process::kAttemptVariable));
  step.silent = command.silent;
  step.rules = {command.allow_failure, command.wall, command.silence, command.shell};
  return step;
}

template <typename Default>
std::chrono::nanoseconds Limit(std::chrono::milliseconds asked, Default fallback) {
  if (asked <= std::chrono::milliseconds(0)) return fallback;
  return std::min<std::chrono::nanoseconds>(asked, limits::kOperatorCeiling);
}

}  // namespace

std::string AttemptKey(const std::string& identity, Epoch epoch) {
  return absl::StrCat(identity, "-", epoch.value());
}

std::string OsName() {
  struct utsname name;
  if (::uname(&name) != 0) return "unknown";
  std::string os = name.sysname;
  std::transform(os.begin(), os.end(), os.begin(), [](unsigned char c) { return std::tolower(c); });
  return os;
}

std::string ArchName() {
  struct utsname name;
  if (::uname(&name) != 0) return "unknown";
  const std::string machine = name.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  return machine;
}

shim::Start MakeStart(const pipeline::JobSpec& spec, const Facts& facts, const Host& host,
                      const sandbox::Plan& plan, const std::string& attempt_directory) {
  shim::Start start;
  start.sandbox = plan;
  start.job = facts.job;
  start.epoch = facts.epoch;
  start.attempt = facts.attempt;
  start.type = spec.type;
  start.header =
      absl::StrCat("waggle: job ", facts.job.value(), " \"", spec.name, "\" attempt ", facts.attempt, " on ",
                   host.drone, " (drone ", host.version, ", ", OsName(), " ", ArchName(),
                   ") · isolation: ", std::string(Name(plan.mode)), plan.network ? "" : ", no network");
  start.base_directory = facts.work_directory;
  start.job_directory = facts.work_directory + "/src";
  start.env = MakeEnvironment(spec, facts, host, attempt_directory, start.job_directory);
  start.checkout = MakeCheckout(spec, host, plan, attempt_directory, start.job_directory);
  for (int phase = 0; phase < kPhaseCount; ++phase) {
    for (const pipeline::Command& command : spec.phases[phase])
      start.phases[phase].push_back(MakeStep(command));
  }
  start.wall = Limit(spec.limits.wall, limits::kWallLimit);
  start.silence = Limit(spec.limits.silence, limits::kSilenceLimit);
  start.cleanup = Limit(spec.limits.cleanup, limits::kCleanupLimit);
  start.interrupt = limits::kCancelInterrupt;
  start.terminate = limits::kCancelTerminate;
  start.log_bytes = spec.limits.log_bytes != 0 ? spec.limits.log_bytes : limits::kLogPerJob;
  start.truncates = spec.limits.truncates;
  return start;
}

}  // namespace waggle::attempt
