#include "tools/bench/figure.h"

#include <gmock/gmock.h>

#include "tools/bench/bench.h"

namespace waggle::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(Percentile, IsTheNearestRankOfAnyOrder) {
  const std::vector<double> sample = {5, 1, 4, 2, 3};
  EXPECT_EQ(Percentile(sample, 0), 1);
  EXPECT_EQ(Percentile(sample, 20), 1);
  EXPECT_EQ(Percentile(sample, 21), 2);
  EXPECT_EQ(Percentile(sample, 50), 3);
  EXPECT_EQ(Percentile(sample, 99), 5);
  EXPECT_EQ(Percentile(sample, 100), 5);
  EXPECT_EQ(Percentile({7}, 1), 7);
  std::vector<double> hundred;
  for (int i = 1; i <= 200; ++i) hundred.push_back(i);
  EXPECT_EQ(Percentile(hundred, 99), 198);
}

TEST(Summary, OfNothingIsZero) {
  EXPECT_EQ(Summarize({}).median, 0);
  const Summary summary = Summarize({3, 9, 1});
  EXPECT_EQ(summary.median, 3);
  EXPECT_EQ(summary.min, 1);
  EXPECT_EQ(summary.max, 9);
}

TEST(Ratios, AreOfEachRepetition) {
  EXPECT_THAT(Ratios({10, 20, 30}, {5, 5, 10}), ElementsAre(2, 4, 3));
  EXPECT_THAT(Ratios({10, 20}, {5}), ElementsAre(2));
  EXPECT_THAT(Ratios({10, 20}, {0, 5}), ElementsAre(4));  // a floor of nothing measures nothing
  EXPECT_THAT(Ratios({1}, {}), IsEmpty());
}

TEST(Targets, AreMetByTheMedianInTheRightDirection) {
  Figure figure;
  figure.values = {1, 2, 9};
  EXPECT_EQ(MeetsGoal(figure), std::nullopt);
  figure.goal = 2;
  EXPECT_EQ(MeetsGoal(figure), true);
  figure.goal = 1.9;
  EXPECT_EQ(MeetsGoal(figure), false);
  figure.better = Figure::Better::kHigher;
  EXPECT_EQ(MeetsGoal(figure), true);
  figure.first_light = 2.1;
  EXPECT_EQ(MeetsFirstLight(figure), false);
}

TEST(Targets, MaySpeakOfTheRatio) {
  Figure figure;
  figure.judged = Figure::Judged::kRatio;
  figure.values = {100, 100};
  figure.floor_values = {50, 50};
  figure.goal = 2;
  EXPECT_EQ(MeetsGoal(figure), true);
  figure.goal = 1.5;
  EXPECT_EQ(MeetsGoal(figure), false);
  figure.floor_values.clear();
  EXPECT_EQ(MeetsGoal(figure), std::nullopt);
}

TEST(Number, HasThreeDigitsThatCount) {
  EXPECT_EQ(Number(0), "0.000");
  EXPECT_EQ(Number(0.3971), "0.397");
  EXPECT_EQ(Number(9.876), "9.88");
  EXPECT_EQ(Number(45.67), "45.7");
  EXPECT_EQ(Number(999.4), "999");
  EXPECT_EQ(Number(1234), "1,234");
  EXPECT_EQ(Number(1234567), "1,234,567");
  EXPECT_EQ(Number(-1234), "-1,234");
}

TEST(Select, GivesEachGroupOnceInItsOrder) {
  EXPECT_EQ(Select({})->size(), Groups().size());
  EXPECT_THAT(*Select({"B5", "B1", "F1"}), SizeIs(2));
  EXPECT_EQ((*Select({"B1", "F1"}))[0]->ids[0], "F1");
  EXPECT_THAT(*Select({"B3c"}), SizeIs(2));
  EXPECT_THAT(std::string(Select({"B1", "B99"}).status().message()), HasSubstr("\"B99\""));
}

TEST(Plan, QuickIsSmaller) {
  EXPECT_GE(Plan().repetitions, 5);
  EXPECT_EQ(QuickPlan().repetitions, 1);
  EXPECT_LT(QuickPlan().log_bytes, Plan().log_bytes);
}

}  // namespace
}  // namespace waggle::bench
