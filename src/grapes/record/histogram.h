#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <vector>

namespace grapes::record {

/// The distribution of numbers in 20 equal bins from `from` to `to`. A bin includes its upper end.
struct Histogram {
  double mean = 0, sd = 0, min = 0, max = 0;  ///< of the numbers; sd with n-1 in the denominator, 0 for one number
  double from = 0, to = 0;
  std::vector<std::int64_t> counts;  ///< numbers outside the range count in the nearest bin
};

/// @param from, to  the range; if they are equal, that of the numbers
Histogram histogram(const std::vector<double>& values, double from = 0, double to = 0);

/// {"mean", "sd", "min", "max", "histogram": counts}.
nlohmann::json to_json(const Histogram& histogram);

}  // namespace grapes::record
