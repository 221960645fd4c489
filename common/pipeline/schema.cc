#include "common/pipeline/schema.h"

#include <array>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/base/vocabulary.h"
#include "common/pipeline/facts.h"
#include "common/pipeline/keys.h"

namespace waggle::pipeline {
namespace {

// Every scalar is a text for the reader, but an editor takes `no` and `1.10` for something else.
constexpr char kAnyScalar[] = R"({"type":["string","number","boolean"]})";

std::string Enum(std::span<const std::string_view> words) {
  std::string out;
  for (std::string_view word : words) absl::StrAppend(&out, out.empty() ? "" : ",", JsonText(word));
  return absl::StrCat(R"({"enum":[)", out, "]}");
}

std::string Range(std::int64_t least, std::int64_t most) {
  return absl::StrCat(R"({"type":"integer","minimum":)", least, R"(,"maximum":)", most, "}");
}

std::string ListOf(const std::string& items) {
  return absl::StrCat(R"({"type":"array","minItems":1,"items":)", items, "}");
}

std::string MapOf(const std::string& values, std::string_view names = "") {
  const std::string pattern =
      names.empty() ? "" : absl::StrCat(R"(,"propertyNames":{"pattern":)", JsonText(names), "}");
  return absl::StrCat(R"({"type":"object","additionalProperties":)", values, pattern, "}");
}

std::string AnyOf(std::initializer_list<std::string> shapes) {
  std::string out;
  for (const std::string& shape : shapes) absl::StrAppend(&out, out.empty() ? "" : ",", shape);
  return absl::StrCat(R"({"anyOf":[)", out, "]}");
}

// Which mapping a shape is, where it is one.
struct Named {
  const Mapping* mapping;
  std::string_view name;      // in $defs
  std::string_view required;  // a key
};
const Named kNamed[] = {
    {&kJob, "job", ""},
    {&kStep, "step", "run"},
    {&kPhaseMap, "phase", ""},
    {&kEnvironmentMap, "environment", ""},
    {&kPrepareMap, "prepare", ""},
    {&kDefaultsMap, "defaults", ""},
    {&kTriggerMap, "trigger", ""},
    {&kFilterMap, "filter", ""},
    {&kWhenMap, "when", ""},
    {&kRetryMap, "retry", ""},
    {&kCheckoutMap, "checkout", ""},
    {&kConcurrencyMap, "concurrency", "group"},
    {&kPlugin, "plugin", "use"},
};

std::string Ref(const Mapping& mapping) {
  for (const Named& named : kNamed) {
    if (named.mapping == &mapping)
      return absl::StrCat(R"({"$ref":"#/$defs/)", std::string(named.name), "\"}");
  }
  return "{}";
}

std::string PhaseOf(const Mapping& mapping) {
  const std::string step = AnyOf({kAnyScalar, Ref(kStep)});
  return AnyOf({kAnyScalar, ListOf(step), Ref(mapping)});
}

std::string Matrix() {
  const std::string entries = ListOf(MapOf(kAnyScalar));
  return absl::StrCat(R"({"type":"object","minProperties":1,"properties":{"include":)", entries,
                      R"(,"exclude":)", entries, R"(},"additionalProperties":)", ListOf(kAnyScalar), "}");
}

// The scalars and the small shapes around them.
std::string Scalar(Shape shape) {
  switch (shape) {
    case Shape::kName:
      return absl::StrCat(
          R"({"type":["string","number"],"pattern":"^[A-Za-z0-9_][A-Za-z0-9_.-]*$","maxLength":)",
          limits::kNameBytes, "}");
    case Shape::kVersion:
      return R"({"enum":[1,"1"]})";
    case Shape::kFlag:
      return R"({"enum":[true,false,"true","false"]})";
    case Shape::kDuration:
      return R"({"type":"string","pattern":"^([0-9]+[dhms])+$|\\$\\{"})";
    case Shape::kPriority:
      return Range(INT32_MIN, INT32_MAX);
    case Shape::kCount:
      return Range(1, kMostAtATime);
    case Shape::kRetries:
      return Range(0, kMostRetries);
    case Shape::kKind:
      return Enum(std::array{Name(JobType::kTest), Name(JobType::kDeploy), Name(JobType::kTestAndDeploy)});
    case Shape::kIsolation:
      return Enum(kIsolations);
    case Shape::kShell:
      return Enum(kShells);
    case Shape::kStatus:
      return Enum(kStatuses);
    case Shape::kEvents:
      return AnyOf({Enum(kEventNames), ListOf(Enum(kEventNames))});
    default:
      return kAnyScalar;
  }
}

std::string ShapeText(Shape shape) {
  const std::string texts = AnyOf({kAnyScalar, ListOf(kAnyScalar)});
  switch (shape) {
    case Shape::kTexts:
    case Shape::kSecrets:
    case Shape::kPatterns:
      return texts;
    case Shape::kVariables:
      return MapOf(kAnyScalar, "^[A-Za-z_][A-Za-z0-9_]*$");
    case Shape::kLabels:
      return MapOf(kAnyScalar);
    case Shape::kCells:
      return MapOf(texts);
    case Shape::kPlugins:
      return ListOf(AnyOf({R"({"type":"string"})", Ref(kPlugin)}));
    case Shape::kAnything:
      return R"({"type":"object"})";
    case Shape::kSchedules:
      return MapOf(R"({"type":"string"})");
    case Shape::kFilter:
      return AnyOf({texts, Ref(kFilterMap)});
    case Shape::kMatrix:
      return Matrix();
    case Shape::kRetry:
      return AnyOf({Range(0, kMostRetries), Ref(kRetryMap)});
    case Shape::kConcurrency:
      return AnyOf({kAnyScalar, Ref(kConcurrencyMap)});
    case Shape::kSteps:
      return AnyOf({kAnyScalar, ListOf(AnyOf({kAnyScalar, Ref(kStep)}))});
    case Shape::kPhase:
      return PhaseOf(kPhaseMap);
    case Shape::kEnvironment:
      return PhaseOf(kEnvironmentMap);
    case Shape::kPrepare:
      return PhaseOf(kPrepareMap);
    case Shape::kCheckout:
      return Ref(kCheckoutMap);
    case Shape::kTrigger:
      return Ref(kTriggerMap);
    case Shape::kWhen:
      return Ref(kWhenMap);
    case Shape::kDefaults:
      return Ref(kDefaultsMap);
    case Shape::kJobs:
      return MapOf(Ref(kJob), "^[A-Za-z0-9_][A-Za-z0-9_.-]*$");
    default:
      return Scalar(shape);
  }
}

// The inside of an object: what a mapping may have and nothing else.
std::string Body(const Mapping& mapping, std::string_view required) {
  std::string properties;
  for (const auto& table : {mapping.keys, mapping.shared}) {
    for (const Key& key : table) {
      std::string shape = ShapeText(key.shape);
      shape.insert(1, absl::StrCat(R"("description":)", JsonText(key.help), shape == "{}" ? "" : ","));
      absl::StrAppend(&properties, properties.empty() ? "" : ",", JsonText(key.name), ":", shape);
    }
  }
  const std::string needs = required.empty() ? "" : absl::StrCat(R"(,"required":[)", JsonText(required), "]");
  return absl::StrCat(R"("type":"object","properties":{)", properties, R"(},"additionalProperties":false)",
                      needs);
}

}  // namespace

std::string PipelineSchema() {
  std::string defs;
  for (const Named& named : kNamed) {
    absl::StrAppend(&defs, defs.empty() ? "" : ",", JsonText(named.name), ":{",
                    Body(*named.mapping, named.required), "}");
  }
  return absl::StrCat(R"({"$schema":"https://json-schema.org/draft/2020-12/schema",)",
                      R"("title":"Waggle pipeline file",)", Body(kFile, ""), R"(,"$defs":{)", defs, "}}");
}

}  // namespace waggle::pipeline
