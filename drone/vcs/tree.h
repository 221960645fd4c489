#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "drone/vcs/git.h"

namespace waggle::vcs {

// A few KiB of repository can unfold to any number of files; more than this is refused before anything is
// written.
inline constexpr std::uint64_t kTreeEntries = 2'000'000;
inline constexpr std::uint64_t kTreeBytes = std::uint64_t{64} << 30;
inline constexpr int kTreeDepth = 256;

absl::StatusOr<Git<git_tree>> TreeOf(git_repository* repository, const git_oid& commit);

// The content of the regular file `path` at `commit`. NotFound: no such file; ResourceExhausted: above
// `max_bytes`.
absl::StatusOr<std::string> ReadFileAt(git_repository* repository, const git_oid& commit,
                                       const std::string& path, std::size_t max_bytes);

// Whether the unfolded tree keeps the bounds above. Equal parts are counted once and multiplied, so the check
// is linear in the objects, not in the files.
absl::Status CheckTreeSize(git_repository* repository, const git_tree* tree);

}  // namespace waggle::vcs
