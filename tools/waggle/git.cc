#include "tools/waggle/git.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"

namespace waggle::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kGitOutput =
    4 * limits::kMiB;  // `git status` of a very dirty tree; more is not counted
constexpr std::size_t kShortestId = 7;
constexpr std::size_t kFullId = 40;

struct Outcome {
  int code = -1;  // 127 when there is no git
  std::string out;
};

// Runs `git -C top args…` to its end with its standard output taken and its standard error dropped.
Outcome Git(const std::string& top, std::vector<std::string> args) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  UniqueFd reading(ends[0]), writing(ends[1]);
  args.insert(args.begin(), {"git", "-C", top});
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, writing.get(), 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  int error = posix_spawnp(&pid, "git", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return {127, ""};
  writing.Reset();

  Outcome outcome;
  char buffer[16 * 1024];
  while (true) {
    ssize_t n = read(reading.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    if (outcome.out.size() < kGitOutput) outcome.out.append(buffer, static_cast<std::size_t>(n));
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

// The one line git answered, "" when it failed.
std::string Line(const std::string& top, std::vector<std::string> args) {
  Outcome outcome = Git(top, std::move(args));
  if (outcome.code != 0) return "";
  return outcome.out.substr(0, outcome.out.find('\n'));
}

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
}

bool IsRefspec(std::string_view ref) {
  return ref.starts_with("refs/") || ref.starts_with("+refs/");
}

bool IsBare(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path / "HEAD", ignored) && fs::is_directory(path / "objects", ignored);
}

absl::StatusOr<std::string> LocalRepository(const std::string& repo) {
  std::error_code ignored;
  if (repo.empty()) {
    std::string here = fs::current_path(ignored).string();
    std::string top = FindTop(here);
    if (!top.empty()) return top;
    if (IsBare(here)) return here;
    return absl::NotFoundError(absl::StrCat(here, " is not inside a git repository",
                                            "\nnext: go to your project, or name it with --repo PATH|URL"));
  }
  fs::path path = fs::canonical(repo, ignored);
  if (ignored)
    return absl::NotFoundError(absl::StrCat("no repository at ", repo, ": ", ignored.message(),
                                            "\nnext: name the project's directory, or its URL, with --repo"));
  if (fs::exists(path / ".git", ignored) || IsBare(path)) return path.string();
  return absl::NotFoundError(absl::StrCat(path.string(), " is not a git repository: it has no .git\n",
                                          "next: name the top directory of your project with --repo"));
}

// Without git, or for an address: the words as they are; the queen resolves them.
void TakeUnresolved(const std::string& ref, Source* source) {
  if (IsRefspec(ref)) {
    source->fetch = ref;
  } else if (ref.size() == kFullId && IsHex(ref)) {
    source->id = ref;
  } else {
    source->branch = ref;
  }
}

// refs/heads/x and refs/tags/x as x; "" for anything else, such as a detached HEAD or a bare commit.
std::string BranchName(std::string_view full) {
  for (std::string_view prefix : {"refs/heads/", "refs/tags/"}) {
    if (full.starts_with(prefix)) return std::string(full.substr(prefix.size()));
  }
  return "";
}

absl::Status ResolveLocally(const std::string& ref, Source* source) {
  const std::string& top = source->url;
  std::string head = Line(top, {"rev-parse", "--verify", "--quiet", "HEAD^{commit}"});
  std::string name = ref.empty() ? "HEAD" : ref;
  source->id = ref.empty()
                   ? head
                   : Line(top, {"rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}"});
  if (source->id.size() != kFullId || !IsHex(source->id)) {
    if (ref.empty())
      return absl::NotFoundError(absl::StrCat(top, " has no commit yet\nnext: commit something"));
    bool partial = ref.size() < kShortestId && IsHex(ref);
    return absl::NotFoundError(absl::StrCat("no branch, tag or commit `", ref, "` in ", top,
                                            partial ? "\na commit needs at least 7 digits" : "",
                                            "\nnext: git -C ", top, " branch --all"));
  }
  source->branch = BranchName(Line(top, {"rev-parse", "--symbolic-full-name", "--end-of-options", name}));
  if (source->branch.empty()) {  // --end-of-options is echoed by some versions of git
    source->branch = BranchName(Line(top, {"rev-parse", "--symbolic-full-name", name}));
  }
  if (source->id == head) {
    std::string status = Git(top, {"status", "--porcelain"}).out;
    source->changed_files = static_cast<std::uint64_t>(std::count(status.begin(), status.end(), '\n'));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsRemote(const std::string& repo) {
  if (repo.find("://") != std::string::npos) return true;
  std::error_code ignored;
  std::size_t colon = repo.find(':');
  return colon != std::string::npos && colon > 0 && repo.find('/') > colon && !fs::exists(repo, ignored);
}

std::string FindTop(const std::string& start) {
  std::error_code ignored;
  for (fs::path at = start;; at = at.parent_path()) {
    if (fs::exists(at / ".git", ignored)) return at.string();
    if (at == at.parent_path()) return "";
  }
}

// "" when it could not be shown: a message is never a reason to refuse a commit.
std::string MessageOf(const std::string& repo, const std::string& id) {
  std::string message = Git(repo, {"log", "-1", "--format=%B", id.empty() ? "HEAD" : id}).out;
  if (message.size() > limits::kReasonBytes)
    message.resize(message.find_last_of('\n', limits::kReasonBytes) + 1);
  while (!message.empty() && message.back() == '\n') message.pop_back();
  return message.size() > limits::kReasonBytes || FindBadByte(message, false) ? "" : message;
}

absl::StatusOr<Source> ResolveSource(const std::string& repo, const std::string& ref) {
  if (ref.starts_with('-')) return absl::InvalidArgumentError(absl::StrCat("`", ref, "` cannot be a ref"));
  Source source;
  if (!repo.empty() && IsRemote(repo)) {
    source.url = repo;
    TakeUnresolved(ref, &source);
    return source;
  }
  ASSIGN_OR_RETURN(source.url, LocalRepository(repo));
  bool has_git = Git(source.url, {"--version"}).code == 0;
  if (!has_git || ref.starts_with("+refs/")) {
    TakeUnresolved(ref, &source);
  } else {
    RETURN_IF_ERROR(ResolveLocally(ref, &source));
  }
  if (has_git) {
    source.author_name = Line(source.url, {"config", "user.name"});
    source.author_email = Line(source.url, {"config", "user.email"});
    if (source.fetch.empty()) source.message = MessageOf(source.url, source.id);
  }
  return source;
}

}  // namespace waggle::cli
