#include "drone/vcs/request.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"

namespace waggle::vcs {

const char* const kUsage =
    "usage: waggle-git resolve  --mirrors DIR --url URL [--branch B] [--id SHA] [--fetch REFSPEC]\n"
    "       waggle-git read     --mirrors DIR --url URL --id SHA --path FILE --max-bytes N\n"
    "       waggle-git checkout --mirrors DIR --url URL [--branch B] [--id SHA] [--fetch REFSPEC] --target "
    "DIR [--own]\n"
    "with each: [--deadline SECONDS] [--credentials] (then standard input gives username, password or "
    "sshkey)\n";

namespace {

constexpr std::size_t kReferenceBytes = 1024;
constexpr std::size_t kMinIdDigits = 7;
constexpr std::size_t kIdDigits = 40;

using Values = std::map<std::string, std::string>;

absl::Status Bad(std::string_view option, std::string_view value, std::string_view cause) {
  return absl::InvalidArgumentError(
      absl::StrCat("--", std::string(option), " \"", Printable(value), "\" ", std::string(cause)));
}

absl::StatusOr<Values> Collect(const std::vector<std::string>& arguments) {
  static const char* const kKnown[] = {"mirrors", "url",       "branch", "id",      "fetch",
                                       "path",    "max-bytes", "target", "deadline"};
  Values values;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word == "--credentials") {
      values["credentials"] = "yes";
      continue;
    }
    if (word == "--own") {
      values["own"] = "yes";
      continue;
    }
    std::string name = word.rfind("--", 0) == 0 ? word.substr(2) : "";
    if (std::find(std::begin(kKnown), std::end(kKnown), name) == std::end(kKnown)) {
      return absl::InvalidArgumentError(absl::StrCat("unknown argument \"", Printable(word), "\""));
    }
    if (i + 1 == arguments.size()) return absl::InvalidArgumentError(absl::StrCat(word, " needs a value"));
    if (!values.emplace(name, arguments[++i]).second) {
      return absl::InvalidArgumentError(absl::StrCat(word, " is given twice"));
    }
  }
  return values;
}

// The rules of git-check-ref-format, by libgit2; no name that passes can leave the directory of references.
absl::Status CheckReference(std::string_view option, const std::string& value, const std::string& whole) {
  static const int started = git_libgit2_init();  // counted; its name check crashes before the first start
  int valid = started > 0 ? 0 : -1;
  if (value.size() > kReferenceBytes)
    return Bad(option, value, absl::StrCat("is longer than ", kReferenceBytes, " bytes"));
  bool dash = value.empty() || value.front() == '-';
  if (dash || git_reference_name_is_valid(&valid, whole.c_str()) != 0 || valid == 0) {
    return Bad(option, value, "is not a valid reference name; use a name that git accepts");
  }
  return absl::OkStatus();
}

absl::Status SetBranch(const std::string& value, Wanted* wanted) {
  if (value.empty()) return absl::OkStatus();
  bool whole = value.rfind("refs/", 0) == 0;
  RETURN_IF_ERROR(CheckReference("branch", value, whole ? value : absl::StrCat("refs/heads/", value)));
  wanted->branch = value;
  return absl::OkStatus();
}

absl::Status SetId(std::string value, bool abbreviated, Wanted* wanted) {
  if (value.empty()) return absl::OkStatus();
  value = absl::AsciiStrToLower(value);
  bool hex = std::all_of(value.begin(), value.end(), [](unsigned char c) { return absl::ascii_isxdigit(c); });
  std::size_t least = abbreviated ? kMinIdDigits : kIdDigits;
  if (!hex || value.size() < least || value.size() > kIdDigits) {
    return Bad(
        "id", value,
        abbreviated ? "is not a commit id of 7 to 40 hex digits" : "is not a commit id of 40 hex digits");
  }
  wanted->id = std::move(value);
  return absl::OkStatus();
}

