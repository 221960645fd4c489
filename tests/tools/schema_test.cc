// The JSON Schema of pipeline files says what their reader does: it is made of the same tables, and what the
// reader takes is valid.
#include "common/pipeline/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>

#include "common/base/fd.h"
#include "common/pipeline/keys.h"
#include "common/pipeline/pipeline.h"
#include "common/yaml/tree.h"
#include "tools/waggle/explain.h"
#include "tools/waggle/json.h"

namespace waggle::cli {
namespace {

// A value as an editor's YAML has it: plain true, false and whole numbers are no texts.
Json ToValue(const yaml::Node& node, const yaml::Source& source) {
  if (node.IsMap()) {
    Json out = Json::object();
    for (const yaml::Node& child : node.children) out[child.key] = ToValue(child, source);
    return out;
  }
  if (node.IsList()) {
    Json out = Json::array();
    for (const yaml::Node& child : node.children) out.push_back(ToValue(child, source));
    return out;
  }
  const bool plain = source.From(node.at).substr(0, node.text.size()) == node.text;
  if (plain && (node.text == "true" || node.text == "false")) return node.text == "true";
  if (plain && std::regex_match(node.text, std::regex("-?(0|[1-9][0-9]{0,15})")))
    return std::stoll(node.text);
  return node.text;
}

Json Values(const std::string& text) {
  const yaml::Source source(text, "f", yaml::kPipelineFile);
  auto root = yaml::Parse(source);
  EXPECT_TRUE(root.ok()) << root.status();
  return root.ok() ? ToValue(*root, source) : Json();
}

// As much of JSON Schema as ours uses; a word it does not know fails the test.
class Validator {
 public:
  explicit Validator(const Json& root) : root_(root) {}

  bool Valid(const Json& value, const Json& schema) const {
    for (const auto& [word, rule] : schema.items()) {
      if (!Holds(value, schema, word, rule)) return false;
    }
    return true;
  }

 private:
  static bool IsType(const Json& value, const std::string& type) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "integer") return value.is_number_integer();
    return type == "number" && value.is_number();
  }

  bool Holds(const Json& value, const Json& schema, const std::string& word, const Json& rule) const {
    if (word == "type") {
      if (!rule.is_array()) return IsType(value, rule);
      return std::any_of(rule.begin(), rule.end(), [&](const Json& type) { return IsType(value, type); });
    }
    if (word == "enum") return std::find(rule.begin(), rule.end(), value) != rule.end();
    if (word == "anyOf") {
      return std::any_of(rule.begin(), rule.end(), [&](const Json& one) { return Valid(value, one); });
    }
    if (word == "$ref") return Valid(value, root_.at(Json::json_pointer(rule.get<std::string>().substr(1))));
    if (word == "pattern") {
      return !value.is_string() ||
             std::regex_search(value.get<std::string>(), std::regex(rule.get<std::string>()));
    }
    if (word == "maxLength") return !value.is_string() || value.get<std::string>().size() <= rule;
    if (word == "minimum") return !value.is_number() || value >= rule;
    if (word == "maximum") return !value.is_number() || value <= rule;
    if (word == "minItems" || word == "minProperties") return value.size() >= rule;
    if (word == "items") {
      return std::all_of(value.begin(), value.end(), [&](const Json& item) { return Valid(item, rule); });
    }
    if (word == "required") {
      return std::all_of(rule.begin(), rule.end(),
                         [&](const Json& key) { return value.contains(key.get<std::string>()); });
    }
    if (word == "propertyNames" || word == "properties" || word == "additionalProperties") {
      return !value.is_object() || Members(value, schema, word, rule);
    }
    EXPECT_TRUE(word == "description" || word == "$schema" || word == "title" || word == "$defs") << word;
    return true;
  }

  bool Members(const Json& value, const Json& schema, const std::string& word, const Json& rule) const {
    for (const auto& [key, member] : value.items()) {
      const bool named = schema.contains("properties") && schema["properties"].contains(key);
      if (word == "propertyNames" && !Valid(Json(key), rule)) return false;
      if (word == "properties" && named && !Valid(member, rule[key])) return false;
      if (word != "additionalProperties" || named) continue;
      if (rule.is_boolean() ? !rule.get<bool>() : !Valid(member, rule)) return false;
    }
    return true;
  }

  const Json& root_;
};

const Json& Schema() {
  static const Json schema = Json::parse(pipeline::PipelineSchema());
  return schema;
}

