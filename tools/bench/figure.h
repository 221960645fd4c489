#pragma once

#include <optional>
#include <string>
#include <vector>

// What the bench found, and the arithmetic of it. Pure.
namespace waggle::bench {

// Of a sample of any order; REQUIRES: not empty. The value below which `percent` of the sample lies: nearest
// rank.
double Percentile(std::vector<double> sample, double percent);
inline double Median(std::vector<double> sample) {
  return Percentile(std::move(sample), 50);
}

struct Summary {
  double median = 0, min = 0, max = 0;
};
// All zero for an empty sample.
Summary Summarize(const std::vector<double>& sample);

// value by value; shorter than `values` when the floors are fewer.
std::vector<double> Ratios(const std::vector<double>& values, const std::vector<double>& floors);

// One figure: a value per repetition, each beside its floor, which was measured just before it.
struct Figure {
  enum class Better { kHigher, kLower };
  enum class Judged { kValue, kRatio };  // what the targets speak of

  std::string id;    // "B2a"
  std::string what;  // "submit → first line, p50"
  std::string unit;
  std::vector<double> values;
  std::string floor;                 // "F3 ping-pong"; "" = none
  std::vector<double> floor_values;  // same unit as `values`, one for each of them
  Better better = Better::kLower;
  Judged judged = Judged::kValue;
  std::optional<double> first_light, goal;  // none: there is no target
};

// Of the median. nullopt: there is no such target, or nothing was measured.
std::optional<bool> MeetsFirstLight(const Figure& figure);
std::optional<bool> MeetsGoal(const Figure& figure);

// "0.397", "12.3", "1,234": three digits that count.
std::string Number(double value);

}  // namespace waggle::bench
