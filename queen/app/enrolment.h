#pragma once

#include <cstdint>

#include "queen/api/core_port.h"
#include "queen/api/people.h"
#include "queen/api/workers.h"
#include "queen/http/router.h"

namespace waggle::queen {

// POST /v1/enrol: {"token", "request", "name"} → {"certificate", "authority", "name", "port"}, or a problem.
// Trades an invitation's token for a certificate of the key that the PEM `request` proves. `port`: where the
// queen's gRPC listens, on the host that was asked. All of it outlives the router.
void AddEnrolment(http::Router& router, CorePort& core, Workers& workers, const AccessPart& access,
                  std::uint16_t port);

}  // namespace waggle::queen
