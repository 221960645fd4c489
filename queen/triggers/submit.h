#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/pipeline/job_spec.h"
#include "queen/core/events.h"

namespace waggle::queen {

// What a person asked for with Runs.Submit.
struct RunRequest {
  pipeline::Repo repo;
  pipeline::Ref ref;
  pipeline::Trigger trigger;
  std::string user_id;
};

// InvalidArgument: it asks for something that this version does not act on.
absl::Status CheckSupported(const pipeline::JobSpec& spec);

// A job as the core takes it. The spec is frozen here: nothing is read again when the job runs.
JobDraft MakeDraft(const pipeline::JobSpec& spec);

// Where the queen reads repositories: DATA/mirrors, through the short-lived waggle-git. Blocks for as long as
// a fetch takes; call from a worker. Thread-safe.
class RunReader {
 public:
  RunReader(std::string mirrors, std::string waggle_git)
      : mirrors_(std::move(mirrors)), git_(std::move(waggle_git)) {}

  // Fetches, reads .waggle.yml at the commit and expands it. The event lacks only its request id.
  // NotFound: no such repository, ref or file. InvalidArgument: the pipeline file, with file:line:col.
  absl::StatusOr<event::SubmitRun> Read(const RunRequest& request) const;

 private:
  absl::StatusOr<std::string> RunGit(std::vector<std::string> arguments, const pipeline::Repo& repo,
                                     std::size_t max_output) const;

  const std::string mirrors_, git_;
};

}  // namespace waggle::queen
