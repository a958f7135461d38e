#pragma once

#include "grapes/analog/crossbar.h"
#include "grapes/base/table.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

/// Shared by the tests of arrays.
namespace grapes::analog {

constexpr double inf = std::numeric_limits<double>::infinity();

inline Device named(const std::string& name) { return find_row(devices(), "device", name); }
/// The device of this name with the same response, but without spread and noise.
inline Device quiet(const std::string& name) {
  Device d = named(name);
  d.step_spread = d.imbalance_spread = d.low_spread = d.high_spread = d.drift_spread = d.reset_spread = 0;
  d.noise_step = d.noise_add = d.noise_state = d.write_noise = d.read_noise = 0;
  d.program_noise = d.program_linear = d.program_square = 0;
  return d;
}
inline Options exact_reads() {
  Options options;
  options.forward = options.backward = {0, 0, 1, inf, 0, true, false};
  return options;
}
inline at::Tensor randoms(at::IntArrayRef shape, std::uint64_t seed) {
  at::manual_seed(seed);
  return at::randn(shape);
}
inline double largest(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

}  // namespace grapes::analog
