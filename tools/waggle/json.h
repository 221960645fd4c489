#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace google::protobuf {
class Message;
}

namespace waggle::cli {

using Json = nlohmann::ordered_json;

// A message of our contract as tools read it: every field by its name in the proto, numbers (64-bit too) as
// numbers, states as "passed", types as "TEST", phases as "test". Absent messages are left out; everything
// else is there.
Json ToJson(const google::protobuf::Message& message);

// Sets object[name] to `bytes` if they are UTF-8, else object[name + "_base64"].
void SetBytes(std::string_view name, std::string_view bytes, Json* object);

bool ValidUtf8(std::string_view text);

// One line without spaces; never throws.
std::string Compact(const Json& json);
// Indented, with a newline at its end.
std::string Pretty(const Json& json);

}  // namespace waggle::cli
