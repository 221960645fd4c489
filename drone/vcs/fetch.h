#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "drone/vcs/credentials.h"
#include "drone/vcs/git.h"
#include "drone/vcs/source.h"

namespace waggle::vcs {

inline constexpr std::size_t kFetchBytes = std::size_t{16}
                                           << 30;      // a larger pack is cut off: mirrors share one disk
inline constexpr unsigned kFetchObjects = 50'000'000;  // bounds the memory of indexing a hostile pack
inline constexpr const char* kFetchedRefs =
    "refs/waggle/fetch/";  // where an explicitly named reference lands

// What a job asks for; empty parts are open.
struct Wanted {
  std::string branch;  // branch or tag name, or a whole reference name
  std::string id;      // commit, wins over branch
  std::string fetch;   // one whole reference name to bring besides branches and tags
};

// Where the source's HEAD points.
struct RemoteHead {
  std::string branch;          // short name; empty when detached
  std::optional<git_oid> tip;  // nullopt: no commit there
};

// Both bring the source's branches and tags (new, moved and deleted ones) and `wanted.fetch` into the mirror;
// the caller holds the mirror's lock. Objects arrive before the references that need them, so a killed fetch
// leaves a valid mirror.
absl::StatusOr<RemoteHead> FetchNetwork(git_repository* mirror, const Source& source,
                                        const Credentials* credentials, const Wanted& wanted);

// Asks for a commit no branch or tag leads to. Servers may refuse; then the commit is simply not there
// afterwards.
absl::Status FetchBareCommit(git_repository* mirror, const Source& source, const Credentials* credentials,
                             const std::string& id);

// For a path. Also brings wanted.id from anywhere in the source. From a shallow clone only the wanted commit
// comes, without history, and is noted in the mirror's kShallowFile; such a commit is in *only.
absl::StatusOr<RemoteHead> FetchLocal(git_repository* mirror, const Source& source, const Wanted& wanted,
                                      std::optional<git_oid>* only);

inline constexpr const char* kShallowFile =
    "waggle-shallow";  // commit ids, one a line, that came without parents

}  // namespace waggle::vcs
