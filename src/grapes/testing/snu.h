#pragma once

#include <ATen/core/Tensor.h>

#include <string>

/// Spiking neural units once more, number by number in loops: no autograd, nothing shared with what is tested.
namespace grapes::testing {

struct SnuCase {
  std::string g, output, reset, surrogate;
  double width = 1;
  bool detach_reset = false;
  bool recurrent = false;
  bool compounding = false, local = false;
  std::int64_t truncate = 0;
  double synapse = 0;  ///< its current begins at 0
  bool eprop = false;
  at::Tensor x;                   ///< [time, batch, in], float64 as all else
  at::Tensor W, R, decay, theta;  ///< [node, in], [node, node], [node], [node]
  at::Tensor m;                   ///< [node]: factor, ones for none
  at::Tensor s0, y0;              ///< [batch, node]
  at::Tensor present;             ///< [time, batch] bool
};
struct SnuValues {
  at::Tensor y, s;  ///< [time, batch, node]
};
struct SnuGradients {
  at::Tensor x, W, R, decay, theta, s0, y0;
};
SnuValues forward(const SnuCase& c);
/// @param ey, es  dL/dy and dL/ds, [time, batch, node]
SnuGradients backward(const SnuCase& c, const SnuValues& values, const at::Tensor& ey, const at::Tensor& es);

/// The surrogates from their papers, u = (s - θ) / width.
double surrogate_by_hand(const std::string& name, double u);

}  // namespace grapes::testing
