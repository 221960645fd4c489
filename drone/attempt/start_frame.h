#pragma once

#include <chrono>
#include <map>
#include <string>

#include "common/pipeline/job_spec.h"
#include "drone/attempt/facts.h"
#include "drone/attempt/isolation.h"
#include "drone/plugins/catalog.h"
#include "drone/shim/protocol.h"

namespace waggle::attempt {

// What every attempt of this host shares.
struct Host {
  std::string identity;
  std::string drone;  // shown name
  std::string version;
  std::string helper;   // absolute path of waggle-git
  std::string mirrors;  // its mirrors
  std::string boot_id;
  std::map<std::string, std::string> env;  // what the owner of the host adds for every job
  std::uint64_t spool_budget = 0;          // bytes; 0 = limits::kSpoolBudget or a tenth of the disk
  std::uint32_t slots = 1;
  plugins::Catalog plugins;
  std::chrono::nanoseconds plugin_limit{};  // of one run of one; 0 = the default
  Isolations isolation;                     // what jobs are kept in here
};

// The PATH of jobs when the owner of the host sets nothing else.
inline constexpr char kJobPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// The value of WAGGLE_ATTEMPT_KEY: marks every process of one attempt of one drone.
std::string AttemptKey(const std::string& identity, Epoch epoch);

// os and processor as labels name them: "linux", "amd64".
std::string OsName();
std::string ArchName();

// Everything the shim needs, from the job and the host alone: nothing of this process's environment gets in.
// The job's variables win over the owner's, the owner's over ours; only WAGGLE_ATTEMPT_KEY cannot be set by a
// job.
shim::Start MakeStart(const pipeline::JobSpec& spec, const Facts& facts, const Host& host,
                      const sandbox::Plan& plan, const std::string& attempt_directory);

}  // namespace waggle::attempt
