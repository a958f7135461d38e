#include "grapes/record/histogram.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace grapes::record {

Histogram histogram(const std::vector<double>& values, double from, double to) {
  constexpr std::int64_t bins = 20;
  Histogram result;
  result.counts.resize(bins);
  if (values.empty()) return result;
  const auto n = static_cast<double>(values.size());
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  result.min = *low;
  result.max = *high;
  result.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  for (const double x : values) result.sd += (x - result.mean) * (x - result.mean) / std::max(1.0, n - 1);
  result.sd = std::sqrt(result.sd);
  result.from = from == to ? result.min : from;
  result.to = from == to ? result.max : to;
  const double width = result.to > result.from ? (result.to - result.from) / bins : 1;
  for (const double x : values) {
    const double bin =
        std::ceil((x - result.from) / width - 1e-9) - 1;  // a number at the edge of a bin, up to rounding
    ++result.counts[static_cast<std::size_t>(std::clamp(bin, 0.0, bins - 1.0))];
  }
  return result;
}

nlohmann::json to_json(const Histogram& histogram) {
  return {{"mean", histogram.mean},
          {"sd", histogram.sd},
          {"min", histogram.min},
          {"max", histogram.max},
          {"histogram", histogram.counts}};
}

}  // namespace grapes::record
