#include "drone/vcs/checkout.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "drone/vcs/tree.h"

namespace waggle::vcs {
namespace {

namespace fs = std::filesystem;

absl::Status CheckTarget(const std::string& target) {
  std::error_code error;
  fs::file_status status = fs::symlink_status(target, error);
  if (!fs::exists(status)) return absl::OkStatus();
  if (fs::is_directory(status) && fs::is_empty(target, error) && !error) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the target ", target, " exists and is not an empty directory; remove it or name another"));
}

absl::Status WriteNewFile(const std::string& path, std::string_view content) {
  ASSIGN_OR_RETURN(UniqueFd fd, Open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  return WriteAll(fd.get(), content);
}

// The mirror's tags as they are and its branches as origin's, in the format of git's packed-refs.
absl::StatusOr<std::string> PackedReferences(git_repository* mirror) {
  std::string text;
  git_reference_iterator* raw = nullptr;
  if (git_reference_iterator_new(&raw, mirror) != 0) return GitError("cannot list the mirror's references");
  Git<git_reference_iterator> iterator(raw);
  git_reference* next = nullptr;
  while (git_reference_next(&next, raw) == 0) {  // one that a parallel fetch deletes meanwhile is left out
    Git<git_reference> reference(next);
    std::string_view name = git_reference_name(next);
    if (git_reference_type(next) != GIT_REFERENCE_DIRECT) continue;
    std::string id = Hex(*git_reference_target(next));
    constexpr std::string_view kHeads = "refs/heads/";
    if (name.starts_with("refs/tags/")) absl::StrAppend(&text, id, " ", std::string(name), "\n");
    if (name.starts_with(kHeads)) {
      absl::StrAppend(&text, id, " refs/remotes/origin/", std::string(name.substr(kHeads.size())), "\n");
    }
  }
  return text;
}

// What is in the mirror's store, which only ever grows. A pack's index comes last, as git itself takes it.
absl::Status TakeObjects(const std::string& from, const std::string& to) {
  std::vector<fs::path> files, indexes;
  std::error_code error;
  for (fs::recursive_directory_iterator at(from, error), end; !error && at != end; at.increment(error)) {
    if (!at->is_regular_file(error)) continue;
    const fs::path relative = at->path().lexically_relative(from);
    if (*relative.begin() == "info" || relative.filename().string().starts_with("tmp_")) continue;
    (relative.extension() == ".idx" ? indexes : files).push_back(relative);
  }
  files.insert(files.end(), indexes.begin(), indexes.end());
  for (const fs::path& file : files) {
    const fs::path source = fs::path(from) / file, target = fs::path(to) / file;
    fs::create_directories(target.parent_path(), error);
    if (::geteuid() == 0 && ::link(source.c_str(), target.c_str()) == 0) continue;
    fs::copy_file(source, target, error);
    if (error)
      return absl::UnavailableError(absl::StrCat("cannot copy ", source.string(), ": ", error.message()));
  }
  return absl::OkStatus();
}

// An empty repository whose objects are the mirror's.
absl::StatusOr<Git<git_repository>> PrepareRepository(const Mirror& mirror, const Source& source,
                                                      const git_oid& commit, const std::string& directory,
                                                      bool own_objects) {
  git_repository* raw = nullptr;
  git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;
  options.flags = GIT_REPOSITORY_INIT_NO_REINIT | GIT_REPOSITORY_INIT_MKDIR;
  if (git_repository_init_ext(&raw, directory.c_str(), &options) != 0)
    return GitError("cannot create " + directory);
  {
    Git<git_repository> fresh(raw);
    git_remote* remote = nullptr;
    if (git_remote_create(&remote, raw, "origin", source.address.c_str()) != 0) {
      return GitError("cannot set up " + directory);
    }
    git_remote_free(remote);
  }
  std::string git = directory + "/.git/";
  const std::string objects = absl::StrCat(mirror.path(), "/objects");
  RETURN_IF_ERROR(own_objects ? TakeObjects(objects, git + "objects")
                              : WriteNewFile(git + "objects/info/alternates", objects + "\n"));
  ASSIGN_OR_RETURN(bool shallow, mirror.IsShallow(commit));
  if (shallow) {
    RETURN_IF_ERROR(WriteNewFile(git + "shallow", Hex(commit) + "\n"));
  } else {
    ASSIGN_OR_RETURN(std::string packed, PackedReferences(mirror.repository()));
    RETURN_IF_ERROR(WriteNewFile(git + "packed-refs", packed));
  }
  return OpenRepository(directory);
}

absl::Status Fill(const Mirror& mirror, const Source& source, const git_oid& commit,
                  const std::string& directory, bool own_objects) {
  ASSIGN_OR_RETURN(Git<git_repository> repository,
                   PrepareRepository(mirror, source, commit, directory, own_objects));
  ASSIGN_OR_RETURN(Git<git_tree> tree, TreeOf(repository.get(), commit));
  RETURN_IF_ERROR(CheckTreeSize(repository.get(), tree.get()));
  if (git_tree_entry_byname(tree.get(), ".gitmodules") != nullptr) {
    std::fprintf(stderr, "warning: the repository has submodules; they are not checked out\n");
  }
  git_checkout_options options = GIT_CHECKOUT_OPTIONS_INIT;
  options.checkout_strategy = GIT_CHECKOUT_FORCE;
  if (git_checkout_tree(repository.get(), reinterpret_cast<git_object*>(tree.get()), &options) != 0) {
    return GitError("cannot check out " + Hex(commit));
  }
  if (git_repository_set_head_detached(repository.get(), &commit) != 0) {
    return GitError("cannot check out " + Hex(commit));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckOut(const Mirror& mirror, const Source& source, const git_oid& commit,
                      const std::string& target, bool own_objects) {
  RETURN_IF_ERROR(CheckTarget(target));
  git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 0);  // a power loss ends the attempt anyway
  std::error_code error;
  fs::path parent = fs::path(target).parent_path();
  RETURN_IF_ERROR(MakeDirectories(parent.string()));
  std::string partial = target + ".partial";
  fs::remove_all(partial, error);  // of a checkout that was killed
  absl::Status filled = Fill(mirror, source, commit, partial, own_objects);
  if (!filled.ok()) {
    fs::remove_all(partial, error);
    return filled;
  }
  fs::rename(partial, target, error);
  if (error)
    return absl::UnavailableError(
        absl::StrCat("cannot rename ", partial, " to ", target, ": ", error.message()));
  return absl::OkStatus();
}

}  // namespace waggle::vcs
