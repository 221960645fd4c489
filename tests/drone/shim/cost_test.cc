// What a command costs in every kind of isolation: printed, and bounded generously.
#include <algorithm>
#include <iostream>

#include "gtest/gtest.h"
#include "shim_process.h"

namespace waggle::shim {
namespace {

using namespace std::chrono_literals;

constexpr int kCommands = 200, kTest = 2;

class Cost : public ::testing::TestWithParam<Isolation> {};

TEST_P(Cost, OfACommandThroughTheShim) {
  if (const std::string why = WhyNot(GetParam()); !why.empty())
    GTEST_SKIP() << Name(GetParam()) << " " << why;
  ShimProcess shim;
  Start start = shim.NewStart();
  shim.Isolate(GetParam(), {}, &start);
  Step step;
  step.command = "/bin/true";
  step.args = {"x"};
  start.phases[kTest].assign(kCommands, step);
  ASSERT_EQ(shim.RunToEnd(start), 0) << shim.ShimLog();
  std::vector<std::uint64_t> took;
  for (const journal::CommandEnd& end : shim.Ends()) {
    EXPECT_EQ(end.exit_code, 0) << end.error;
    took.push_back(end.duration_nanos);
  }
  ASSERT_EQ(took.size(), static_cast<std::size_t>(kCommands));
  const double first = static_cast<double>(took.front()) / 1e6;
  std::nth_element(took.begin(), took.begin() + kCommands / 2, took.end());
  const double median = static_cast<double>(took[kCommands / 2]) / 1e6;
  std::cout << Name(GetParam()) << ": " << median << " ms a command, " << first << " ms the first\n";
  EXPECT_LT(median, 100);
}

INSTANTIATE_TEST_SUITE_P(Modes, Cost,
                         ::testing::Values(Isolation::kNone, Isolation::kUser, Isolation::kBubblewrap),
                         [](const auto& info) { return std::string(Name(info.param)); });

}  // namespace
}  // namespace waggle::shim
