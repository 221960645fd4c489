#include "common/wire/json.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"

namespace waggle::wire {
namespace {

// JSON is at most a few times its encoded form; more is refused before it is parsed.
constexpr std::size_t kMaxJson = 1 * limits::kMiB;
static_assert(kMaxJson >= 4 * limits::kJobDocument);

constexpr char kTypePrefix[] = "type.googleapis.com";

constexpr int kMaxStructDepth = 24;

bool DeeperThan(const google::protobuf::Struct& value, int levels);
bool DeeperThan(const google::protobuf::Value& value, int levels) {
  if (levels == 0) return true;
  if (value.has_struct_value()) return DeeperThan(value.struct_value(), levels - 1);
  for (const auto& element : value.list_value().values()) {
    if (DeeperThan(element, levels - 1)) return true;
  }
  return false;
}
bool DeeperThan(const google::protobuf::Struct& value, int levels) {
  for (const auto& [name, field] : value.fields()) {
    if (DeeperThan(field, levels)) return true;
  }
  return false;
}

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

absl::Status FromJson(std::string_view json, std::string_view what, google::protobuf::Message* message) {
  message->Clear();
  if (json.size() > kMaxJson) {
    return absl::InvalidArgumentError(
        absl::StrCat(View(what), ": ", json.size(), " bytes of JSON; at most ", kMaxJson, " are read"));
  }
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = false;
  auto status = google::protobuf::util::JsonStringToMessage({json.data(), json.size()}, message, options);
  if (status.ok()) return absl::OkStatus();
  message->Clear();
  std::string detail(status.message().data(), status.message().size());
  return absl::InvalidArgumentError(absl::StrCat(View(what), ": ", detail));
}

absl::StatusOr<std::string> StructToJson(const google::protobuf::Struct& value) {
  if (DeeperThan(value, kMaxStructDepth)) {
    return absl::InvalidArgumentError(absl::StrCat("nested deeper than ", kMaxStructDepth, " levels"));
  }
  // Through sorted bytes and not MessageToJsonString, whose key order follows a hash table.
  std::unique_ptr<google::protobuf::util::TypeResolver> resolver(
      google::protobuf::util::NewTypeResolverForDescriptorPool(
          kTypePrefix, google::protobuf::DescriptorPool::generated_pool()));
  std::string json;
  auto status = google::protobuf::util::BinaryToJsonString(
      resolver.get(), absl::StrCat(kTypePrefix, "/", value.GetDescriptor()->full_name()),
      SerializeDeterministically(value), &json);
  if (!status.ok()) {
    return absl::InvalidArgumentError(std::string(status.message().data(), status.message().size()));
  }
  return json;
}

std::string SerializeDeterministically(const google::protobuf::Message& message) {
  std::string bytes;
  bytes.reserve(message.ByteSizeLong());
  google::protobuf::io::StringOutputStream stream(&bytes);
  {
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }  // flushed here
  return bytes;
}

}  // namespace waggle::wire
