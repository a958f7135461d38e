#include "grapes/analog/responses.h"

#include "grapes/analog/crossbar.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace grapes::analog {

namespace {

/// Returns one device per position of a plane, with its own numbers. Stuck devices are skipped.
std::vector<Device> own_devices(const Device& nominal, const Plane& plane) {
  const auto at = [](const at::Tensor& tensor, std::int64_t i) {
    return static_cast<double>(tensor.data_ptr<float>()[i]);
  };
  std::vector<Device> all(static_cast<std::size_t>(plane.state.numel()), nominal);
  for (std::int64_t i = 0; i < plane.state.numel(); ++i) {
    Device& own = all[static_cast<std::size_t>(i)];
    const double up = at(plane.up, i), down = at(plane.down, i);
    own.step = (up + down) / 2;
    own.imbalance = own.step > 0 ? (up - down) / (up + down) : 0;
    own.low = at(plane.low, i);
    own.high = at(plane.high, i);
  }
  return all;
}

double closed_form(const Device& device, double from, double pulses, bool up) {
  return device.step == 0 || device.low == device.high ? std::clamp(from, device.low, device.high)
                                                       : after_pulses(device, from, pulses, up);
}

}  // namespace

Responses responses(const Device& device, std::int64_t count, std::int64_t pulses, std::uint64_t seed) {
  TORCH_CHECK_VALUE(count >= 2 && pulses >= 1, "responses: at least 2 weights and 1 pulse are needed; got ", count,
                    " and ", pulses);
  Crossbar crossbar = make_crossbar(device, 1, count, {}, seed);
  const std::vector<Device> plus = own_devices(device, crossbar.plus);
  const std::vector<Device> minus = crossbar.paired() ? own_devices(device, crossbar.minus) : std::vector<Device>();
  std::vector<double> tops, expected(plus.size());
  for (const Device& own : plus) tops.push_back(closed_form(own, 0, static_cast<double>(pulses), true));
  Responses result;
  for (std::int64_t n = 0; n <= 2 * pulses; ++n) {
    if (n > 0) pulse_all(crossbar, n <= pulses, n);
    const at::Tensor w = weights(crossbar).to(at::kDouble);
    result.mean.push_back(w.mean().item<double>());
    result.sd.push_back(w.std().item<double>());
    const auto rising = static_cast<double>(n), falling = static_cast<double>(n - pulses);
    for (std::size_t i = 0; i < plus.size(); ++i)
      expected[i] = n <= pulses         ? closed_form(plus[i], 0, rising, true)
                    : crossbar.paired() ? tops[i] - closed_form(minus[i], 0, falling, true)
                                        : closed_form(plus[i], tops[i], falling, false);
    const at::Tensor each = at::from_blob(expected.data(), {count}, at::kDouble);
    result.expected.push_back(each.mean().item<double>());
    result.expected_sd.push_back(each.std().item<double>());
  }
  return result;
}

std::int64_t pulses_to_fill(const Device& device) {
  if (std::isinf(device.high)) return 1000;
  std::int64_t most = 1;
  while (after_pulses(device, 0, static_cast<double>(most), true) < 0.95 * device.high) ++most;
  return most;
}

}  // namespace grapes::analog
