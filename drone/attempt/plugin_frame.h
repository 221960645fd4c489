#pragma once

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/pipeline/job_spec.h"
#include "drone/attempt/facts.h"
#include "drone/plugins/catalog.h"
#include "drone/shim/protocol.h"

namespace waggle::attempt {

// The plugins of a job on this host, for its shim. NotFound or FailedPrecondition: the host lacks one, so the
// job belongs elsewhere. A wrong configuration is no error here but the `fault` that ends the job: it is
// wrong everywhere.
absl::StatusOr<shim::Plugins> MakePlugins(const pipeline::JobSpec& spec, const Facts& facts,
                                          const plugins::Catalog& catalog);

}  // namespace waggle::attempt
