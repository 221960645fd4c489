#include "drone/vcs/mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "drone/vcs/deadline.h"

namespace waggle::vcs {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kShallowBytes = 16 * 1024 * 1024;  // 400,000 shallow commits

}  // namespace

absl::StatusOr<Mirror> Mirror::Open(const std::string& directory, const Source& source,
                                    const Credentials* credentials) {
  RETURN_IF_ERROR(MakeDirectories(directory));
  std::error_code error;
  fs::path whole = fs::canonical(directory, error);
  if (error)
    return absl::UnavailableError(
        absl::StrCat("cannot use the mirror directory ", directory, ": ", error.message()));
  Mirror mirror(source, credentials, absl::StrCat(whole.string(), "/", source.MirrorName(), ".git"));
  if (fs::exists(mirror.path_, error)) {
    // A damaged one is made anew under the lock, if anything has to be fetched.
    absl::StatusOr<Git<git_repository>> opened = OpenRepository(mirror.path_);
    if (opened.ok()) mirror.repository_ = std::move(*opened);
  }
  return mirror;
}

absl::StatusOr<UniqueFd> Mirror::Lock() const {
  std::string name = path_.substr(0, path_.size() - 4) + ".lock";
  ASSIGN_OR_RETURN(UniqueFd lock, waggle::Open(name, O_RDWR | O_CREAT));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  std::fprintf(stderr, "waiting for another fetch of %s\n", source_->address.c_str());
  NowDoing(absl::StrCat("waiting for another fetch of ", source_->address));
  while (::flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return ErrnoStatus("lock", name);
  }
  return lock;
}

// REQUIRES: the lock. A writer that was killed leaves lock files and half packs; nobody else owns any now.
void Mirror::RemoveLeftovers() const {
  std::error_code error;
  auto doomed = [](const fs::path& path) {
    std::string name = path.filename().string();
    return path.extension() == ".lock" || name.rfind("pack_", 0) == 0 || name.rfind("tmp_", 0) == 0;
  };
  for (const char* part : {"", "objects/pack"}) {
    for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(path_) / part, error)) {
      if (entry.is_regular_file(error) && doomed(entry.path())) fs::remove(entry.path(), error);
    }
  }
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(fs::path(path_) / "refs", error)) {
    if (entry.is_regular_file(error) && entry.path().extension() == ".lock") fs::remove(entry.path(), error);
  }
}

