#pragma once

#include "grapes/record/histogram.h"

#include <cstddef>
#include <string>
#include <vector>

/// Pictures that stand alone, as SVG.
namespace grapes::plot {

/// A row of a picture of costs: what it is called and its parts, none below 0.
struct CostBar {
  std::string label;
  std::vector<double> parts;
};

/// One bar a row, its parts side by side in the order of their names, the sum behind it.
/// @param parts  their names, at most six; each bar has as many
/// @param unit   of all numbers, "µJ"
/// @throws std::invalid_argument unless every bar has a number from 0 for every part
std::string cost_picture(const std::string& title, const std::string& unit, const std::vector<std::string>& parts,
                         const std::vector<CostBar>& bars);

/// One line: "1.00 ▁▂▅█▃▁ 2.00  mean 1.88, sd 0.04, 1.71 to 2.00".
std::string histogram_text(const record::Histogram& histogram);

struct HistogramPanel {
  std::string title;
  record::Histogram histogram;
};
/// Histograms below one another.
/// @param axis  what is counted
std::string histogram_picture(const std::vector<HistogramPanel>& panels, const std::string& axis);

/// How the weights of an analog device answer pulses: index n is after n of them.
struct DeviceResponse {
  std::string name, note;
  std::vector<double> mean, sd, expected;
  std::size_t turn = 0;  ///< pulses up before those down
};

/// One picture, a panel for each device: mean as a line, one standard deviation as a band, `expected` as a broken line.
std::string response_picture(const std::vector<DeviceResponse>& devices);

}  // namespace grapes::plot
