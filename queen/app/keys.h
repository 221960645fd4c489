#pragma once

#include "common/config/key.h"
#include "common/config/logging.h"

namespace waggle::queen {

inline constexpr std::string_view kSerial = "serial", kParallel = "parallel";
inline constexpr std::string_view kAuto = "auto", kForever = "forever";
inline constexpr std::string_view kBranchRuns[] = {kSerial, kParallel};

inline constexpr config::Key kKeys[] = {
    {.name = "data",
     .rule = config::Path{},
     .placeholder = "DIR",
     .help = "Directory for everything the queen keeps, and her socket; made if missing"},
    {.name = "listen",
     .rule = config::Text{},
     .placeholder = "ADDRESS:PORT",
     .help = "Where drones and people with a certificate from her connect: 0.0.0.0:7874",
     .unset = "only her socket"},
    {.name = "http",
     .rule = config::Text{},
     .placeholder = "ADDRESS:PORT",
     .help = "Where they enrol, over HTTPS: 0.0.0.0:7875",
     .unset = "nobody enrols"},
    {.name = "connections_per_address",
     .rule = config::Whole{1, 1'000'000},
     .fallback = "64",
     .placeholder = "COUNT",
     .help =
         "How many of them one address may have open; a drone has two, drones behind one router share it"},
    {.name = "grpc_memory",
     .rule = config::Whole{64, 1'000'000, kAuto},
     .fallback = "auto",
     .placeholder = "MIB",
     .help =
         "Memory for what arrives over gRPC, in MiB; above it streams are ended, and their peers come again. "
         "auto = a quarter of the host's"},
    {.name = "public_name",
     .rule = config::Text{},
     .placeholder = "HOST",
     .help = "What others call this host: in invitations and her certificate",
     .unset = "the host's name"},
    {.name = "peer_certificate",
     .rule = config::Duration{std::chrono::minutes(1), std::chrono::hours(1000)},
     .fallback = "720h",
     .placeholder = "TIME",
     .help = "How long the certificate of a drone or person holds; they renew it when half is over"},
    {.name = "lease",
     .rule = config::Duration{std::chrono::seconds(1), std::chrono::hours(1)},
     .fallback = "30s",
     .placeholder = "TIME",
     .help = "Silence after which a drone's attempts are given up"},
    {.name = "scheduler.branch_runs",
     .rule = config::Choice{kBranchRuns},
     .fallback = "serial",
     .placeholder = "ORDER",
     .help = "Runs of one branch: serial = one after the other, parallel = as slots are free"},
    {.name = "retention.logs",
     .rule = config::Duration{std::chrono::seconds(1), std::chrono::hours(3650 * 24), kForever},
     .fallback = "90d",
     .placeholder = "TIME",
     .help = "How long the log of an attempt is kept after its end; forever = until somebody deletes it"},
    {.name = "log.level",
     .rule = config::Choice{config::kLogLevels},
     .fallback = "info",
     .placeholder = "LEVEL",
     .help = "Least severity of what the queen logs to standard error"},
    {.name = "log.format",
     .rule = config::Choice{config::kLogFormats},
     .fallback = "auto",
     .placeholder = "FORMAT",
     .help = "Form of the log: lines of text or of JSON; auto: text"},
};

inline constexpr config::Program kProgram{"queen", "WAGGLE_QUEEN_", /*daemon=*/true, "needs a restart",
                                          kKeys};

}  // namespace waggle::queen
