#include "common/pipeline/order.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/pipeline/codes.h"

namespace waggle::pipeline {
namespace {

using Edges = std::vector<std::vector<std::size_t>>;  // job → those it comes after, as indexes of Placed

absl::Status UnknownJob(const Reader& reader, const yaml::Node& at, const std::string& name,
                        const std::map<std::string_view, std::size_t>& jobs) {
  const std::string whole = name.substr(0, name.find('/'));
  if (whole != name && jobs.count(whole) > 0) {
    return reader.Bad(at, absl::StrCat(Quoted(name), " is one cell of a job"),
                      absl::StrCat("write ", Quoted(whole), ": all its cells"), code::kOrder);
  }
  std::vector<std::string_view> names;
  for (const auto& [known, index] : jobs) names.push_back(known);
  const std::string_view meant = DidYouMean(name, names);
  return reader.Bad(at, absl::StrCat("there is no job ", Quoted(name)),
                    meant.empty() ? "" : absl::StrCat("did you mean ", Quoted(meant), "?"), code::kOrder);
}

absl::StatusOr<Edges> ReadEdges(const Reader& reader, const std::vector<Placed>& placed) {
  std::map<std::string_view, std::size_t> jobs;
  for (std::size_t i = 0; i < placed.size(); ++i) jobs.emplace(placed[i].node->key, i);
  Edges edges(placed.size());
  for (std::size_t i = 0; i < placed.size(); ++i) {
    const yaml::Node* after = placed[i].node->Find("after");
    if (after == nullptr) continue;
    const std::string path = absl::StrCat("jobs.", placed[i].node->key, ".after");
    ASSIGN_OR_RETURN(const std::vector<std::string> names,
                     reader.Texts(*after, path, "write the name of a job, or a list of names"));
    for (std::size_t n = 0; n < names.size(); ++n) {
      const yaml::Node& at = after->IsList() ? after->children[n] : *after;
      const auto found = jobs.find(names[n]);
      if (found == jobs.end()) return UnknownJob(reader, at, names[n], jobs);
      if (found->second == i) {
        return reader.Bad(at, absl::StrCat("job ", Quoted(names[n]), " cannot come after itself"), "",
                          code::kOrder);
      }
      edges[i].push_back(found->second);
    }
  }
  return edges;
}

// A circle as "a → b → a"; empty if there is none. Takes away jobs that nothing unfinished stands before,
// until none is left; of what remains every job has another that remains before it.
std::vector<std::size_t> FindCircle(const Edges& edges) {
  std::vector<std::size_t> open(edges.size()), done;
  std::vector<std::vector<std::size_t>> followers(edges.size());
  for (std::size_t i = 0; i < edges.size(); ++i) {
    open[i] = edges[i].size();
    if (open[i] == 0) done.push_back(i);
    for (std::size_t before : edges[i]) followers[before].push_back(i);
  }
  for (std::size_t next = 0; next < done.size(); ++next) {
    for (std::size_t follower : followers[done[next]]) {
      if (--open[follower] == 0) done.push_back(follower);
    }
  }
  const auto stuck = std::find_if(open.begin(), open.end(), [](std::size_t count) { return count > 0; });
  if (stuck == open.end()) return {};
  std::vector<std::size_t> path = {static_cast<std::size_t>(stuck - open.begin())};
  while (true) {
    const auto& before = edges[path.back()];
    const std::size_t next =
        *std::find_if(before.begin(), before.end(), [&](std::size_t job) { return open[job] > 0; });
    const auto seen = std::find(path.begin(), path.end(), next);
    const bool closed = seen != path.end();
    if (closed) path.erase(path.begin(), seen);
    path.push_back(next);
    if (closed) return path;
  }
}

}  // namespace

absl::Status ReadOrder(const Reader& reader, const std::vector<Placed>& placed, Pipeline& pipeline) {
  ASSIGN_OR_RETURN(const Edges edges, ReadEdges(reader, placed));
  if (const std::vector<std::size_t> circle = FindCircle(edges); !circle.empty()) {
    constexpr std::size_t kShown = 8;
    std::string path;
    for (std::size_t i = 0; i < circle.size(); ++i) {
      if (i + 1 < circle.size() && i >= kShown) continue;
      if (i > kShown) path += " → …";
      absl::StrAppend(&path, i == 0 ? "" : " → ", placed[circle[i]].node->key);
    }
    return reader.BadKey(*placed[circle.front()].node->Find("after"),
                         absl::StrCat("jobs wait for each other: ", path), "take one of them out of `after`",
                         code::kOrder);
  }
  for (std::size_t i = 0; i < placed.size(); ++i) {
    std::vector<std::size_t> after;
    for (std::size_t before : edges[i]) {
      for (std::size_t n = 0; n < placed[before].count; ++n) after.push_back(placed[before].first + n);
    }
    std::sort(after.begin(), after.end());
    for (std::size_t n = 0; n < placed[i].count; ++n) pipeline.jobs[placed[i].first + n].after = after;
  }
  return absl::OkStatus();
}

}  // namespace waggle::pipeline
