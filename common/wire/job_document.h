#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/pipeline/job_spec.h"

namespace waggle::v1 {
class JobDocument;
}

// waggle.v1.JobDocument ↔ pipeline::JobSpec: the only place that knows both. Pure functions, any thread. What
// comes from outside is checked here once; errors are InvalidArgument and name the field as the document
// spells it.
namespace waggle::wire {

// Converts and checks (size, enums, pipeline::Check). What is left out gets its default: type TEST, name
// "job", vcs "git", trigger type "manual". The document's job_id is not part of the spec.
absl::StatusOr<pipeline::JobSpec> FromProto(const v1::JobDocument& document);

// Overwrites `document`. REQUIRES: pipeline::Check(spec).ok(); a plugin config that is no JSON object would
// be left out.
void ToProto(const pipeline::JobSpec& spec, JobId id, v1::JobDocument* document);

// The stored form, as it travels in Assign. Equal specs give equal bytes (map entries are sorted), so bytes
// can be compared to tell a repeated submission from a conflicting one.
// `id` (may be null) gets the job id, none if the document has none.
absl::StatusOr<pipeline::JobSpec> ParseDocument(std::string_view serialized, JobId* id = nullptr);
std::string SerializeDocument(const pipeline::JobSpec& spec, JobId id);

// Sets the job id of a serialized document without parsing it: serialized messages merge by concatenation.
void AppendJobId(JobId id, std::string* serialized);

// Reads protobuf JSON as people write it in a file. Fields the contract does not know and values of the wrong
// type are errors that name the field. Does not check the content: FromProto does.
absl::Status DocumentFromJson(std::string_view json, v1::JobDocument* document);

// Makes a document fit to be shown: the repository's auth is removed and its url is public, and a screened
// command is replaced by its screen.
void StripCredentials(v1::JobDocument* document);

// The url without `user:password@`. An scp-like address (git@host:path) keeps its user: it can hold no
// password.
std::string PublicUrl(std::string_view url);

}  // namespace waggle::wire