// REQUIRES: the lock.
absl::Status Mirror::OpenOrCreate() {
  std::error_code error;
  if (fs::exists(path_, error)) {
    RemoveLeftovers();
    absl::StatusOr<Git<git_repository>> opened = OpenRepository(path_);
    if (opened.ok()) {
      repository_ = std::move(*opened);
      return absl::OkStatus();
    }
    std::fprintf(stderr, "the mirror of %s is damaged and made anew\n", source_->address.c_str());
    fs::remove_all(path_, error);
  }
  std::string fresh = path_ + ".new";
  fs::remove_all(fresh, error);
  git_repository* raw = nullptr;
  git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;
  options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_NO_REINIT | GIT_REPOSITORY_INIT_MKDIR;
  options.mode = 0700;
  if (git_repository_init_ext(&raw, fresh.c_str(), &options) != 0)
    return GitError("cannot create the mirror " + fresh);
  git_repository_free(raw);
  fs::rename(fresh, path_, error);
  if (error)
    return absl::UnavailableError(absl::StrCat("cannot create the mirror ", path_, ": ", error.message()));
  ASSIGN_OR_RETURN(repository_, OpenRepository(path_));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<git_oid>> Mirror::FindById(const std::string& id) const {
  if (repository_ == nullptr || id.empty()) return std::optional<git_oid>();
  return FindCommit(repository_.get(), id);
}

absl::StatusOr<Found> Mirror::Locate(const Wanted& wanted) {
  ASSIGN_OR_RETURN(std::optional<git_oid> here, FindById(wanted.id));
  if (here.has_value()) return Found{*here, wanted.branch};
  ASSIGN_OR_RETURN(UniqueFd lock, Lock());
  RETURN_IF_ERROR(OpenOrCreate());
  ASSIGN_OR_RETURN(here, FindById(wanted.id));  // brought by the writer we waited for
  if (here.has_value()) return Found{*here, wanted.branch};
  return FetchAndFind(wanted);
}

// REQUIRES: the lock.
absl::StatusOr<Found> Mirror::FetchAndFind(const Wanted& wanted) {
  std::fprintf(stderr, "fetching %s\n", source_->address.c_str());
  NowDoing(absl::StrCat("fetch of ", source_->address));
  // Acknowledged history survives a power loss: later fetches build on it.
  git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
  RemoteHead head;
  std::optional<git_oid> only;
  if (source_->kind == Source::Kind::kPath) {
    ASSIGN_OR_RETURN(head, FetchLocal(repository_.get(), *source_, wanted, &only));
  } else {
    ASSIGN_OR_RETURN(head, FetchNetwork(repository_.get(), *source_, credentials_, wanted));
  }
  if (only.has_value())
    return Found{*only, wanted.branch.empty() && wanted.id.empty() ? head.branch : wanted.branch};
  return wanted.id.empty() ? FindByName(wanted, head) : FindCommitOrAsk(wanted);
}

// REQUIRES: the lock; branches and tags were just fetched.
absl::StatusOr<Found> Mirror::FindCommitOrAsk(const Wanted& wanted) {
  ASSIGN_OR_RETURN(std::optional<git_oid> found, FindById(wanted.id));
  if (!found.has_value() && source_->kind != Source::Kind::kPath && wanted.id.size() == GIT_OID_HEXSZ) {
    absl::Status asked = FetchBareCommit(repository_.get(), *source_, credentials_, wanted.id);
    ASSIGN_OR_RETURN(found, FindById(wanted.id));
    (void)asked;  // a refusal is the usual answer for a commit that is gone
  }
  if (found.has_value()) return Found{*found, wanted.branch};
  std::string cause = wanted.branch.empty() ? "it was never pushed, or the id is wrong"
                                            : absl::StrCat("branch ", Printable(wanted.branch),
                                                           " was force-pushed, or the id is wrong");
  return absl::NotFoundError(absl::StrCat("commit ", wanted.id, " is not in ", source_->address, " (", cause,
                                          "); push it or submit another commit"));
}

absl::StatusOr<Found> Mirror::FindByName(const Wanted& wanted, const RemoteHead& head) const {
  std::optional<git_oid> found;
  if (!wanted.fetch.empty()) {
    ASSIGN_OR_RETURN(found, CommitAtReference(repository_.get(), absl::StrCat(kFetchedRefs, wanted.fetch)));
    if (!found.has_value()) return Missing(absl::StrCat("reference ", Printable(wanted.fetch)));
    return Found{*found, wanted.branch};
  }
  if (!wanted.branch.empty()) {
    ASSIGN_OR_RETURN(found, CommitAtBranch(repository_.get(), wanted.branch));
    if (!found.has_value()) return Missing(absl::StrCat("branch or tag ", Printable(wanted.branch)));
    return Found{*found, wanted.branch};
  }
  if (head.tip.has_value()) return Found{*head.tip, head.branch};
  return absl::NotFoundError(
      absl::StrCat("HEAD of ", source_->address, " has no commit yet; push one, or name the branch to use"));
}

absl::Status Mirror::Missing(const std::string& what) const {
  return absl::NotFoundError(absl::StrCat(what, " is not in ", source_->address,
                                          "; it was deleted or never pushed: check the name"));
}

absl::StatusOr<bool> Mirror::IsShallow(const git_oid& commit) const {
  std::string name = absl::StrCat(path_, "/", kShallowFile);
  std::error_code error;
  if (!fs::exists(name, error)) return false;
  ASSIGN_OR_RETURN(std::string noted, ReadFile(name, kShallowBytes));
  return noted.find(Hex(commit)) != std::string::npos;
}

}  // namespace waggle::vcs
