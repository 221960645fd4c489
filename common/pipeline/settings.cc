#include "common/pipeline/settings.h"

#include <algorithm>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/pipeline/codes.h"
#include "common/pipeline/steps.h"

namespace waggle::pipeline {
namespace {

absl::Status ReadRetry(const Reader& reader, const yaml::Node& node, const std::string& path, Retry& retry) {
  if (!node.IsMap()) {  // as elsewhere: one number is about failures
    ASSIGN_OR_RETURN(retry.failed, reader.Number(node, path, 0, kMostRetries));
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(reader.CheckKeys(node, path, kRetryMap));
  for (const yaml::Node& child : node.children) {
    ASSIGN_OR_RETURN((child.key == "infra" ? retry.infra : retry.failed),
                     reader.Number(child, Join(path, child.key), 0, kMostRetries));
  }
  return absl::OkStatus();
}

absl::StatusOr<Isolation> ReadIsolation(const Reader& reader, const yaml::Node& node,
                                        const std::string& path) {
  constexpr std::string_view kHint = "write auto, host, user or bubblewrap";
  ASSIGN_OR_RETURN(const std::string text, reader.Text(node, path, kHint));
  if (text == "host") return Isolation::kNone;
  if (auto isolation = ParseIsolation(text)) return *isolation;
  return reader.Unknown(node, "isolation", text, kIsolations);
}

// What a plugin is told, as JSON: mappings, lists, and texts, for every scalar is a text.
absl::Status AppendJson(const Reader& reader, const yaml::Node& node, const std::string& path,
                        std::string& out) {
  if (node.IsMap() || node.IsList()) {
    out += node.IsMap() ? '{' : '[';
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      const yaml::Node& child = node.children[i];
      if (i > 0) out += ',';
      if (node.IsMap()) out += JsonText(child.key) + ":";
      RETURN_IF_ERROR(AppendJson(reader, child, node.IsMap() ? Join(path, child.key) : Item(path, i), out));
    }
    out += node.IsMap() ? '}' : ']';
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::string text, reader.FilledText(node, path, "write \"\" for an empty text"));
  out += JsonText(text);
  return absl::OkStatus();
}

absl::StatusOr<Plugin> ReadPlugin(const Reader& reader, const yaml::Node& node, const std::string& path) {
  constexpr std::string_view kHint = "write NAME or NAME@VERSION, such as ccache@2";
  const yaml::Node* use = &node;
  Plugin plugin;
  if (node.IsMap()) {
    RETURN_IF_ERROR(reader.CheckKeys(node, path, kPlugin));
    use = node.Find("use");
    if (use == nullptr) return reader.Bad(node, absl::StrCat(Quoted(path), " has no `use`"), kHint);
    if (const yaml::Node* with = node.Find("with")) {
      if (!with->IsMap()) {
        return reader.BadKey(*with, absl::StrCat(Quoted(Join(path, "with")), " must be a mapping"),
                             "write KEY: value below it");
      }
      plugin.config_json.clear();
      RETURN_IF_ERROR(AppendJson(reader, *with, Join(path, "with"), plugin.config_json));
    }
  }
  ASSIGN_OR_RETURN(const std::string text, reader.Text(*use, path, kHint));
  const std::size_t at = text.find('@');
  plugin.name = text.substr(0, at);
  if (at != std::string::npos) plugin.version = text.substr(at + 1);
  if (!IsName(plugin.name) || (at != std::string::npos && !IsPluginVersion(plugin.version))) {
    return reader.Bad(*use, absl::StrCat(Quoted(text), " is no plugin"), kHint);
  }
  return plugin;
}

// Each goes to the end, or over one of the same name that `defaults` has.
absl::Status ReadPlugins(const Reader& reader, const yaml::Node& node, const std::string& path,
                         std::vector<Plugin>& into) {
  if (!node.IsList() || node.children.empty()) {
    return reader.BadKey(node, absl::StrCat(Quoted(path), " must be a list"), "write `- use: NAME@VERSION`");
  }
  const std::size_t inherited = into.size();
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const yaml::Node& child = node.children[i];
    ASSIGN_OR_RETURN(Plugin plugin, ReadPlugin(reader, child, Item(path, i)));
    auto same =
        std::find_if(into.begin(), into.end(), [&](const Plugin& p) { return p.name == plugin.name; });
    if (same == into.end()) {
      into.push_back(std::move(plugin));
    } else if (same < into.begin() + static_cast<std::ptrdiff_t>(inherited)) {
      *same = std::move(plugin);
    } else {
      return reader.Bad(child, absl::StrCat("plugin ", Quoted(plugin.name), " appears twice"),
                        "merge the two", code::kTwice);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadSettings(const Reader& reader, const yaml::Node& map, const std::string& path,
                          PipelineJob& job) {
  JobSpec& spec = job.spec;
  for (const yaml::Node& child : map.children) {
    const std::string& key = child.key;
    const std::string at = Join(path, key);
    if (key == "env") {
      RETURN_IF_ERROR(reader.Variables(child, at, spec.env));
    } else if (key == "secrets") {
      RETURN_IF_ERROR(ReadSecrets(reader, child, at, spec.secrets));
    } else if (key == "plugins") {
      RETURN_IF_ERROR(ReadPlugins(reader, child, at, spec.plugins));
    } else if (key == "isolation") {
      ASSIGN_OR_RETURN(spec.isolation, ReadIsolation(reader, child, at));
    } else if (key == "network") {
      ASSIGN_OR_RETURN(spec.network, reader.Flag(child));
    } else if (key == "needs") {
      RETURN_IF_ERROR(reader.Labels(child, at, spec.needs));
    } else if (key == "timeout") {
      ASSIGN_OR_RETURN(spec.limits.wall, reader.Limit(child, at));
    } else if (key == "silence") {
      ASSIGN_OR_RETURN(spec.limits.silence, reader.Limit(child, at));
    } else if (key == "retry") {
      RETURN_IF_ERROR(ReadRetry(reader, child, at, job.retry));
    } else if (key == "priority") {
      using Limit = std::numeric_limits<std::int32_t>;
      ASSIGN_OR_RETURN(spec.priority, reader.Number(child, at, Limit::min(), Limit::max()));
    } else if (key == "allow_failure") {
      ASSIGN_OR_RETURN(job.allow_failure, reader.Flag(child));
    } else if (key == "cancel_previous") {
      ASSIGN_OR_RETURN(job.cancel_previous, reader.Flag(child));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadSurroundings(const Reader& reader, const yaml::Node& map, const std::string& path,
                              PipelineJob& job) {
  const yaml::Node* environment = map.Find("environment");
  if (environment != nullptr && environment->IsMap()) {
    for (const yaml::Node& child : environment->children) {
      if (map.Find(child.key) == nullptr) continue;
      return reader.BadKey(child, absl::StrCat(Quoted(child.key), " stands at the job, too"),
                           "keep one of them", code::kTwice);
    }
    RETURN_IF_ERROR(ReadSettings(reader, *environment, Join(path, "environment"), job));
  }
  const yaml::Node* prepare = map.Find("prepare");
  const yaml::Node* checkout = prepare == nullptr ? nullptr : prepare->Find("checkout");
  if (checkout == nullptr) return absl::OkStatus();
  const std::string at = Join(Join(path, "prepare"), "checkout");
  RETURN_IF_ERROR(reader.Map(*checkout, at, kCheckoutMap, "write `submodules: true` below it"));
  if (const yaml::Node* submodules = checkout->Find("submodules")) {
    ASSIGN_OR_RETURN(job.spec.submodules, reader.Flag(*submodules));
  }
  return absl::OkStatus();
}

}  // namespace waggle::pipeline
