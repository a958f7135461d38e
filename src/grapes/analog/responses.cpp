#include "grapes/analog/responses.h"

#include "grapes/analog/crossbar.h"

#include <ATen/ATen.h>

#include <cmath>

namespace grapes::analog {

Responses responses(const Device& device, std::int64_t count, std::int64_t pulses, std::uint64_t seed) {
  TORCH_CHECK_VALUE(count >= 2 && pulses >= 1, "responses: needs 2 weights and a pulse at least; got ", count, " and ",
                    pulses);
  Crossbar crossbar = make_crossbar(device, 1, count, {}, seed);
  Responses result;
  const double top = after_pulses(device, 0, static_cast<double>(pulses), true);
  for (std::int64_t n = 0; n <= 2 * pulses; ++n) {
    if (n > 0) pulse_all(crossbar, n <= pulses, n);
    const at::Tensor w = weights(crossbar).to(at::kDouble);
    result.mean.push_back(w.mean().item<double>());
    result.sd.push_back(w.std().item<double>());
    const auto down = static_cast<double>(n - pulses);
    result.expected.push_back(n <= pulses                      ? after_pulses(device, 0, static_cast<double>(n), true)
                              : device.pair == Pair::one_sided ? top - after_pulses(device, 0, down, true)
                                                               : after_pulses(device, top, down, false));
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
