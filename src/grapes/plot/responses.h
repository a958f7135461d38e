#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace grapes::plot {

/// How the weights of an analog device answer pulses: index n is after n of them.
struct DeviceResponse {
  std::string name, note;
  std::vector<double> mean, sd, expected;
  std::size_t turn = 0;  ///< pulses up before those down
};

/// One picture, a panel for each device: mean as a line, one standard deviation as a band, `expected` as a broken line.
/// @return SVG that stands alone
std::string response_picture(const std::vector<DeviceResponse>& devices);

}  // namespace grapes::plot
