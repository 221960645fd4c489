#include "tools/bench/figure.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace waggle::bench {
namespace {

std::optional<bool> Meets(const Figure& figure, std::optional<double> target) {
  const std::vector<double> sample =
      figure.judged == Figure::Judged::kValue ? figure.values : Ratios(figure.values, figure.floor_values);
  if (!target || sample.empty()) return std::nullopt;
  const double median = Median(sample);
  return figure.better == Figure::Better::kHigher ? median >= *target : median <= *target;
}

}  // namespace

double Percentile(std::vector<double> sample, double percent) {
  std::sort(sample.begin(), sample.end());
  const double rank = std::ceil(percent / 100 * static_cast<double>(sample.size()));
  const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
  return sample[std::min(index, sample.size() - 1)];
}

Summary Summarize(const std::vector<double>& sample) {
  if (sample.empty()) return {};
  const auto [min, max] = std::minmax_element(sample.begin(), sample.end());
  return {Median(sample), *min, *max};
}

std::vector<double> Ratios(const std::vector<double>& values, const std::vector<double>& floors) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(values.size(), floors.size()); ++i) {
    if (floors[i] != 0) ratios.push_back(values[i] / floors[i]);
  }
  return ratios;
}

std::optional<bool> MeetsFirstLight(const Figure& figure) {
  return Meets(figure, figure.first_light);
}

std::optional<bool> MeetsGoal(const Figure& figure) {
  return Meets(figure, figure.goal);
}

std::string Number(double value) {
  const double size = std::abs(value);
  const int decimals = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  std::string number = text;
  if (decimals != 0) return number;
  const std::size_t first = number[0] == '-' ? 1 : 0;
  for (std::size_t at = number.size(); at > first + 3;) number.insert(at -= 3, 1, ',');
  return number;
}

}  // namespace waggle::bench
