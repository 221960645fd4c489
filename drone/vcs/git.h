#pragma once

#include <git2.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Owners and errors around libgit2. One thread uses them; nothing here is shared.
namespace waggle::vcs {

struct GitFree {
  void operator()(git_repository* p) const { git_repository_free(p); }
  void operator()(git_remote* p) const { git_remote_free(p); }
  void operator()(git_object* p) const { git_object_free(p); }
  void operator()(git_commit* p) const { git_commit_free(p); }
  void operator()(git_tree* p) const { git_tree_free(p); }
  void operator()(git_tree_entry* p) const { git_tree_entry_free(p); }
  void operator()(git_blob* p) const { git_blob_free(p); }
  void operator()(git_odb* p) const { git_odb_free(p); }
  void operator()(git_reference* p) const { git_reference_free(p); }
  void operator()(git_reference_iterator* p) const { git_reference_iterator_free(p); }
  void operator()(git_revwalk* p) const { git_revwalk_free(p); }
  void operator()(git_packbuilder* p) const { git_packbuilder_free(p); }
};
template <typename T>
using Git = std::unique_ptr<T, GitFree>;

// Starts libgit2 with no system, user or template configuration: only the defaults of the library hold.
absl::Status StartGit();

// "operation: what libgit2 said; next step". Call directly after the failed call.
absl::Status GitError(const std::string& operation);

std::string Hex(const git_oid& id);

absl::StatusOr<Git<git_repository>> OpenRepository(const std::string& path);

// The commit that `hex` (7 to 40 digits, abbreviated or whole, also of an annotated tag) names; nullopt: not
// here.
absl::StatusOr<std::optional<git_oid>> FindCommit(git_repository* repository, const std::string& hex);

// The commit at `name`, a whole reference name, tags peeled; nullopt: there is no such reference.
absl::StatusOr<std::optional<git_oid>> CommitAtReference(git_repository* repository, const std::string& name);

// The commit of branch or, failing that, tag `name`; a name that starts with refs/ is taken as it is.
absl::StatusOr<std::optional<git_oid>> CommitAtBranch(git_repository* repository, const std::string& name);

}  // namespace waggle::vcs
