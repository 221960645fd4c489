// The job document as people write it (protobuf JSON) and as it travels (protobuf): what is taken survives
// every way it goes afterwards, and nothing secret is shown.
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/wire/job_document.h"
#include "tests/fuzz/fuzz.h"
#include "waggle/v1/job.pb.h"

namespace waggle::fuzz {
namespace {

void CheckMessage(const absl::Status& status) {
  Require(status.code() == absl::StatusCode::kInvalidArgument, "a bad document is InvalidArgument");
  Require(!status.message().empty(), "an error says something");
}

// A document that was taken, as it is stored, sent and shown.
void CheckTaken(const pipeline::JobSpec& spec) {
  Require(pipeline::Check(spec).ok(), "what is taken passes the check");
  std::string stored = wire::SerializeDocument(spec, JobId());
  // Map entries and defaults written out may make it larger than what came in; the next reader says so.
  auto again = wire::ParseDocument(stored);
  if (!again.ok()) {
    Require(stored.size() > limits::kJobDocument, "what was taken can be read again");
    return;
  }
  Require(wire::SerializeDocument(*again, JobId()) == stored, "equal specs give equal bytes");
  JobId id;
  wire::AppendJobId(JobId(UINT64_MAX), &stored);
  auto with_id = wire::ParseDocument(stored, &id);
  Require(with_id.ok() && id == JobId(UINT64_MAX), "the number of the job joins it");
  Require(wire::SerializeDocument(*with_id, JobId()) == wire::SerializeDocument(spec, JobId()),
          "and changes nothing else");

  v1::JobDocument shown;
  wire::ToProto(spec, JobId(1), &shown);
  wire::StripCredentials(&shown);
  Require(!shown.repo().has_https() && !shown.repo().has_ssh(), "no credential is shown");
  Require(shown.repo().url() == wire::PublicUrl(spec.repo.url), "nor one in the address");
  v1::JobDocument parsed;
  Require(parsed.ParseFromString(shown.SerializeAsString()), "what is shown can be read");
}

void CheckDocument(const v1::JobDocument& document) {
  auto spec = wire::FromProto(document);
  if (!spec.ok()) return CheckMessage(spec.status());
  CheckTaken(*spec);
}

}  // namespace

void Run(std::string_view input) {
  v1::JobDocument document;
  if (!input.empty() && input.front() == '\0') {
    auto spec = wire::ParseDocument(input.substr(1));
    return spec.ok() ? CheckTaken(*spec) : CheckMessage(spec.status());
  }
  absl::Status read = wire::DocumentFromJson(input, &document);
  if (!read.ok()) return CheckMessage(read);
  CheckDocument(document);
}

// JSON is in the corpus; the encoded form of a document with every field is made here.
std::vector<std::string> Seeds() {
  v1::JobDocument document;
  absl::Status read = wire::DocumentFromJson(
      R"({"userId": "u", "repo": {"url": "https://u:p@example.com/a.git", "https": {"user": "u", "password": "p"}},
          "ref": {"branch": "main", "id": "0123456789012345678901234567890123456789"}, "type": "TEST_AND_DEPLOY",
          "trigger": {"type": "commit", "author": {"name": "A"}, "message": "m", "timestamp": "1700000000000",
                      "api": {"app": "x"}},
          "plugins": [{"name": "p", "config": {"a": [1, null, {"b": true}]}}],
          "environment": [{"command": "env"}], "prepare": [{"command": "make", "args": ["all"]}],
          "test": [{"name": "unit", "command": "make test", "env": {"A": "b"}, "cwd": "src", "silent": true}],
          "deploy": [{"command": "deploy", "screen": "deploy ***"}], "cleanup": [{"command": "rm"}],
          "env": {"CI": "true"}, "needs": {"os": "linux"}, "priority": 5,
          "limits": {"wallMs": "60000", "logBytes": "1000"}, "name": "job"})",
      &document);
  Require(read.ok(), "the seed is a document");
  return {std::string(1, '\0') + document.SerializeAsString()};
}

}  // namespace waggle::fuzz
