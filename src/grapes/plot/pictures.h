#pragma once

#include "grapes/record/histogram.h"

#include <cstddef>
#include <string>
#include <vector>

/// Standalone images as SVG.
namespace grapes::plot {

/// A bar of a cost chart: its name and its parts, which are not negative.
struct CostBar {
  std::string label;
  std::vector<double> parts;
};

/// Draws one bar per row, with its parts side by side in the order of their names and the sum at its end.
/// @param parts  names of the parts, at most six; each bar has as many parts
/// @param unit   of all numbers, "µJ"
/// @throws std::invalid_argument if a bar has a missing or negative part
std::string cost_picture(const std::string& title, const std::string& unit, const std::vector<std::string>& parts,
                         const std::vector<CostBar>& bars);

/// Writes one line: "1.00 ▁▂▅█▃▁ 2.00  mean 1.88, sd 0.04, 1.71 to 2.00".
std::string histogram_text(const record::Histogram& histogram);

struct HistogramPanel {
  std::string title;
  record::Histogram histogram;
};
/// Draws histograms one below the other.
/// @param axis  name of the counted quantity
std::string histogram_picture(const std::vector<HistogramPanel>& panels, const std::string& axis);

/// The weights of an analog device in response to pulses. Index n is after n pulses.
struct DeviceResponse {
  std::string name, note;
  std::vector<double> mean, sd, expected;
  std::size_t turn = 0;  ///< number of pulses up; the pulses down follow
};

/// Draws a panel for each device: the mean as a line, one standard deviation as a band, `expected` as a dashed line.
std::string response_picture(const std::vector<DeviceResponse>& devices);

}  // namespace grapes::plot
