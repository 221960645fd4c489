#include "drone/vcs/tree.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "drone/vcs/source.h"

namespace waggle::vcs {
namespace {

struct Size {
  std::uint64_t entries = 0, bytes = 0;
};

struct OidLess {
  bool operator()(const git_oid& a, const git_oid& b) const { return git_oid_cmp(&a, &b) < 0; }
};

// Sums stop just above the bounds, so that they cannot overflow.
void Add(Size* sum, const Size& part) {
  sum->entries = std::min(sum->entries + part.entries, kTreeEntries + 1);
  sum->bytes = std::min(sum->bytes + part.bytes, kTreeBytes + 1);
}

class Measure {
 public:
  Measure(git_repository* repository, git_odb* objects) : repository_(repository), objects_(objects) {}

  absl::StatusOr<Size> Tree(const git_tree* tree, int depth) {
    if (depth > kTreeDepth) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the tree is nested deeper than ", kTreeDepth, " directories"));
    }
    Size sum;
    for (std::size_t i = 0; i < git_tree_entrycount(tree); ++i) {
      ASSIGN_OR_RETURN(Size part, Entry(git_tree_entry_byindex(tree, i), depth));
      Add(&sum, Size{1, 0});
      Add(&sum, part);
    }
    return sum;
  }

 private:
  absl::StatusOr<Size> Entry(const git_tree_entry* entry, int depth) {
    git_object_t type = git_tree_entry_type(entry);
    if (type == GIT_OBJECT_COMMIT) return Size{};  // a submodule is an empty directory
    const git_oid* id = git_tree_entry_id(entry);
    if (auto known = known_.find(*id); known != known_.end()) return known->second;
    Size size;
    if (type == GIT_OBJECT_TREE) {
      git_tree* raw = nullptr;
      if (git_tree_lookup(&raw, repository_, id) != 0) return GitError("cannot read the tree");
      Git<git_tree> tree(raw);
      ASSIGN_OR_RETURN(size, Tree(raw, depth + 1));
    } else {
      std::size_t bytes = 0;
      git_object_t found;
      if (git_odb_read_header(&bytes, &found, objects_, id) != 0) return GitError("cannot read the tree");
      size.bytes = std::min<std::uint64_t>(bytes, kTreeBytes + 1);
    }
    known_.emplace(*id, size);
    return size;
  }

  git_repository* repository_;
  git_odb* objects_;
  std::map<git_oid, Size, OidLess> known_;
};

}  // namespace

absl::StatusOr<Git<git_tree>> TreeOf(git_repository* repository, const git_oid& commit) {
  git_commit* raw = nullptr;
  if (git_commit_lookup(&raw, repository, &commit) != 0) return GitError("cannot read commit " + Hex(commit));
  Git<git_commit> owned(raw);
  git_tree* tree = nullptr;
  if (git_commit_tree(&tree, raw) != 0) return GitError("cannot read the tree of commit " + Hex(commit));
  return Git<git_tree>(tree);
}

absl::StatusOr<std::string> ReadFileAt(git_repository* repository, const git_oid& commit,
                                       const std::string& path, std::size_t max_bytes) {
  std::string what = absl::StrCat(Printable(path), " at commit ", Hex(commit));
  ASSIGN_OR_RETURN(Git<git_tree> tree, TreeOf(repository, commit));
  git_tree_entry* raw = nullptr;
  int error = git_tree_entry_bypath(&raw, tree.get(), path.c_str());
  if (error == GIT_ENOTFOUND) {
    return absl::NotFoundError(absl::StrCat("there is no ", what, "; add the file and commit it"));
  }
  if (error != 0) return GitError("cannot read " + what);
  Git<git_tree_entry> entry(raw);
  git_filemode_t mode = git_tree_entry_filemode(raw);
  if (mode != GIT_FILEMODE_BLOB && mode != GIT_FILEMODE_BLOB_EXECUTABLE) {
    return absl::FailedPreconditionError(absl::StrCat(what, " is not a regular file; commit it as one"));
  }
  git_odb* objects = nullptr;
  if (git_repository_odb(&objects, repository) != 0) return GitError("cannot read " + what);
  Git<git_odb> owned(objects);
  std::size_t size = 0;
  git_object_t type;
  if (git_odb_read_header(&size, &type, objects, git_tree_entry_id(raw)) != 0)
    return GitError("cannot read " + what);
  if (size > max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(what, " has ", size, " bytes, the limit is ", max_bytes, "; make it smaller"));
  }
  git_blob* blob = nullptr;
  if (git_blob_lookup(&blob, repository, git_tree_entry_id(raw)) != 0) return GitError("cannot read " + what);
  Git<git_blob> content(blob);
  return std::string(static_cast<const char*>(git_blob_rawcontent(blob)), git_blob_rawsize(blob));
}

absl::Status CheckTreeSize(git_repository* repository, const git_tree* tree) {
  git_odb* raw = nullptr;
  if (git_repository_odb(&raw, repository) != 0) return GitError("cannot read the tree");
  Git<git_odb> objects(raw);
  ASSIGN_OR_RETURN(Size size, Measure(repository, raw).Tree(tree, 1));
  if (size.entries <= kTreeEntries && size.bytes <= kTreeBytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("the tree unfolds to more than ", kTreeEntries,
                                                   " files or ", kTreeBytes >> 30,
                                                   " GiB, the most a checkout takes"));
}

}  // namespace waggle::vcs
