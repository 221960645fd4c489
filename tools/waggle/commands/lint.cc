#include <algorithm>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/pipeline/pipeline.h"
#include "common/pipeline/schema.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/explain.h"
#include "tools/waggle/git.h"
#include "tools/waggle/json.h"
#include "tools/waggle/session.h"

namespace waggle::cli {
namespace {

constexpr char kFile[] = ".waggle.yml";

int Explain(Session& session, const std::string& given) {
  const std::string code = absl::AsciiStrToUpper(given);
  std::vector<std::string_view> codes;
  for (const Explanation& known : Explanations()) {
    codes.push_back(known.code);
    if (known.code != code) continue;
    if (session.options.json) {
      session.out.Write(Pretty(Json{{"code", known.code}, {"title", known.title}, {"text", known.text}}));
    } else {
      session.out.Write(
          absl::StrCat(code, ": ", std::string(known.title), "\n\n", std::string(known.text), "\n"));
    }
    return session.Done();
  }
  const std::string list =
      absl::StrJoin(codes, " ", [](std::string* out, std::string_view c) { out->append(c); });
  return session.FailUsage(
      absl::InvalidArgumentError(absl::StrCat("there is no code ", Quoted(given), "\nthere are ", list)));
}

// The file that was named, else the one of this directory or of the repository around it.
absl::StatusOr<std::string> FindFile(const std::string& given) {
  if (!given.empty()) return given;
  std::error_code error;
  if (std::filesystem::exists(kFile, error)) return kFile;
  const std::string here = std::filesystem::current_path(error).string();
  const std::string top = error ? "" : FindTop(here);
  if (!top.empty() && std::filesystem::exists(top + "/" + kFile, error)) return top + "/" + kFile;
  return absl::NotFoundError(
      absl::StrCat("there is no ", kFile, " in ", top.empty() ? here : top, "\nnext: waggle init"));
}

pipeline::RunFacts FactsOf(const LintOptions& options) {
  pipeline::RunFacts facts;
  if (!options.tag.empty()) facts.event = pipeline::Event::kTag;
  if (!options.event.empty()) facts.event = pipeline::ParseEvent(options.event).value_or(facts.event);
  facts.branch = options.branch;
  facts.tag = options.tag;
  return facts;
}

// The jobs a job comes after, without their cells.
std::vector<std::string> After(const pipeline::Pipeline& pipeline, const pipeline::PipelineJob& job) {
  std::vector<std::string> names;
  for (std::size_t before : job.after) {
    const std::string& name = pipeline.jobs[before].name;
    const std::string whole = name.substr(0, name.find('/'));
    if (names.empty() || names.back() != whole) names.push_back(whole);
  }
  return names;
}

std::string Lines(const pipeline::Pipeline& pipeline, const std::string& file) {
  std::size_t width = 0;
  for (const pipeline::PipelineJob& job : pipeline.jobs) width = std::max(width, job.name.size());
  std::string out = absl::StrCat(file, ": ok, ", Plural(pipeline.jobs.size(), "job"), "\n");
  if (!pipeline.unwanted.empty()) absl::StrAppend(&out, "no run: ", pipeline.unwanted, "\n");
  for (const pipeline::PipelineJob& job : pipeline.jobs) {
    std::string line = absl::StrCat("  ", job.name, std::string(width - job.name.size() + 2, ' '),
                                    std::string(Name(job.spec.type)));
    const std::vector<std::string> after = After(pipeline, job);
    if (!after.empty()) absl::StrAppend(&line, "  after ", absl::StrJoin(after, ", "));
    if (job.runs_after != RunsAfter::kPassed) {
      absl::StrAppend(&line, " (", std::string(Name(job.runs_after)), ")");
    }
    if (job.allow_failure) absl::StrAppend(&line, "  may fail");
    if (!job.skipped.empty()) absl::StrAppend(&line, "  skipped: ", job.skipped);
    absl::StrAppend(&out, line, "\n");
  }
  return out;
}

Json ToJson(const pipeline::Pipeline& pipeline, const std::string& file) {
  Json jobs = Json::array();
  for (const pipeline::PipelineJob& job : pipeline.jobs) {
    jobs.push_back({{"name", job.name},
                    {"type", Name(job.spec.type)},
                    {"matrix", job.spec.matrix},
                    {"needs", job.spec.needs},
                    {"after", After(pipeline, job)},
                    {"status", Name(job.runs_after)},
                    {"allow_failure", job.allow_failure},
                    {"skipped", job.skipped}});
  }
  return {{"file", file}, {"name", pipeline.name}, {"unwanted", pipeline.unwanted}, {"jobs", jobs}};
}

absl::StatusOr<pipeline::Pipeline> ReadPipeline(const std::string& path, const pipeline::RunFacts& facts) {
  // More than may be: whoever reads the text says what is too large.
  absl::StatusOr<std::string> text = ReadFile(path, 2 * limits::kPipelineBytes);
  if (absl::IsResourceExhausted(text.status())) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": a pipeline file has at most ", limits::kPipelineBytes, " bytes"));
  }
  if (!text.ok()) {
    return absl::Status(text.status().code(),
                        absl::StrCat("cannot read the pipeline file: ", text.status().message()));
  }
  return pipeline::ParsePipeline(*text, path, facts);
}

}  // namespace

int RunLint(Session& session, const LintOptions& options) {
  if (!options.explain.empty()) return Explain(session, options.explain);
  if (options.schema) {
    session.out.Write(Pretty(Json::parse(pipeline::PipelineSchema())));
    return session.Done();
  }
  absl::StatusOr<std::string> path = FindFile(options.file);
  if (!path.ok()) return session.Fail(path.status());
  absl::StatusOr<pipeline::Pipeline> pipeline = ReadPipeline(*path, FactsOf(options));
  if (!pipeline.ok()) return session.Fail(pipeline.status());
  if (session.options.json) {
    session.out.Write(Pretty(ToJson(*pipeline, *path)));
  } else if (!session.options.quiet) {
    session.out.Write(Lines(*pipeline, *path));
  }
  return session.Done();
}

}  // namespace waggle::cli
