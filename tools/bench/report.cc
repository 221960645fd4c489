#include "tools/bench/report.h"

#include <grpcpp/grpcpp.h>
#include <sqlite3.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/version.h"

namespace waggle::bench {
namespace {

using Json = nlohmann::json;

// The value of the first line "NAME : VALUE".
std::string FieldOf(std::string_view text, std::string_view name) {
  for (absl::string_view line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (absl::StripAsciiWhitespace(parts.first) == absl::string_view(name.data(), name.size())) {
      return std::string(absl::StripAsciiWhitespace(parts.second));
    }
  }
  return "";
}

std::string FileText(const std::string& path) {
  return ReadFile(path, limits::kMiB).value_or("");
}

// Columns by characters, not bytes: "→" and "µ" have several.
std::size_t Width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string Range(const std::vector<double>& sample) {
  const Summary s = Summarize(sample);
  if (sample.empty()) return "-";
  if (sample.size() == 1) return Number(s.median);
  return absl::StrCat(Number(s.median), " [", Number(s.min), " ", Number(s.max), "]");
}

std::string Verdict(const Figure& figure, std::optional<double> target, std::optional<bool> met) {
  if (!target) return "-";
  const char* sign = figure.better == Figure::Better::kHigher ? "≥ " : "≤ ";
  return absl::StrCat(sign, Number(*target), !met ? "" : *met ? " met" : " MISSED");
}

using Row = std::vector<std::string>;

std::string Table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&line, row[i], std::string(widths[i] - Width(row[i]) + 2, ' '));
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

Json SummaryJson(const std::vector<double>& sample) {
  const Summary s = Summarize(sample);
  return {{"median", s.median}, {"min", s.min}, {"max", s.max}, {"values", sample}};
}

Json FigureJson(const Figure& figure) {
  Json json = {{"id", figure.id},
               {"what", figure.what},
               {"unit", figure.unit},
               {"value", SummaryJson(figure.values)},
               {"better", figure.better == Figure::Better::kHigher ? "higher" : "lower"},
               {"judged", figure.judged == Figure::Judged::kRatio ? "ratio" : "value"}};
  if (!figure.floor.empty()) {
    json["floor"] = SummaryJson(figure.floor_values);
    json["floor"]["name"] = figure.floor;
    json["ratio"] = SummaryJson(Ratios(figure.values, figure.floor_values));
  }
  auto target = [&json](const char* name, std::optional<double> value, std::optional<bool> met) {
    if (!value) return;
    json[name] = {{"target", *value}};
    if (met) json[name]["met"] = *met;
  };
  target("first_light", figure.first_light, MeetsFirstLight(figure));
  target("goal", figure.goal, MeetsGoal(figure));
  return json;
}

}  // namespace

std::string CpuModel(std::string_view cpuinfo) {
  return FieldOf(cpuinfo, "model name");
}

long MemoryMiB(std::string_view meminfo) {
  long kib = 0;
  const std::string field = FieldOf(meminfo, "MemTotal");
  return absl::SimpleAtoi(absl::StripSuffix(field, " kB"), &kib) ? kib / 1024 : 0;
}

std::string LoadAverage() {
  return std::string(absl::StripAsciiWhitespace(FileText("/proc/loadavg")));
}

Surroundings Here() {
  Surroundings here;
  here.cpu = CpuModel(FileText("/proc/cpuinfo"));
  here.memory_mib = MemoryMiB(FileText("/proc/meminfo"));
  here.cores = ::sysconf(_SC_NPROCESSORS_ONLN);
  utsname name{};
  ::uname(&name);
  here.kernel = absl::StrCat(name.sysname, " ", name.release, " ", name.machine);
  here.grpc = grpc::Version();
  here.sqlite = sqlite3_libversion();
#ifdef __clang__
  here.compiler = __VERSION__;
#else
  here.compiler = "g++ " __VERSION__;
#endif
  here.durability = "SQLite WAL synchronous=FULL; logs synced before they are acknowledged";
  here.load_before = LoadAverage();
  return here;
}

std::string TextReport(const Surroundings& here, const std::vector<Figure>& figures) {
  std::string text = absl::StrCat("machine     ", here.cpu, ", ", here.cores, " cores, ", here.memory_mib,
                                  " MiB, ", here.kernel, "\n", "load        ", here.load_before, " before; ",
                                  here.load_after, " after\n", "durability  ", here.durability, "\n",
                                  "versions    waggle ", std::string(kVersion), " (", here.commit, "), gRPC ",
                                  here.grpc, ", SQLite ", here.sqlite, ", ", here.compiler, "\n");
  if (here.quick)
    absl::StrAppend(&text, "quick       one small repetition of each: for looking, not for comparing\n");
  std::vector<Row> rows = {
      {"id", "what", "median [min max]", "unit", "floor", "ratio to it", "first light", "goal"}};
  for (const Figure& f : figures) {
    const std::vector<double> ratios = Ratios(f.values, f.floor_values);
    const char* of = f.judged == Figure::Judged::kRatio ? " (ratio)" : "";
    rows.push_back(
        {f.id, f.what, Range(f.values), f.unit,
         f.floor.empty() ? "-" : absl::StrCat(f.floor, " ", Number(Summarize(f.floor_values).median)),
         f.floor.empty() ? "-" : Range(ratios),
         absl::StrCat(Verdict(f, f.first_light, MeetsFirstLight(f)), f.first_light ? of : ""),
         absl::StrCat(Verdict(f, f.goal, MeetsGoal(f)), f.goal ? of : "")});
  }
  return absl::StrCat(text, "\n", Table(rows));
}

Json JsonReport(const Surroundings& here, const std::vector<Figure>& figures) {
  Json json = {{"machine",
                {{"cpu", here.cpu},
                 {"cores", here.cores},
                 {"memory_mib", here.memory_mib},
                 {"kernel", here.kernel},
                 {"load_before", here.load_before},
                 {"load_after", here.load_after}}},
               {"versions",
                {{"waggle", kVersion},
                 {"commit", here.commit},
                 {"grpc", here.grpc},
                 {"sqlite", here.sqlite},
                 {"compiler", here.compiler}}},
               {"durability", here.durability},
               {"quick", here.quick},
               {"figures", Json::array()}};
  for (const Figure& figure : figures) json["figures"].push_back(FigureJson(figure));
  return json;
}

}  // namespace waggle::bench
