#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/journal/record.h"
#include "queen/core/events.h"

namespace grpc {
class Status;
}
namespace waggle::v1 {
class Drone;
class Fragment;
class FromDrone;
class FromQueen;
class Job;
class Run;
class Attempt;
}  // namespace waggle::v1

// Rows and core messages ↔ the wire. No logic.
namespace waggle::queen {

grpc::Status ToGrpc(const absl::Status& status);

void ToProto(const JobRow& row, v1::Job* job);
void ToProto(const RunRow& row, v1::Run* run);
void ToProto(const AttemptRow& row, v1::Attempt* attempt);
void ToProto(const DroneView& view, v1::Drone* drone);
void ToProto(const journal::RecordView& record, std::uint64_t line, std::int64_t first_boot_nanos,
             v1::Fragment* fragment);

// Assign and Welcome leave out what the core does not know: the document, the acknowledged sequences and the
// timings.
void ToProto(const ToDrone& message, v1::FromQueen* out);

// Checks every bound; InvalidArgument names the field and the limit. The first message must be a Hello, none
// after it.
absl::StatusOr<Event> FromProto(const v1::FromDrone& message, ConnectionId connection, bool local,
                                bool expect_hello);

}  // namespace waggle::queen
