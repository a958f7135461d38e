#pragma once

#include "grapes/kernels/dense.h"
#include "grapes/kernels/snu_rule.h"
#include "grapes/kernels/workspace.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace grapes::kernels {

/// The arguments of snu() besides its inputs.
struct Snu {
  at::Tensor weight;     ///< W [unit, in]; undefined: x is the current itself, [time, batch, unit]
  at::Tensor bias;       ///< b [unit], or undefined
  at::Tensor recurrent;  ///< R [unit, unit], or undefined
  at::Tensor decay;      ///< d, [1] or [unit]
  at::Tensor threshold;  ///< θ, [unit]
  double slope = 0;      ///< of g below 0
  bool smooth = false;   ///< y is a sigmoid, else a step
  Reset reset = Reset::hard;
  at::Tensor rest;  ///< [unit], of Reset::value: the membrane after a spike
  Surrogate surrogate = Surrogate::tanh;
  double width = 1;
  bool detach_reset = false;
  at::Tensor synapse;  ///< α of c_t = α c_{t-1} + W x_t + b + R y_{t-1}, [unit]; undefined: no synaptic current
  bool eprop = false;  ///< no error runs back in time through R
  std::int64_t truncate = 0;  ///< cut the backward pass before steps k, 2k, ...; 0: never
  at::Tensor factor;          ///< [unit], or undefined: 1
  bool local = false;         ///< the factor scales only the gradients of W, b and R
  bool compounding = false;   ///< the factor also scales the error that runs back through R
  ErrorPath path;             ///< how the error at the current reaches x
  double most_spikes = 0;     ///< density of x and y up to which rows are added instead of multiplied
  bool once = false;          ///< the graph runs backward once, so errors may overwrite membranes
  WorkspacePtr workspace;     ///< memory of errors; outputs and membranes too
};

struct SnuValues {
  at::Tensor output, membrane;  ///< y and s, [time, batch, unit]
  at::Tensor current;           ///< c after the last step, [batch, unit], with a synaptic current; without a graph
  /// y after the last step, [batch, unit]; with missing steps, after the last step present. Undefined if `once`.
  at::Tensor last;
};

/// Runs a layer over all time steps as one operation: first the input product of all steps, then the recursion of
/// nn::step, vectorized per step and example. It equals its reference, nn::SnuLayer with SnuOptions::plain. Not twice
/// differentiable. y is stored for the backward pass only if it does not follow from s > θ.
/// @param x          [time, batch, in], float32 or float64, or spikes packed by pack() [time, batch, words]; released
///   as soon as it is read. A current that the caller moved here is overwritten
/// @param membrane, output  initial state, [batch, unit]; may be one row, expanded
/// @param current    initial synaptic current, a constant; undefined without one
/// @param present    [time, batch] bool, or undefined
SnuValues snu(at::Tensor x, const at::Tensor& membrane, const at::Tensor& output, const at::Tensor& current,
              const at::Tensor& present, const Snu& layer);

}  // namespace grapes::kernels