// The refspec's source names one reference; where it lands is our affair, so a destination is dropped.
absl::Status SetFetch(std::string_view value, Wanted* wanted) {
  if (value.empty()) return absl::OkStatus();
  std::string_view name = value;
  if (name.front() == '+') name.remove_prefix(1);
  name = name.substr(0, name.find(':'));
  std::string whole(name);
  if (name.find('*') != std::string_view::npos) return Bad("fetch", value, "names many references; name one");
  if (name.rfind("refs/", 0) != 0)
    return Bad("fetch", value, "does not start with refs/; use for example +refs/pull/1/merge");
  RETURN_IF_ERROR(CheckReference("fetch", whole, whole));
  wanted->fetch = std::move(whole);
  return absl::OkStatus();
}

absl::Status SetDirectory(std::string_view option, const std::string& value, std::string* out) {
  bool control =
      std::any_of(value.begin(), value.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (control) return Bad(option, value, "has control characters");
  std::vector<std::string> parts = absl::StrSplit(value, '/');
  if (std::find(parts.begin(), parts.end(), "..") != parts.end()) return Bad(option, value, "contains ..");
  *out = value;
  while (out->size() > 1 && out->back() == '/') out->pop_back();
  return absl::OkStatus();
}

absl::Status SetDeadline(const std::string& value, Request* request) {
  if (value.empty()) return absl::OkStatus();
  int seconds = 0;
  if (!absl::SimpleAtoi(value, &seconds) || seconds < 1 || seconds > kMaxDeadline.count()) {
    return Bad("deadline", value,
               absl::StrCat("is not a number of seconds from 1 to ", kMaxDeadline.count()));
  }
  request->deadline = std::chrono::seconds(seconds);
  return absl::OkStatus();
}

absl::Status SetRead(Values& values, Request* request) {
  if (request->wanted.id.empty()) return absl::InvalidArgumentError("read needs --id");
  request->path = values["path"];
  if (request->path.empty() || request->path.front() == '/') {
    return Bad("path", request->path, "is not a path relative to the repository's root");
  }
  if (!absl::SimpleAtoi(values["max-bytes"], &request->max_bytes) || request->max_bytes == 0) {
    return Bad("max-bytes", values["max-bytes"], "is not a number of bytes above 0");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Request> ParseRequest(const std::vector<std::string>& arguments) {
  Request request;
  if (arguments.empty()) return absl::InvalidArgumentError("a verb is missing");
  if (arguments[0] == "resolve") {
    request.verb = Verb::kResolve;
  } else if (arguments[0] == "read") {
    request.verb = Verb::kRead;
  } else if (arguments[0] == "checkout") {
    request.verb = Verb::kCheckout;
  } else {
    return absl::InvalidArgumentError(absl::StrCat("unknown verb \"", Printable(arguments[0]), "\""));
  }
  ASSIGN_OR_RETURN(Values values, Collect(arguments));
  if (values["mirrors"].empty()) return absl::InvalidArgumentError("--mirrors is missing");
  if (values["url"].empty()) return absl::InvalidArgumentError("--url is missing");
  RETURN_IF_ERROR(SetDirectory("mirrors", values["mirrors"], &request.mirrors));
  ASSIGN_OR_RETURN(request.source, ParseSource(values["url"]));
  RETURN_IF_ERROR(SetBranch(values["branch"], &request.wanted));
  RETURN_IF_ERROR(SetId(values["id"], request.verb == Verb::kResolve, &request.wanted));
  RETURN_IF_ERROR(SetFetch(values["fetch"], &request.wanted));
  RETURN_IF_ERROR(SetDeadline(values["deadline"], &request));
  request.credentials = values.contains("credentials");
  if (request.verb == Verb::kRead) RETURN_IF_ERROR(SetRead(values, &request));
  request.own_objects = values.contains("own");
  if (request.own_objects && request.verb != Verb::kCheckout)
    return absl::InvalidArgumentError("only checkout knows --own");
  if (request.verb == Verb::kCheckout) {
    RETURN_IF_ERROR(SetDirectory("target", values["target"], &request.target));
    if (request.target.size() < 2 || request.target.front() != '/') {
      return Bad("target", request.target, "is not an absolute directory");
    }
  }
  return request;
}

}  // namespace waggle::vcs