bool Valid(const std::string& text) {
  return Validator(Schema()).Valid(Values(text), Schema());
}

TEST(PipelineSchema, HasEveryKeyOfTheReader) {
  for (const pipeline::Mapping* mapping : pipeline::kMappings) {
    std::vector<std::string> keys;
    for (const auto& table : {mapping->keys, mapping->shared}) {
      for (const pipeline::Key& key : table) keys.emplace_back(key.name);
    }
    std::vector<Json> objects = {Schema()};
    for (const auto& [name, definition] : Schema()["$defs"].items()) objects.push_back(definition);
    const bool found = std::any_of(objects.begin(), objects.end(), [&](const Json& object) {
      if (object["properties"].size() != keys.size() || object["additionalProperties"] != false) return false;
      return std::all_of(keys.begin(), keys.end(), [&](const std::string& key) {
        return object["properties"].contains(key) && object["properties"][key].contains("description");
      });
    });
    EXPECT_TRUE(found) << mapping->noun;
  }
  EXPECT_EQ(Schema()["$defs"].size() + 1, pipeline::kMappings.size());
}

TEST(PipelineSchema, WhatTheReaderTakesIsValid) {
  std::vector<std::string> files = {std::string(WAGGLE_SOURCES) + "/.waggle.yml"};
  for (const auto& entry :
       std::filesystem::directory_iterator(WAGGLE_SOURCES "/tests/fuzz/corpus/pipeline")) {
    files.push_back(entry.path().string());
  }
  int taken = 0;
  for (const std::string& file : files) {
    const std::string text = ReadFile(file, 1 << 20).value_or("");
    if (!pipeline::ParsePipeline(text, file, {}).ok()) continue;
    auto prepared = yaml::Prepare(text, file, yaml::kPipelineFile);
    ASSERT_TRUE(prepared.ok());
    EXPECT_TRUE(Valid(*prepared)) << file;
    ++taken;
  }
  EXPECT_GE(taken, 7) << "the corpus has full.yml, the example of the handbook, and others that are right";
  EXPECT_TRUE(std::count(files.begin(), files.end(), WAGGLE_SOURCES "/tests/fuzz/corpus/pipeline/full.yml"));
}

TEST(PipelineSchema, WhatTheReaderRefusesByShapeIsNotValid) {
  for (const char* text :
       {"tset: x", "test: {stpes: x}", "test: [{name: x}]", "jobs: {a: x}", "jobs: {a b: {test: x}}",
        "jobs: {a: {test: x, services: []}}", "jobs: {a: {test: x, timeout: 10}}", "version: 2",
        "jobs: {a: {test: x, kind: test}}", "jobs: {a: {test: x, when: {event: commit}}}",
        "jobs: {a: {test: x, retry: 11}}", "jobs: {a: {test: x, matrix: {a: b}}}", "concurrency: {limit: 1}",
        "jobs: {a: {test: x, network: no}}", "vars: {a-b: c}", "test: [{run: x, shell: zsh}]",
        "jobs: {a: {test: x, plugins: [{with: {}}]}}"}) {
    EXPECT_FALSE(pipeline::ParsePipeline(std::string(text) + "\n", "f", {}).ok()) << text;
    EXPECT_FALSE(Valid(std::string(text) + "\n")) << text;
  }
}

TEST(Explanations, ThereIsOneForEveryCodeInTheSources) {
  std::vector<std::string> known;
  for (const Explanation& explanation : Explanations()) {
    known.emplace_back(explanation.code);
    EXPECT_NE(explanation.title, "");
    EXPECT_NE(explanation.text, "");
  }
  EXPECT_TRUE(std::is_sorted(known.begin(), known.end()));
  EXPECT_EQ(std::adjacent_find(known.begin(), known.end()), known.end());
  const std::regex code("WG[0-9]{3}");
  for (const char* folder : {"common", "queen", "drone", "tools"}) {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(std::string(WAGGLE_SOURCES "/") + folder)) {
      if (entry.path().extension() != ".cc" && entry.path().extension() != ".h") continue;
      const std::string text = ReadFile(entry.path().string(), 1 << 20).value_or("");
      for (std::sregex_iterator match(text.begin(), text.end(), code), end; match != end; ++match) {
        EXPECT_TRUE(std::binary_search(known.begin(), known.end(), match->str()))
            << match->str() << " of " << entry.path() << " has no entry in tools/waggle/explain.cc";
      }
    }
  }
}

}  // namespace
}  // namespace waggle::cli
