#include "grapes/plot/responses.h"

#include "grapes/plot/chart.h"

#include <algorithm>

namespace grapes::plot {
namespace {

constexpr double panel_width = 312, panel_height = 248;

Drawing panel(const DeviceResponse& device) {
  const std::size_t last = device.mean.size() - 1, every = std::max<std::size_t>(1, last / 240);
  Extent range;
  range.add(0);
  Curve curve;
  for (std::size_t n = 0; n <= last; ++n) {
    const double low = device.mean[n] - device.sd[n], high = device.mean[n] + device.sd[n];
    for (const double value : {low, high, device.expected[n]}) range.add(value);
    // As many points as can be told apart, the turn and the end among them.
    if (n % every == 0 || n == device.turn || n == last) curve.add(static_cast<double>(n), device.mean[n], low, high);
  }
  range = range.padded(0.04);
  Drawing drawing(panel_width, panel_height);
  const Frame frame{44, 44, panel_width - 10, panel_height - 42};
  const Scale x{0, static_cast<double>(std::max<std::size_t>(last, 1)), frame.left + 4, frame.right};
  const Scale y{range.low, range.high, frame.bottom, frame.top};
  axes(drawing, frame, x, y, ticks(x.low, x.high, 4), ticks(y.low, y.high, 5), "pulses", "");
  drawing.text({4, 14}, device.name, "strong");
  drawing.text({4, 30}, device.note, "small muted");
  const double turn = x(static_cast<double>(device.turn));
  drawing.line({turn, frame.top}, {turn, frame.bottom}, "reference");
  drawing.text({turn - 5, frame.bottom - 6}, "up", "small muted end");
  drawing.text({turn + 5, frame.bottom - 6}, "down", "small muted");
  draw(drawing, {"", "a2", curve}, x, y);
  std::vector<Point> expected;
  for (const double n : curve.x) expected.emplace_back(x(n), y(device.expected[static_cast<std::size_t>(n)]));
  drawing.polyline(expected, "over broken");
  return drawing;
}

}  // namespace

std::string response_picture(const std::vector<DeviceResponse>& devices) {
  const std::size_t across = std::clamp<std::size_t>(devices.size(), 2, 3);
  const std::size_t down = (devices.size() + across - 1) / across;
  Drawing all(32 + static_cast<double>(across) * panel_width, 92 + static_cast<double>(down) * panel_height);
  all.card("Weights of analog devices under pulses");
  all.rectangle({20, 52}, 30, 14, "band a2");  // what the lines are, with a sample of each
  all.line({20, 59}, {50, 59}, "line a2");
  all.text({58, 63}, "mean and standard deviation of the weights", "small");
  all.line({365, 59}, {395, 59}, "over broken");
  all.text({403, 63}, "mean of their closed forms, without noise", "small");
  for (std::size_t i = 0; i < devices.size(); ++i)
    all.place(panel(devices[i]), {16 + static_cast<double>(i % across) * panel_width,
                                  84 + static_cast<double>(i / across) * panel_height});
  return all.element(
      "A panel for each device: pulses up, then down; mean over many devices as a line, one standard deviation as a "
      "band, the mean of their closed forms, without noise, as a broken line.",
      plot_style());
}

}  // namespace grapes::plot
