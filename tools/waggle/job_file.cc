#include "tools/waggle/job_file.h"

#include <google/protobuf/descriptor.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/wire/job_document.h"
#include "common/yaml/source.h"
#include "waggle/v1/job.pb.h"

namespace waggle::cli {
namespace {

constexpr std::size_t kJobFileBytes = 1 * limits::kMiB;  // JSON of a document that may have 192 KiB encoded
constexpr std::string_view kUnknownField = ": Cannot find field.";

absl::Status TooLarge(const std::string& name) {
  return absl::InvalidArgumentError(
      absl::StrCat("the job document ", name, " has more than ", kJobFileBytes, " bytes"));
}

absl::StatusOr<std::string> Read(const std::string& path, const std::string& name) {
  absl::StatusOr<std::string> text =
      path == "-" ? ReadToEnd(STDIN_FILENO, name, kJobFileBytes) : ReadFile(path, kJobFileBytes);
  if (absl::IsResourceExhausted(text.status())) return TooLarge(name);
  if (!text.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read the job document: ", text.status().message()));
  }
  return text;
}

// The names of all fields a document may have, at any depth.
void FieldNames(const google::protobuf::Descriptor& message,
                std::vector<const google::protobuf::Descriptor*>* seen,
                std::vector<std::string_view>* names) {
  if (std::find(seen->begin(), seen->end(), &message) != seen->end()) return;
  seen->push_back(&message);
  for (int i = 0; i < message.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *message.field(i);
    names->push_back(field.name());
    if (field.message_type() != nullptr) FieldNames(*field.message_type(), seen, names);
  }
}

// What the library could not take, where it stands if the text says so in only one place.
absl::Status Refused(const yaml::Source& source, const std::string& name, std::string why) {
  why = absl::StrReplaceAll(why, {{"type.googleapis.com/waggle.v1.", ""}, {"job document: ", ""}});
  const std::size_t end = why.find(kUnknownField);
  if (end == std::string::npos)
    return absl::InvalidArgumentError(absl::StrCat(name, " is not a job document\n", why));
  // "tset", "(repo) urll" and "(test[0]) comand" are told as people write paths.
  const std::string path = absl::StrReplaceAll(why.substr(0, end), {{"(", ""}, {") ", "."}, {")", ""}});
  const std::string field = path.substr(path.rfind('.') + 1);
  std::vector<const google::protobuf::Descriptor*> seen;
  std::vector<std::string_view> names;
  FieldNames(*v1::JobDocument::descriptor(), &seen, &names);
  const std::string_view meant = DidYouMean(field, names);
  const std::string hint = meant.empty() ? "" : absl::StrCat("did you mean ", Quoted(meant), "?");
  const std::string what = absl::StrCat("unknown field ", Quoted(path));
  const std::string word = absl::StrCat("\"", field, "\"");
  const std::size_t at = source.text().find(word);
  if (at == std::string_view::npos || source.text().find(word, at + 1) != std::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", what, hint.empty() ? "" : "\n", hint));
  }
  return source.Excerpt(source.At(at), word, what, hint);
}

}  // namespace

absl::Status ReadJobFile(const std::string& path, v1::JobDocument* document) {
  const std::string name = path == "-" ? "standard input" : path;
  ASSIGN_OR_RETURN(const std::string text, Read(path, name));
  const absl::Status status = wire::DocumentFromJson(text, document);
  if (status.ok()) return status;
  // The library does not say where; a second reading does, when it is the syntax that is wrong.
  const yaml::Source source(text, name, yaml::kJobDocumentFile);
  if (const auto bad = FindBadByte(text, false)) {
    return source.Plain(source.At(bad->offset), bad->why, {"next: save the file as plain UTF-8 text"});
  }
  try {
    static_cast<void>(nlohmann::json::parse(text).is_null());
  } catch (const nlohmann::json::parse_error& error) {
    const std::size_t offset = std::min<std::size_t>(error.byte == 0 ? 0 : error.byte - 1, text.size());
    std::string why = error.what();
    why = why.substr(std::min(why.size(), why.find("syntax error")));
    return source.Excerpt(source.At(offset), "", absl::StrCat("not valid JSON: ", why), "");
  }
  return Refused(source, name, std::string(status.message()));
}

}  // namespace waggle::cli
