#include "drone/attempt/plugin_frame.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/plugin_name.h"
#include "common/base/status_macros.h"
#include "common/wire/job_document.h"
#include "drone/plugins/config.h"

namespace waggle::attempt {
namespace {

// What a plugin may know of the job: no credential, nothing that a step could not see.
std::string JobJson(const pipeline::JobSpec& spec, const Facts& facts) {
  const nlohmann::json job = {{"id", facts.job.value()},
                              {"attempt", facts.attempt},
                              {"name", spec.name},
                              {"type", std::string(Name(spec.type))},
                              {"repo", wire::PublicUrl(spec.repo.url)},
                              {"branch", spec.ref.branch},
                              {"commit", spec.ref.id},
                              {"submodules", spec.submodules}};
  return job.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::uint8_t Bits(const plugins::Manifest& manifest) {
  std::uint8_t bits = 0;
  for (int i = 0; i < kPhaseCount; ++i) {
    if (manifest.phases[i]) bits |= static_cast<std::uint8_t>(1 << i);
  }
  return bits;
}

}  // namespace

absl::StatusOr<shim::Plugins> MakePlugins(const pipeline::JobSpec& spec, const Facts& facts,
                                          const plugins::Catalog& catalog) {
  shim::Plugins out;
  for (const pipeline::Plugin& plugin : spec.plugins) {
    // What is disabled needs no drone that has it, and nobody to say whether the rest of it is right.
    if (!plugin.enabled()) continue;
    ASSIGN_OR_RETURN(const plugins::Catalog::Entry* entry,
                     catalog.Find(JoinPlugin(plugin.name, plugin.version)));
    absl::StatusOr<plugins::Config> config = plugins::ReadConfig(entry->manifest, plugin.config_json);
    if (!config.ok()) {
      if (out.fault.empty())
        out.fault = absl::StrCat("plugin ", entry->name, ": ", config.status().message());
      continue;
    }
    out.uses.push_back({.name = entry->name,
                        .program = entry->program(),
                        .config = std::move(config->json),
                        .variables = std::move(config->variables),
                        .phases = Bits(entry->manifest)});
  }
  if (!out.uses.empty()) out.job = JobJson(spec, facts);
  return out;
}

}  // namespace waggle::attempt
