#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/fd.h"
#include "drone/vcs/fetch.h"

namespace waggle::vcs {

struct Found {
  git_oid commit;
  std::string branch;  // as asked; the branch at the source's HEAD when nothing was asked; may be empty
};

// The bare repository DIR/NAME.git that keeps one source's history for every attempt of this host. Whoever
// may use DIR can read all mirrors in it: use one DIR per trust level. Writers exclude each other by flock on
// DIR/NAME.lock; readers need no lock, because objects are only ever added. Killed at any moment it stays
// valid: leftovers of a dead writer are removed by the next.
class Mirror {
 public:
  // `source` and `credentials` (may be null) must outlive the mirror. Creates DIR, opens the mirror if there
  // is one.
  static absl::StatusOr<Mirror> Open(const std::string& directory, const Source& source,
                                     const Credentials* credentials);

  // The commit that is meant, fetched if need be. A commit named by id that is here costs no network.
  // NotFound: the source has no such branch, tag, reference or commit.
  absl::StatusOr<Found> Locate(const Wanted& wanted);

  git_repository* repository() const { return repository_.get(); }
  const std::string& path() const { return path_; }
  // Whether the commit came without its parents.
  absl::StatusOr<bool> IsShallow(const git_oid& commit) const;

 private:
  Mirror(const Source& source, const Credentials* credentials, std::string path)
      : source_(&source), credentials_(credentials), path_(std::move(path)) {}

  absl::StatusOr<UniqueFd> Lock() const;
  absl::Status OpenOrCreate();
  void RemoveLeftovers() const;
  absl::StatusOr<std::optional<git_oid>> FindById(const std::string& id) const;
  absl::StatusOr<Found> FetchAndFind(const Wanted& wanted);
  absl::StatusOr<Found> FindCommitOrAsk(const Wanted& wanted);
  absl::StatusOr<Found> FindByName(const Wanted& wanted, const RemoteHead& head) const;
  absl::Status Missing(const std::string& what) const;

  const Source* source_;
  const Credentials* credentials_;
  std::string path_;
  Git<git_repository> repository_;  // null until the mirror exists
};

}  // namespace waggle::vcs
