#include "drone/vcs/git.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "drone/vcs/source.h"

namespace waggle::vcs {
namespace {

const char* NextStep(int error_class) {
  switch (error_class) {
    case GIT_ERROR_NET:
    case GIT_ERROR_HTTP:
      return "; check the address and that this host can reach it";
    case GIT_ERROR_SSL:
      return "; check the server's certificate and this host's CA certificates";
    case GIT_ERROR_SSH:
      return "; check the key, and that the server's host key is in this user's known_hosts";
    case GIT_ERROR_OS:
      return "; check the path, its permissions and the free space";
    case GIT_ERROR_NOMEMORY:
      return "; free memory on this host";
    default:
      return "";
  }
}

}  // namespace

absl::Status StartGit() {
  if (git_libgit2_init() < 0) return GitError("cannot start libgit2");
  for (int level : {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
                    GIT_CONFIG_LEVEL_GLOBAL}) {
    if (git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "") < 0) return GitError("cannot set up libgit2");
  }
  if (git_libgit2_opts(GIT_OPT_SET_TEMPLATE_PATH, "") < 0) return GitError("cannot set up libgit2");
  return absl::OkStatus();
}

absl::Status GitError(const std::string& operation) {
  const git_error* error = git_error_last();
  std::string cause =
      error != nullptr && error->message != nullptr ? Printable(error->message) : "unknown cause";
  const char* next = error != nullptr ? NextStep(error->klass) : "";
  return absl::UnavailableError(absl::StrCat(operation, ": ", cause, next));
}

std::string Hex(const git_oid& id) {
  char text[GIT_OID_HEXSZ + 1];
  git_oid_tostr(text, sizeof text, &id);
  return text;
}

absl::StatusOr<Git<git_repository>> OpenRepository(const std::string& path) {
  git_repository* raw = nullptr;
  int error = git_repository_open_ext(&raw, path.c_str(), GIT_REPOSITORY_OPEN_NO_SEARCH, nullptr);
  if (error != 0) return GitError(absl::StrCat("cannot open the repository ", path));
  return Git<git_repository>(raw);
}

namespace {

absl::StatusOr<std::optional<git_oid>> Peel(git_object* object, const std::string& what) {
  git_object* peeled = nullptr;
  if (git_object_peel(&peeled, object, GIT_OBJECT_COMMIT) != 0) {
    return absl::NotFoundError(absl::StrCat(what, " is not a commit"));
  }
  Git<git_object> owned(peeled);
  return *git_object_id(peeled);
}

}  // namespace

absl::StatusOr<std::optional<git_oid>> FindCommit(git_repository* repository, const std::string& hex) {
  git_oid id;
  if (git_oid_fromstrn(&id, hex.data(), hex.size()) != 0)
    return GitError(absl::StrCat("cannot read commit id ", hex));
  git_object* raw = nullptr;
  int error = git_object_lookup_prefix(&raw, repository, &id, hex.size(), GIT_OBJECT_ANY);
  if (error == GIT_ENOTFOUND) return std::optional<git_oid>();
  if (error == GIT_EAMBIGUOUS) {
    return absl::InvalidArgumentError(
        absl::StrCat("commit id ", hex, " is ambiguous; give more of its digits"));
  }
  if (error != 0) return GitError(absl::StrCat("cannot look up commit ", hex));
  Git<git_object> object(raw);
  return Peel(object.get(), hex);
}

absl::StatusOr<std::optional<git_oid>> CommitAtReference(git_repository* repository,
                                                         const std::string& name) {
  git_reference* raw = nullptr;
  int error = git_reference_lookup(&raw, repository, name.c_str());
  if (error == GIT_ENOTFOUND) return std::optional<git_oid>();
  if (error != 0) return GitError(absl::StrCat("cannot read ", Printable(name)));
  Git<git_reference> reference(raw);
  git_object* object = nullptr;
  error = git_reference_peel(&object, reference.get(), GIT_OBJECT_COMMIT);
  if (error == GIT_ENOTFOUND) return std::optional<git_oid>();  // HEAD of a repository without commits
  if (error != 0) return absl::NotFoundError(absl::StrCat(Printable(name), " does not name a commit"));
  Git<git_object> owned(object);
  return *git_object_id(object);
}

absl::StatusOr<std::optional<git_oid>> CommitAtBranch(git_repository* repository, const std::string& name) {
  if (name.rfind("refs/", 0) == 0) return CommitAtReference(repository, name);
  ASSIGN_OR_RETURN(std::optional<git_oid> head,
                   CommitAtReference(repository, absl::StrCat("refs/heads/", name)));
  if (head.has_value()) return head;
  return CommitAtReference(repository, absl::StrCat("refs/tags/", name));
}

}  // namespace waggle::vcs
