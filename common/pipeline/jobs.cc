#include "common/pipeline/jobs.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/pipeline/codes.h"
#include "common/pipeline/matrix.h"
#include "common/pipeline/order.h"
#include "common/pipeline/settings.h"
#include "common/pipeline/steps.h"
#include "common/pipeline/trigger.h"

namespace waggle::pipeline {
namespace {

constexpr std::string_view kJobHint = "write at least `test: COMMAND` below it";

// A job of the file before its expansion.
struct Plan {
  const yaml::Node* node;
  std::string path;
  const yaml::Node* matrix_node = nullptr;
  Matrix matrix;
  std::vector<Cell> cells;
};

// What a mapping costs in memory for each job that has it, and what all jobs may cost.
std::uint64_t Weight(const yaml::Node& node) {
  constexpr std::uint64_t kNode = 128;
  std::uint64_t sum = kNode + node.text.size() + node.key.size();
  for (const yaml::Node& child : node.children) sum += Weight(child);
  return sum;
}

// What the readers do not see but the house requires: the same check every document gets, told at the job.
absl::Status CheckDocument(const Reader& reader, const PipelineJob& job, const yaml::Node& at) {
  JobSpec checked = job.spec;
  checked.trigger.timestamp = 1;  // the run's
  const absl::Status status = Check(checked);
  if (status.ok()) return status;
  return reader.BadKey(at, absl::StrCat("job ", Quoted(job.name), ": ", status.message()), "");
}

// A job with what the file says of all jobs.
absl::StatusOr<PipelineJob> NewJob(const Reader& reader, const yaml::Node& root, const Pipeline& pipeline,
                                   std::string name) {
  PipelineJob job;
  job.name = job.spec.name = std::move(name);
  job.cancel_previous = pipeline.cancel_previous;
  if (const yaml::Node* vars = root.Find("vars")) {
    RETURN_IF_ERROR(reader.Variables(*vars, "vars", job.spec.env));
  }
  if (const yaml::Node* defaults = root.Find("defaults")) {
    RETURN_IF_ERROR(
        reader.Map(*defaults, "defaults", kDefaultsMap, "write `timeout: 30m` or the like below it"));
    RETURN_IF_ERROR(ReadSettings(reader, *defaults, "defaults", job));
  }
  return job;
}

Scope ScopeOf(const Scope& run, const Cell& cell) {
  Scope scope = run;
  for (const auto& [name, value] : cell) scope.names.emplace_back("matrix." + name, value);
  return scope;
}

absl::StatusOr<PipelineJob> ReadCell(const Reader& file, const yaml::Node& root, const Plan& plan,
                                     const Cell& cell, std::string name, const RunFacts& facts,
                                     const Pipeline& pipeline) {
  const yaml::Node& node = *plan.node;
  if (name.size() > limits::kNameBytes) {
    return file.BadKey(node,
                       absl::StrCat("the name ", Quoted(name), " of a cell has ", name.size(), " bytes"),
                       absl::StrCat("at most ", limits::kNameBytes), code::kMatrix);
  }
  const Reader reader = file.With(ScopeOf(file.scope(), cell));
  ASSIGN_OR_RETURN(PipelineJob job, NewJob(reader, root, pipeline, std::move(name)));
  job.spec.matrix.insert(cell.begin(), cell.end());
  RETURN_IF_ERROR(ReadPhases(reader, node, plan.path, job.spec));
  RETURN_IF_ERROR(ReadSettings(reader, node, plan.path, job));
  RETURN_IF_ERROR(ReadSurroundings(reader, node, plan.path, job));
  if (const yaml::Node* when = node.Find("when")) {
    RETURN_IF_ERROR(ReadWhen(reader, *when, Join(plan.path, "when"), facts, cell, job));
    const yaml::Node* status = when->Find("status");
    if (status != nullptr && node.Find("after") == nullptr) {
      return reader.BadKey(*status, "`when.status` is about the jobs of `after`, and there are none",
                           "add `after`, or remove it", code::kOrder);
    }
  }
  const auto& phases = job.spec.phases;
  if (std::all_of(phases.begin(), phases.end(), [](const auto& commands) { return commands.empty(); })) {
    return reader.BadKey(node, absl::StrCat("job ", Quoted(node.key), " has no step"), kJobHint);
  }
  RETURN_IF_ERROR(CheckDocument(reader, job, node));
  return job;
}

absl::StatusOr<Plan> PlanJob(const Reader& reader, const yaml::Node& node) {
  if (!IsName(node.key)) {
    return reader.BadKey(node, absl::StrCat(Quoted(node.key), " is no name for a job"), NameRule());
  }
  if (!node.IsMap()) {
    return reader.BadKey(node, absl::StrCat("job ", Quoted(node.key), " must be a mapping"), kJobHint);
  }
  Plan plan{&node, Join("jobs", node.key), node.Find("matrix"), {}, {}};
  RETURN_IF_ERROR(reader.CheckKeys(node, plan.path, kJob));
  if (plan.matrix_node != nullptr) {
    ASSIGN_OR_RETURN(plan.matrix, ReadMatrix(reader, *plan.matrix_node, Join(plan.path, "matrix")));
  }
  return plan;
}

absl::Status TooMany(const Reader& reader, const yaml::Node& at, std::uint64_t jobs) {
  return reader.BadKey(at, absl::StrCat(jobs, " jobs after expansion"),
                       absl::StrCat("at most ", limits::kPipelineJobs), code::kTooMany);
}

// How many jobs there will be, before a single one is made; the axes alone decide, so that `exclude` cannot
// make a huge matrix small again.
absl::Status CheckCount(const Reader& reader, const yaml::Node& jobs, const std::vector<Plan>& plans) {
  std::uint64_t all = 0;
  for (const Plan& plan : plans) {
    const std::uint64_t cells = plan.matrix_node == nullptr ? 1 : CountCells(plan.matrix);
    if (cells > limits::kPipelineJobs) return TooMany(reader, *plan.matrix_node, cells);
    all += cells;
  }
  return all > limits::kPipelineJobs ? TooMany(reader, jobs, all) : absl::OkStatus();
}

absl::Status ExpandPlans(const Reader& reader, const yaml::Node& root, const yaml::Node& jobs,
                         std::vector<Plan>& plans) {
  std::uint64_t common = 0, all = 0, bytes = 0;
  for (const char* key : {"vars", "defaults"}) {
    if (const yaml::Node* node = root.Find(key)) common += Weight(*node);
  }
  for (Plan& plan : plans) {
    plan.cells = {Cell()};
    if (plan.matrix_node != nullptr) {
      ASSIGN_OR_RETURN(plan.cells,
                       ExpandMatrix(reader, plan.matrix, *plan.matrix_node, Join(plan.path, "matrix")));
    }
    all += plan.cells.size();
    bytes += plan.cells.size() * (common + Weight(*plan.node));
  }
  if (all > limits::kPipelineJobs) return TooMany(reader, jobs, all);
  if (bytes <= limits::kPipelineExpanded) return absl::OkStatus();
  return reader.BadKey(jobs,
                       absl::StrCat(all, " jobs after expansion take about ", bytes / limits::kMiB, " MiB"),
                       absl::StrCat("at most ", limits::kPipelineExpanded / limits::kMiB,
                                    ": move long scripts into files, or have fewer cells"),
                       code::kTooMany);
}

absl::Status ReadNamedJobs(const Reader& reader, const yaml::Node& root, const RunFacts& facts,
                           Pipeline& pipeline) {
  const yaml::Node& jobs = *root.Find("jobs");
  for (const yaml::Node& child : root.children) {
    if (!ParsePhase(child.key) && child.key != "kind") continue;
    return reader.BadKey(child, absl::StrCat(Quoted(child.key), " cannot stand beside `jobs`"),
                         "move it into a job");
  }
  if (!jobs.IsMap() || jobs.children.empty()) {
    return reader.BadKey(jobs, "`jobs` must be a mapping of names to jobs",
                         "write a name and `test: COMMAND` below it");
  }
  std::vector<Plan> plans;
  for (const yaml::Node& child : jobs.children) {
    ASSIGN_OR_RETURN(Plan plan, PlanJob(reader, child));
    plans.push_back(std::move(plan));
  }
  RETURN_IF_ERROR(CheckCount(reader, jobs, plans));
  RETURN_IF_ERROR(ExpandPlans(reader, root, jobs, plans));
  std::vector<Placed> placed;
  for (const Plan& plan : plans) {
    placed.push_back({plan.node, pipeline.jobs.size(), plan.cells.size()});
    const std::vector<std::string> names = CellNames(plan.cells);
    for (std::size_t i = 0; i < plan.cells.size(); ++i) {
      std::string name =
          plan.matrix_node == nullptr ? plan.node->key : absl::StrCat(plan.node->key, "/", names[i]);
      ASSIGN_OR_RETURN(PipelineJob job,
                       ReadCell(reader, root, plan, plan.cells[i], std::move(name), facts, pipeline));
      pipeline.jobs.push_back(std::move(job));
    }
  }
  return ReadOrder(reader, placed, pipeline);
}

// A file without `jobs`: its phases stand at the top.
absl::Status ReadOneJob(const Reader& reader, const yaml::Node& root, Pipeline& pipeline) {
  const yaml::Node* name = root.Find("name");
  ASSIGN_OR_RETURN(PipelineJob job, NewJob(reader, root, pipeline, name == nullptr ? "test" : pipeline.name));
  RETURN_IF_ERROR(ReadPhases(reader, root, "", job.spec));
  RETURN_IF_ERROR(ReadSurroundings(reader, root, "", job));
  auto phase = std::find_if(root.children.begin(), root.children.end(),
                            [](const yaml::Node& child) { return ParsePhase(child.key).has_value(); });
  if (phase == root.children.end()) {
    return reader.Bad(root, "no job in this file", "write `test: COMMAND`, or `jobs:`");
  }
  RETURN_IF_ERROR(CheckDocument(reader, job, *phase));
  pipeline.jobs.push_back(std::move(job));
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadJobs(const Reader& reader, const yaml::Node& root, const RunFacts& facts,
                      Pipeline& pipeline) {
  return root.Find("jobs") ? ReadNamedJobs(reader, root, facts, pipeline)
                           : ReadOneJob(reader, root, pipeline);
}

}  // namespace waggle::pipeline
