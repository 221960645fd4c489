// `.waggle.yml`: whatever stands in the file, the reader answers with jobs the house can take or with an
// error that names a place inside the file.
#include <algorithm>

#include "absl/strings/numbers.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/pipeline/pipeline.h"
#include "tests/fuzz/fuzz.h"

namespace waggle::fuzz {
namespace {

using pipeline::PipelineJob;

constexpr std::string_view kFile = ".waggle.yml";

// The number before the next colon, which is taken too; 0 if there is none.
std::uint64_t TakeNumber(std::string_view* text) {
  std::uint64_t number = 0;
  const std::size_t colon = std::min(text->find(':'), text->size());
  if (!absl::SimpleAtoi(absl::string_view(text->data(), colon), &number)) return 0;
  text->remove_prefix(std::min(colon + 1, text->size()));
  return number;
}

void CheckError(std::string_view message, std::string_view input) {
  Require(!FindBadByte(message, true), "an error message is text that any terminal can show");
  Require(message.substr(0, kFile.size() + 1) == ".waggle.yml:", "an error names the file");
  if (input.size() > limits::kPipelineBytes) return;  // refused as a whole
  message.remove_prefix(kFile.size() + 1);
  const std::uint64_t line = TakeNumber(&message), column = TakeNumber(&message);
  const auto lines = static_cast<std::uint64_t>(std::count(input.begin(), input.end(), '\n')) + 1;
  Require(line >= 1 && line <= lines, "an error names a line of the file");
  std::string_view text = input;
  for (std::uint64_t i = 1; i < line; ++i) text.remove_prefix(text.find('\n') + 1);
  text = text.substr(0, text.find('\n'));
  Require(column >= 1 && column <= text.size() + 1, "an error names a column of that line");
}

void CheckJobs(const std::vector<PipelineJob>& jobs) {
  Require(!jobs.empty() && jobs.size() <= limits::kPipelineJobs,
          "a file that is taken has jobs, within bounds");
  for (const PipelineJob& job : jobs) {
    pipeline::JobSpec spec = job.spec;
    spec.trigger.timestamp = 1;
    Require(pipeline::Check(spec).ok(), "a job that is taken passes the check of every document");
  }
}

// `["` times many: what the file's own bound lets in and no person writes.
std::string Repeated(std::string_view head, std::string_view unit, std::size_t bytes) {
  std::string text(head);
  while (text.size() + unit.size() <= bytes) text += unit;
  return text;
}

}  // namespace

void Run(std::string_view input) {
  auto jobs = pipeline::ParsePipeline(input, kFile);
  if (jobs.ok()) {
    CheckJobs(*jobs);
  } else {
    Require(jobs.status().code() == absl::StatusCode::kInvalidArgument, "a bad file is InvalidArgument");
    CheckError({jobs.status().message().data(), jobs.status().message().size()}, input);
  }
}

std::vector<std::string> Seeds() {
  constexpr std::size_t kWhole = limits::kPipelineBytes;
  std::vector<std::string> seeds;
  for (std::string_view unit :
       {"[", "{", "[a,", "{a: ", "a,", "? ",  "- ", "a: ", "'",        "\"", "a\n", "- a\n", "\n",
        " ", "#", "*a ", "&a ",  "!",  "|\n", "%",  "x",   "\xC3\xA9", "[]", "\\",  ":",     "---\n"}) {
    seeds.push_back(Repeated("test: ", unit, 20'000));
    seeds.push_back(Repeated("", unit, 20'000));
  }
  for (std::string_view unit : {"[", "{", "a,", "? ", "- "}) {
    seeds.push_back(Repeated("test: [", unit, kWhole));
    seeds.push_back(Repeated("", unit, kWhole));
  }
  seeds.push_back(Repeated("test: x", "x", kWhole + 1));
  return seeds;
}

}  // namespace waggle::fuzz
