#include "drone/plugins/data.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/text.h"

namespace waggle::plugins {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kSteps = 16;  // of a path

std::string Text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Whether the method fits what is there (nullptr: nothing) and the value.
absl::Status Fits(const Data& data, const Json& value, const Json* there) {
  const bool nothing = there == nullptr || there->is_null();
  if (data.method == "push" && !nothing && !there->is_array()) {
    return absl::InvalidArgumentError(absl::StrCat(Quoted(data.path), " is no list"));
  }
  if (data.method != "extend") return absl::OkStatus();
  if (!nothing && !there->is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(Quoted(data.path), " is no object"));
  }
  return value.is_object() ? absl::OkStatus()
                           : absl::InvalidArgumentError("extend needs an object as its value");
}

void Change(const std::string& method, Json value, Json* at) {
  if (method == "replace") {
    *at = std::move(value);
  } else if (method == "push") {
    at->push_back(std::move(value));  // of null it makes a list
  } else if (at->is_null()) {
    *at = std::move(value);
  } else {
    at->update(value);
  }
}

}  // namespace

struct DataStore::Tree {
  Json json = Json::object();
  std::size_t bytes = 0;  // of all values that were given
};

DataStore::DataStore() : tree_(std::make_unique<Tree>()) {}
DataStore::~DataStore() = default;

absl::Status DataStore::Apply(std::string_view plugin, const Data& data) {
  if (data.method != "replace" && data.method != "push" && data.method != "extend") {
    return absl::InvalidArgumentError(absl::StrCat("the method ", Quoted(data.method),
                                                   " is not known; there are replace, push and extend"));
  }
  Json value = Json::parse(data.value, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return absl::InvalidArgumentError("the value is not JSON");
  std::vector<std::string> steps =
      data.path.empty() ? std::vector<std::string>() : absl::StrSplit(data.path, '.');
  if (steps.size() > kSteps) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(data.path), " has ", steps.size(), " steps; at most ", kSteps));
  }
  if (tree_->bytes + data.path.size() + data.value.size() > kBytes) {
    return absl::ResourceExhaustedError(absl::StrCat("more than ", kBytes, " bytes of data in one attempt"));
  }
  steps.insert(steps.begin(), std::string(plugin));
  const Json* there = &tree_->json;
  for (const std::string& step : steps) {
    if (there == nullptr || there->is_null()) {
      there = nullptr;
      break;
    }
    if (!there->is_object()) {
      return absl::InvalidArgumentError(
          absl::StrCat(Quoted(data.path), " leads through what is no object, at ", Quoted(step)));
    }
    const auto found = there->find(step);
    there = found == there->end() ? nullptr : &*found;
  }
  absl::Status fits = Fits(data, value, there);
  if (!fits.ok()) return fits;
  Json* at = &tree_->json;
  for (const std::string& step : steps) at = &(*at)[step];
  Change(data.method, std::move(value), at);
  tree_->bytes += data.path.size() + data.value.size();
  return absl::OkStatus();
}

std::string DataStore::AsJson() const {
  return Text(tree_->json);
}

std::string DataStore::Event(std::string_view plugin, const Data& data) {
  const nlohmann::json head = {{"plugin", std::string(plugin)}, {"method", data.method}, {"path", data.path}};
  std::string text = Text(head);
  text.pop_back();
  return absl::StrCat(text, ",\"value\":", data.value, "}");
}

}  // namespace waggle::plugins
