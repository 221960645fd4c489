#pragma once

#include <optional>

#include "common/base/vocabulary.h"

// The closed words of the wire contract and ours: one to one. From the wire, a value this build does not know
// (or UNSPECIFIED) is nullopt: the caller names the field. To the wire, every value of ours has its twin.
namespace waggle::v1 {
enum JobType : int;
enum JobState : int;
enum Phase : int;
enum Isolation : int;
}  // namespace waggle::v1

namespace waggle::wire {

std::optional<JobType> FromProto(v1::JobType type);
std::optional<JobState> FromProto(v1::JobState state);
std::optional<Phase> FromProto(v1::Phase phase);
std::optional<Isolation> FromProto(v1::Isolation isolation);

v1::JobType ToProto(JobType type);
v1::JobState ToProto(JobState state);
v1::Phase ToProto(Phase phase);
v1::Isolation ToProto(Isolation isolation);

}  // namespace waggle::wire
