#include "grapes/report/responses.h"

#include "grapes/report/plots.h"

#include <algorithm>

namespace grapes::report {
using svg::Drawing;
using svg::Point;
namespace {

constexpr double panel_width = 312, panel_height = 248;
constexpr std::size_t panels_across = 3;

Drawing panel(const DeviceResponse& device, std::size_t slot) {
  const std::size_t last = device.mean.size() - 1;
  double low = 0, high = 0;
  for (std::size_t n = 0; n <= last; ++n) {
    low = std::min({low, device.mean[n] - device.sd[n], device.expected[n]});
    high = std::max({high, device.mean[n] + device.sd[n], device.expected[n]});
  }
  if (high == low) high = low + 1;
  Drawing drawing(panel_width, panel_height);
  const Frame frame{44, 44, panel_width - 10, panel_height - 42};
  const svg::Scale x{0, static_cast<double>(std::max<std::size_t>(last, 1)), frame.left + 4, frame.right};
  const svg::Scale y{low - 0.04 * (high - low), high + 0.04 * (high - low), frame.bottom, frame.top};
  axes(drawing, frame, x, y, svg::ticks(x.low, x.high, 4), svg::ticks(y.low, y.high, 5), "pulses", "");
  drawing.text({4, 14}, device.name, "class=\"strong\"");
  drawing.text({4, 30}, device.note, "class=\"small muted\"");
  const double turn = x(static_cast<double>(device.turn));
  drawing.line({turn, frame.top}, {turn, frame.bottom}, "class=\"reference\"");
  drawing.text({turn - 5, frame.bottom - 6}, "up", "class=\"small muted\" text-anchor=\"end\"");
  drawing.text({turn + 5, frame.bottom - 6}, "down", "class=\"small muted\"");

  // As many points as can be told apart, the turn and the end among them.
  const std::size_t every = std::max<std::size_t>(1, last / 240);
  std::vector<Point> mean, above, band, expected;
  for (std::size_t n = 0; n <= last; ++n) {
    if (n % every != 0 && n != device.turn && n != last) continue;
    const double at = x(static_cast<double>(n));
    mean.emplace_back(at, y(device.mean[n]));
    expected.emplace_back(at, y(device.expected[n]));
    band.emplace_back(at, y(device.mean[n] + device.sd[n]));
    above.emplace_back(at, y(device.mean[n] - device.sd[n]));
  }
  band.insert(band.end(), above.rbegin(), above.rend());
  const std::string color = " a" + std::to_string(slot) + "\"";
  drawing.polygon(band, "class=\"band" + color);
  drawing.polyline(mean, "class=\"line" + color);
  drawing.polyline(expected, "class=\"over\" stroke-dasharray=\"4 4\"");
  return drawing;
}

/// What the lines are, with a sample of each.
Drawing key() {
  Drawing drawing(panel_width, 26);
  drawing.polygon({{0, 6}, {30, 6}, {30, 20}, {0, 20}}, "class=\"band a2\"");
  drawing.line({0, 13}, {30, 13}, "class=\"line a2\"");
  drawing.text({38, 17}, "mean and standard deviation of the weights", "class=\"small\"");
  drawing.line({345, 13}, {375, 13}, "class=\"over\" stroke-dasharray=\"4 4\"");
  drawing.text({383, 17}, "mean of their closed forms, without noise", "class=\"small\"");
  return drawing;
}

}  // namespace

std::string response_picture(const std::vector<DeviceResponse>& devices) {
  const std::size_t across = std::clamp<std::size_t>(devices.size(), 2, panels_across);
  const std::size_t down = (devices.size() + across - 1) / across;
  Drawing all(32 + static_cast<double>(across) * panel_width, 92 + static_cast<double>(down) * panel_height);
  all.rectangle({0.5, 0.5}, all.width() - 1, all.height() - 1, "class=\"card\" rx=\"10\" stroke=\"var(--hair)\"");
  all.text({20, 34}, "Weights of analog devices under pulses", "class=\"heading\"");
  all.place(key(), {20, 46});
  for (std::size_t i = 0; i < devices.size(); ++i)
    all.place(panel(devices[i], 2), {16 + static_cast<double>(i % across) * panel_width,
                                     84 + static_cast<double>(i / across) * panel_height});
  return all.element("picture", "Weights of analog devices under pulses",
                     "A panel for each device: pulses up, then down; mean over many devices as a line, one standard "
                     "deviation as a band, the mean of their closed forms, without noise as a broken line.",
                     plot_style());
}

}  // namespace grapes::report
