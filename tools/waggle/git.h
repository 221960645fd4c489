#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

// What `waggle submit` needs to know of a repository, asked of the `git` program when there is one.
namespace waggle::cli {

// Which repository, and what of it.
struct Source {
  std::string url;  // as the queen gets it: an address, or the absolute path of a local repository
  std::string branch, id, fetch;          // see waggle.v1.Ref; all empty = the repository's HEAD
  std::uint64_t changed_files = 0;        // in the work tree and so not part of the commit
  std::string author_name, author_email;  // as git is configured here; may be empty
  std::string message;                    // of the commit, at most 4 KiB; may be empty
};

// `repo`: a path, an address, or "" for the repository around the current directory. `ref`: a branch, tag,
// commit, or refspec beginning with refs/ or +refs/; "" = what is checked out. NotFound: no repository there,
// or it has no such ref; InvalidArgument: a ref no repository can have.
absl::StatusOr<Source> ResolveSource(const std::string& repo, const std::string& ref);

// True for https://…, ssh://…, user@host:path; false for what names a place on this host.
bool IsRemote(const std::string& repo);

// The closest directory upward from `start` that holds a .git; "" when there is none.
std::string FindTop(const std::string& start);

}  // namespace waggle::cli
