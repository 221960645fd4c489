// `.waggle.yml`: whatever stands in the file, the reader answers with jobs the house can take or with an
// error that names a place inside the file.
#include <algorithm>
#include <set>

#include "absl/strings/numbers.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/pipeline/pipeline.h"
#include "common/pipeline/scope.h"
#include "tests/fuzz/fuzz.h"

namespace waggle::fuzz {
namespace {

using pipeline::Pipeline;
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

// Every job can start some time.
void CheckOrder(const std::vector<PipelineJob>& jobs) {
  std::vector<bool> done(jobs.size());
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (done[i]) continue;
      done[i] =
          std::all_of(jobs[i].after.begin(), jobs[i].after.end(), [&](std::size_t n) { return done[n]; });
      moved = moved || done[i];
    }
  }
  Require(std::find(done.begin(), done.end(), false) == done.end(), "no jobs wait for each other");
}

void CheckPipeline(const Pipeline& pipeline) {
  const std::vector<PipelineJob>& jobs = pipeline.jobs;
  Require(!jobs.empty() && jobs.size() <= limits::kPipelineJobs,
          "a file that is taken has jobs, within bounds");
  std::set<std::string> names;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    pipeline::JobSpec spec = jobs[i].spec;
    spec.trigger.timestamp = 1;
    Require(pipeline::Check(spec).ok(), "a job that is taken passes the check of every document");
    Require(jobs[i].name == spec.name && names.insert(spec.name).second, "every job has a name of its own");
    for (const auto& commands : spec.phases) {
      for (const pipeline::Command& command : commands) {
        Require(pipeline::FindDotted(command.command).empty(), "nothing like ${a.b} comes to a shell");
      }
    }
    for (std::size_t n = 0; n < jobs[i].after.size(); ++n) {
      Require(jobs[i].after[n] < jobs.size(), "a job comes after jobs that are there");
      Require(n == 0 || jobs[i].after[n - 1] < jobs[i].after[n], "and after each of them once");
    }
  }
  CheckOrder(jobs);
}

// Where the run's own texts are put in, they may make a duration or a label of it, or none.
bool FillsIn(std::string_view input) {
  return input.find("${") != std::string_view::npos || input.find('\\') != std::string_view::npos;
}

// `["` times many: what the file's own bound lets in and no person writes.
std::string Repeated(std::string_view head, std::string_view unit, std::size_t bytes) {
  std::string text(head);
  while (text.size() + unit.size() <= bytes) text += unit;
  return text;
}

}  // namespace

// Whether a file is right does not depend on what started the run.
void Run(std::string_view input) {
  pipeline::RunFacts facts;
  auto pipeline = pipeline::ParsePipeline(input, kFile, facts);
  for (pipeline::Event event : {pipeline::Event::kPush, pipeline::Event::kTag, pipeline::Event::kCron}) {
    facts = {event, "main", "v1", std::string(40, 'a'), "nightly", "shop", {{"docs/a.md"}}};
    auto other = pipeline::ParsePipeline(input, kFile, facts);
    Require(other.ok() == pipeline.ok() || FillsIn(input), "a file is as right for one event as for another");
    if (other.ok()) CheckPipeline(*other);
  }
  if (pipeline.ok()) {
    CheckPipeline(*pipeline);
  } else {
    Require(pipeline.status().code() == absl::StatusCode::kInvalidArgument, "a bad file is InvalidArgument");
    CheckError({pipeline.status().message().data(), pipeline.status().message().size()}, input);
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
  std::string axis = "[a";
  for (int i = 1; i < 256; ++i) axis += "," + std::to_string(i);
  std::string matrix = "jobs:\n  a:\n    test: x\n    matrix:\n";
  for (char name = 'a'; name < 'a' + 16; ++name) matrix += std::string("      ") + name + ": " + axis + "]\n";
  seeds.push_back(matrix);  // 256 to the sixteenth cells
  return seeds;
}

}  // namespace waggle::fuzz
