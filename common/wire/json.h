#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace google::protobuf {
class Message;
class Struct;
}  // namespace google::protobuf

// Protobuf JSON with our bounds and our errors. Used by the files of this folder only.
namespace waggle::wire {

// Strict: unknown fields, wrong types and malformed text are InvalidArgument. `what` names the input in the
// message.
absl::Status FromJson(std::string_view json, std::string_view what, google::protobuf::Message* message);

// One JSON object, keys sorted. InvalidArgument: nested deeper than 24 levels (protobuf JSON itself ends near
// 30).
absl::StatusOr<std::string> StructToJson(const google::protobuf::Struct& value);

// Serialized with map entries sorted by key: equal messages give equal bytes within one build.
std::string SerializeDeterministically(const google::protobuf::Message& message);

}  // namespace waggle::wire
