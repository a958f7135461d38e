#pragma once

#include <ATen/core/Tensor.h>

#include <string>

/// Spiking neural units in plain loops, without autograd and without code shared with the tested implementation.
namespace grapes::testing {

struct SnuCase {
  std::string g, output, reset, surrogate;
  double width = 1;
  bool detach_reset = false;
  bool recurrent = false;
  bool compounding = false, local = false;
  std::int64_t truncate = 0;
  bool eprop = false;
  at::Tensor x;                   ///< [time, batch, in], float64 as all others
  at::Tensor W, R, decay, theta;  ///< [unit, in], [unit, unit], [unit], [unit]
  at::Tensor bias, rho, alpha;    ///< [unit]; undefined: 0. α of a synaptic current that is initially 0
  at::Tensor m;                   ///< [unit]: factor; ones for no modulation
  at::Tensor s0, y0;              ///< [batch, unit]
  at::Tensor present;             ///< [time, batch] bool
};
struct SnuValues {
  at::Tensor y, s;  ///< [time, batch, unit]
};
struct SnuGradients {
  at::Tensor x, W, R, decay, theta, s0, y0, bias;
};
SnuValues forward(const SnuCase& c);
/// @param ey, es  dL/dy and dL/ds, [time, batch, unit]
SnuGradients backward(const SnuCase& c, const SnuValues& values, const at::Tensor& ey, const at::Tensor& es);

/// The surrogates with the formulas of their papers, u = (s - θ) / width.
double surrogate_by_hand(const std::string& name, double u);

}  // namespace grapes::testing
