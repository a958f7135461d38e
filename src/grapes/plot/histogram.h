#pragma once

#include "grapes/record/histogram.h"

#include <string>
#include <vector>

namespace grapes::plot {

/// One line: "1.00 ▁▂▅█▃▁ 2.00  mean 1.88, sd 0.04, 1.71 to 2.00".
std::string histogram_text(const record::Histogram& histogram);

struct HistogramPanel {
  std::string title;
  record::Histogram histogram;
};
/// Histograms below one another, SVG that stands alone.
/// @param axis  what is counted
std::string histogram_picture(const std::vector<HistogramPanel>& panels, const std::string& axis);

}  // namespace grapes::plot
