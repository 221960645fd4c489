#include <fcntl.h>

#include <map>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "drone/vcs/fetch.h"

// A source on this host is read directly. libgit2's own local transport packs every reference of the source
// each time and fails on a shallow clone.
namespace waggle::vcs {
namespace {

using References = std::map<std::string, git_oid>;

absl::Status Failed(const Source& source) {
  return GitError(absl::StrCat("cannot fetch ", source.address));
}

absl::StatusOr<RemoteHead> ReadHead(git_repository* source) {
  RemoteHead head;
  ASSIGN_OR_RETURN(head.tip, CommitAtReference(source, "HEAD"));
  git_reference* raw = nullptr;
  if (head.tip.has_value() && git_repository_head(&raw, source) == 0) {
    Git<git_reference> reference(raw);
    if (git_reference_is_branch(raw)) head.branch = git_reference_shorthand(raw);
  }
  return head;
}

// Branches, tags and wanted.fetch of the source under the names they get in the mirror; what points nowhere
// is left out.
absl::StatusOr<References> ReadReferences(git_repository* repository, const std::string& fetch) {
  References found;
  git_reference_iterator* raw = nullptr;
  if (git_reference_iterator_new(&raw, repository) != 0) return GitError("cannot list references");
  Git<git_reference_iterator> iterator(raw);
  git_reference* next = nullptr;
  int error = 0;
  while ((error = git_reference_next(&next, raw)) == 0) {
    Git<git_reference> reference(next);
    std::string_view name = git_reference_name(next);
    bool mirrored = name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
    if (mirrored && git_reference_type(next) == GIT_REFERENCE_DIRECT) {
      found.emplace(name, *git_reference_target(next));
    }
  }
  if (error != GIT_ITEROVER) return GitError("cannot list references");
  if (fetch.empty()) return found;
  git_oid id;
  if (git_reference_name_to_id(&id, repository, fetch.c_str()) == 0)
    found.emplace(absl::StrCat(kFetchedRefs, fetch), id);
  return found;
}

// Everything reachable from `tips` that is not reachable from `known`, as one pack in the mirror.
absl::Status CopyObjects(git_repository* mirror, git_repository* from, const References& tips,
                         const std::optional<git_oid>& extra, const References& known, const Source& source) {
  git_revwalk* raw_walk = nullptr;
  git_packbuilder* raw_pack = nullptr;
  if (git_revwalk_new(&raw_walk, from) != 0) return Failed(source);
  Git<git_revwalk> walk(raw_walk);
  if (git_packbuilder_new(&raw_pack, from) != 0) return Failed(source);
  Git<git_packbuilder> pack(raw_pack);
  git_packbuilder_set_threads(raw_pack, 0);  // one per core
  git_revwalk_sorting(raw_walk, GIT_SORT_TIME);

  for (const auto& [name, id] : tips) {
    git_object* raw = nullptr;
    if (git_object_lookup(&raw, from, &id, GIT_OBJECT_ANY) != 0) return Failed(source);
    Git<git_object> object(raw);
    if (git_object_type(raw) == GIT_OBJECT_TAG && git_packbuilder_insert(raw_pack, &id, name.c_str()) != 0) {
      return Failed(source);
    }
    git_object* peeled = nullptr;
    if (git_object_peel(&peeled, raw, GIT_OBJECT_COMMIT) == 0) {
      Git<git_object> commit(peeled);
      if (git_revwalk_push(raw_walk, git_object_id(peeled)) != 0) return Failed(source);
    } else if (git_packbuilder_insert_recur(raw_pack, &id, name.c_str()) != 0) {
      return Failed(source);
    }
  }
  if (extra.has_value() && git_revwalk_push(raw_walk, &*extra) != 0) return Failed(source);
  for (const auto& [name, id] : known) {
    // What the source no longer has cannot be excluded; it only costs repeated objects.
    if (git_revwalk_hide(raw_walk, &id) != 0) git_error_clear();
  }
  if (git_packbuilder_insert_walk(raw_pack, raw_walk) != 0) return Failed(source);
  if (git_packbuilder_object_count(raw_pack) == 0) return absl::OkStatus();
  std::string directory = absl::StrCat(git_repository_path(mirror), "objects/pack");
  if (git_packbuilder_write(raw_pack, directory.c_str(), 0, nullptr, nullptr) != 0) return Failed(source);
  return absl::OkStatus();
}

absl::Status UpdateReferences(git_repository* mirror, const References& known, const References& tips,
                              const Source& source) {
  for (const auto& [name, id] : known) {  // first: `a` may have made room for `a/b`
    bool mirrored = name.rfind(kFetchedRefs, 0) != 0;
    if (mirrored && !tips.contains(name) && git_reference_remove(mirror, name.c_str()) != 0)
      return Failed(source);
  }
  for (const auto& [name, id] : tips) {
    auto old = known.find(name);
    if (old != known.end() && git_oid_equal(&old->second, &id)) continue;
    git_reference* raw = nullptr;
    if (git_reference_create(&raw, mirror, name.c_str(), &id, 1, nullptr) != 0) return Failed(source);
    Git<git_reference> created(raw);
  }
  return absl::OkStatus();
}

// The one commit of a shallow clone that is wanted, with its tree. The note comes first: a noted commit that
// is not there harms nothing.
absl::Status CopyShallow(git_repository* mirror, git_repository* from, const git_oid& id,
                         const Source& source) {
  git_packbuilder* raw = nullptr;
  if (git_packbuilder_new(&raw, from) != 0) return Failed(source);
  Git<git_packbuilder> pack(raw);
  if (git_packbuilder_insert_commit(raw, &id) != 0) return Failed(source);
  ASSIGN_OR_RETURN(UniqueFd note, Open(absl::StrCat(git_repository_path(mirror), kShallowFile),
                                       O_WRONLY | O_CREAT | O_APPEND));
  RETURN_IF_ERROR(WriteAll(note.get(), absl::StrCat(Hex(id), "\n")));
  std::string directory = absl::StrCat(git_repository_path(mirror), "objects/pack");
  if (git_packbuilder_write(raw, directory.c_str(), 0, nullptr, nullptr) != 0) return Failed(source);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<git_oid>> FindWanted(git_repository* repository, const Wanted& wanted,
                                                  const RemoteHead& head) {
  if (!wanted.id.empty()) return FindCommit(repository, wanted.id);
  if (!wanted.fetch.empty()) return CommitAtReference(repository, wanted.fetch);
  if (!wanted.branch.empty()) return CommitAtBranch(repository, wanted.branch);
  return head.tip;
}

}  // namespace

absl::StatusOr<RemoteHead> FetchLocal(git_repository* mirror, const Source& source, const Wanted& wanted,
                                      std::optional<git_oid>* only) {
  // A person of this host named the path: whom it belongs to does not matter.
  git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
  ASSIGN_OR_RETURN(Git<git_repository> from, OpenRepository(source.address));
  ASSIGN_OR_RETURN(RemoteHead head, ReadHead(from.get()));
  std::optional<git_oid> extra;
  if (!wanted.id.empty()) {
    ASSIGN_OR_RETURN(extra, FindCommit(from.get(), wanted.id));
  } else if (wanted.branch.empty() && wanted.fetch.empty()) {
    extra = head.tip;
  }
  if (git_repository_is_shallow(from.get()) == 1) {
    ASSIGN_OR_RETURN(*only, FindWanted(from.get(), wanted, head));
    if (only->has_value()) RETURN_IF_ERROR(CopyShallow(mirror, from.get(), **only, source));
    return head;
  }
  ASSIGN_OR_RETURN(References tips, ReadReferences(from.get(), wanted.fetch));
  ASSIGN_OR_RETURN(References known, ReadReferences(mirror, ""));
  RETURN_IF_ERROR(CopyObjects(mirror, from.get(), tips, extra, known, source));
  RETURN_IF_ERROR(UpdateReferences(mirror, known, tips, source));
  return head;
}

}  // namespace waggle::vcs
