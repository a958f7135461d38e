#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::cli {

/// How some numbers are spread: 20 equal steps from `from` to `to`.
struct Histogram {
  double mean = 0, sd = 0, low = 0, high = 0;  ///< of the numbers; sd with n in the denominator
  double from = 0, to = 0;
  std::vector<std::int64_t> counts;
};

/// @param from, to  the range to show; where they are equal, that of the numbers
Histogram histogram(const std::vector<double>& values, double from = 0, double to = 0);

/// One line: "1.00 ▁▂▅█▃▁ 2.00  mean 1.88, sd 0.04, 1.71 to 2.00".
std::string histogram_text(const Histogram& histogram);

/// Histograms below one another, as an SVG image that is the same for the same numbers.
struct Panel {
  std::string title;
  Histogram histogram;
};
std::string histogram_svg(const std::vector<Panel>& panels, const std::string& axis);

}  // namespace grapes::cli
