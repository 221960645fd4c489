#include "tools/bench/report.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace waggle::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Figure Jobs() {
  Figure figure;
  figure.id = "B1";
  figure.what = "jobs → done";
  figure.unit = "jobs/s";
  figure.values = {300, 200, 400};
  figure.floor = "F1";
  figure.floor_values = {1000, 1000, 1000};
  figure.better = Figure::Better::kHigher;
  figure.judged = Figure::Judged::kRatio;
  figure.first_light = 0.2;
  figure.goal = 0.4;
  return figure;
}

TEST(Report, ShowsMedianRangeRatioAndVerdicts) {
  Surroundings here;
  here.cpu = "Some CPU";
  here.commit = "abc123";
  const std::string text = TextReport(here, {Jobs()});
  EXPECT_THAT(text, HasSubstr("Some CPU"));
  EXPECT_THAT(text, HasSubstr("abc123"));
  EXPECT_THAT(text, HasSubstr("300 [200 400]"));
  EXPECT_THAT(text, HasSubstr("0.300 [0.200 0.400]"));
  EXPECT_THAT(text, HasSubstr("≥ 0.200 met (ratio)"));
  EXPECT_THAT(text, HasSubstr("≥ 0.400 MISSED (ratio)"));
  EXPECT_THAT(text, Not(HasSubstr("quick")));
  here.quick = true;
  EXPECT_THAT(TextReport(here, {Jobs()}), HasSubstr("not for comparing"));
}

TEST(Report, ColumnsAlignWithCharactersOfSeveralBytes) {
  Figure plain = Jobs();
  plain.what = "jobs - done";
  const std::string text = TextReport({}, {Jobs(), plain});
  const std::string arrow = text.substr(text.find("B1  jobs →")), dash = text.substr(text.find("B1  jobs -"));
  EXPECT_EQ(arrow.find("300 ["), dash.find("300 [") + 2);  // bytes of the arrow beyond its one column
}

TEST(Report, JsonHoldsEverything) {
  const nlohmann::json json = JsonReport({}, {Jobs()});
  const nlohmann::json& figure = json["figures"][0];
  EXPECT_EQ(figure["id"], "B1");
  EXPECT_EQ(figure["value"]["median"], 300);
  EXPECT_EQ(figure["value"]["values"].size(), 3u);
  EXPECT_EQ(figure["floor"]["name"], "F1");
  EXPECT_EQ(figure["ratio"]["max"], 0.4);
  EXPECT_EQ(figure["first_light"]["met"], true);
  EXPECT_EQ(figure["goal"]["met"], false);
  Figure bare;
  EXPECT_FALSE(JsonReport({}, {bare})["figures"][0].contains("floor"));
}

TEST(Machine, IsReadFromProc) {
  EXPECT_EQ(CpuModel("processor\t: 0\nmodel name\t: AMD EPYC 7B13\ncpu MHz\t: 2450\n"), "AMD EPYC 7B13");
  EXPECT_EQ(CpuModel("nothing"), "");
  EXPECT_EQ(MemoryMiB("MemTotal:       24683212 kB\nMemFree: 1 kB\n"), 24104);
  EXPECT_EQ(MemoryMiB(""), 0);
  EXPECT_EQ(MemoryMiB("MemTotal: many\n"), 0);
  const Surroundings here = Here();
  EXPECT_GT(here.cores, 0);
  EXPECT_GT(here.memory_mib, 0);
  EXPECT_NE(here.grpc, "");
}

}  // namespace
}  // namespace waggle::bench
