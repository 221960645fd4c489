#include "tests/support/history.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"

namespace waggle::test {
namespace {

using Json = nlohmann::json;

constexpr const char* kOpNames[] = {"submit", "state",  "missing",   "attempt", "start",
                                    "end",    "output", "watch_end", "stored",  "note"};
constexpr std::size_t kMostBytes = std::size_t{1} << 30;  // of a history: what a checker can hold

absl::Status Bad(const std::string& field, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("field ", field, " ", why));
}

// Reads the fields of one line, each at most once; what is left in the end is unknown.
class Fields {
 public:
  explicit Fields(Json json) : json_(std::move(json)) {}

  void Take(const char* name, std::string* value) {
    if (auto at = Find(name); at != json_.end()) {
      if (!at->is_string()) return Fail(name, "is no string");
      *value = at->get<std::string>();
      json_.erase(at);
    }
  }
  template <typename Number>
  void Take(const char* name, Number* value) {
    if (auto at = Find(name); at != json_.end()) {
      if (!at->is_number_unsigned()) return Fail(name, "is no whole number");
      *value = at->get<Number>();
      json_.erase(at);
    }
  }
  absl::Status Finish() {
    if (status_.ok() && !json_.empty()) Fail(json_.begin().key().c_str(), "is not known");
    return status_;
  }

 private:
  Json::iterator Find(const char* name) { return status_.ok() ? json_.find(name) : json_.end(); }
  void Fail(const char* name, const char* why) { status_ = Bad(name, why); }

  Json json_;
  absl::Status status_;
};

absl::Status AtLine(const absl::Status& status, const std::string& path, std::size_t line) {
  return absl::InvalidArgumentError(absl::StrCat(path, ":", line, ": ", status.message()));
}

// Without the last one if it has no newline.
absl::StatusOr<std::vector<std::string>> WholeLines(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path, kMostBytes));
  std::vector<std::string> lines = absl::StrSplit(content, '\n');
  lines.pop_back();
  return lines;
}

std::string Witness(const std::string& path, const char* what) {
  return absl::StrCat("{ read -r up _ </proc/uptime; echo \"", what,
                      " $up $WAGGLE_JOB $WAGGLE_ATTEMPT $WAGGLE_PHASE\" >>'", path, "'; }\n");
}

absl::StatusOr<HistoryEntry> FromWitness(const std::string& line) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  HistoryEntry entry{.actor = "witness"};
  double seconds = 0;
  if (words.size() != 5 || (words[0] != "start" && words[0] != "end") ||
      !absl::SimpleAtod(words[1], &seconds) || !absl::SimpleAtoi(words[2], &entry.job) ||
      !absl::SimpleAtoi(words[3], &entry.attempt)) {
    return absl::InvalidArgumentError("the line is not `start|end UPTIME JOB ATTEMPT PHASE`");
  }
  entry.t = static_cast<std::int64_t>(seconds * 1e9);
  entry.op = words[0] == "start" ? Op::kStart : Op::kEnd;
  entry.phase = words[4];
  return entry;
}

}  // namespace

std::string ToLine(const HistoryEntry& entry) {
  Json json = {{"t", entry.t}, {"op", kOpNames[static_cast<std::size_t>(entry.op)]}};
  auto put = [&json](const char* name, const auto& value) {
    if (value != std::decay_t<decltype(value)>{}) json[name] = value;
  };
  put("began", entry.began);
  put("actor", entry.actor);
  put("job", entry.job);
  put("attempt", entry.attempt);
  put("key", entry.key);
  put("state", entry.state);
  put("reason", entry.reason);
  put("phase", entry.phase);
  put("stream", entry.stream);
  put("offset", entry.offset);
  put("data", absl::Base64Escape(entry.data));
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

absl::StatusOr<HistoryEntry> FromLine(std::string_view line) {
  Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("the line is no JSON object");
  Fields fields(std::move(json));
  HistoryEntry entry;
  std::string op, data;
  fields.Take("t", &entry.t);
  fields.Take("began", &entry.began);
  fields.Take("actor", &entry.actor);
  fields.Take("op", &op);
  fields.Take("job", &entry.job);
  fields.Take("attempt", &entry.attempt);
  fields.Take("key", &entry.key);
  fields.Take("state", &entry.state);
  fields.Take("reason", &entry.reason);
  fields.Take("phase", &entry.phase);
  fields.Take("stream", &entry.stream);
  fields.Take("offset", &entry.offset);
  fields.Take("data", &data);
  RETURN_IF_ERROR(fields.Finish());
  const auto* name = std::find(std::begin(kOpNames), std::end(kOpNames), op);
  if (name == std::end(kOpNames)) return Bad("op", op.empty() ? "is missing" : "is unknown: " + op);
  entry.op = static_cast<Op>(name - std::begin(kOpNames));
  if (!absl::Base64Unescape(data, &entry.data)) return Bad("data", "is no base64");
  return entry;
}

absl::StatusOr<std::unique_ptr<History>> History::Create(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd file, Open(path, O_WRONLY | O_CREAT | O_APPEND));
  return std::unique_ptr<History>(new History(path, std::move(file)));
}

void History::Append(HistoryEntry entry) {
  absl::MutexLock lock(&mutex_);
  if (entry.t == 0) entry.t = BootClock::now().time_since_epoch().count();
  const absl::Status written = WriteAll(file_.get(), ToLine(entry) + "\n");
  if (written.ok()) return;
  std::fprintf(stderr, "the history %s cannot be written: %s\n", path_.c_str(),
               std::string(written.message()).c_str());
  std::abort();
}

absl::StatusOr<std::vector<HistoryEntry>> LoadHistory(const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<std::string> lines, WholeLines(path));
  std::vector<HistoryEntry> entries;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    absl::StatusOr<HistoryEntry> entry = FromLine(lines[i]);
    if (!entry.ok()) return AtLine(entry.status(), path, i + 1);
    entries.push_back(*std::move(entry));
  }
  return entries;
}

std::string WitnessStart(const std::string& path) {
  return Witness(path, "start");
}
std::string WitnessEnd(const std::string& path) {
  return Witness(path, "end");
}

absl::StatusOr<std::vector<HistoryEntry>> LoadWitness(const std::string& path) {
  std::vector<HistoryEntry> entries;
  if (!FileExists(path)) return entries;
  ASSIGN_OR_RETURN(const std::vector<std::string> lines, WholeLines(path));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    absl::StatusOr<HistoryEntry> entry = FromWitness(lines[i]);
    if (!entry.ok()) return AtLine(entry.status(), path, i + 1);
    entries.push_back(*std::move(entry));
  }
  return entries;
}

}  // namespace waggle::test
