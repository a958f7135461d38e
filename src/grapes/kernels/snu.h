#pragma once

#include "grapes/kernels/dense.h"
#include "grapes/kernels/snu_rule.h"
#include "grapes/kernels/workspace.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace grapes::kernels {

/// Everything that one layer of spiking neural units does with one batch over all time steps, besides its input.
struct Snu {
  at::Tensor weight;     ///< W [node, in]; undefined: x is the current itself, [time, batch, node]
  at::Tensor recurrent;  ///< R [node, node], or undefined
  at::Tensor decay;      ///< [1] or [node]
  at::Tensor threshold;  ///< [node]
  double slope = 0;      ///< of g below 0
  bool smooth = false;   ///< y the sigmoid, else a step
  Reset reset = Reset::hard;
  Surrogate surrogate = Surrogate::tanh;
  double width = 1;
  bool detach_reset = false;
  double synapse = 0;         ///< α of c_t = α c_{t-1} + W x_t + R y_{t-1}; 0: none
  bool eprop = false;         ///< no error goes back in time through R
  std::int64_t truncate = 0;  ///< 0: never
  at::Tensor factor;          ///< [node], or undefined: 1
  bool local = false;         ///< factor on W's and R's own gradient only
  bool compounding = false;   ///< factor also on what goes back through R
  ErrorPath path;             ///< where the error at the current goes, of the way to x
  double most_spikes = 0;     ///< density of x and y up to which they are added as spikes
  bool once = false;          ///< nobody runs backwards twice, so that errors may take the place of membranes
  WorkspacePtr workspace;     ///< where errors live; outputs and membranes too
};

struct SnuValues {
  at::Tensor output, membrane;  ///< [time, batch, node]
  at::Tensor current;           ///< c after the last step, [batch, node], if there is a synaptic current; no graph
  at::Tensor last;  ///< y after the last step, [batch, node]: where steps are missing, of the last one that ran; not of
                    ///< a layer that runs once
};

/// One operation over all steps: the input product of all of them at once, then the recursion of nn::step, a vectorized
/// pass per step and sample. Its reference is nn::SnuLayer with SnuOptions::plain, which it equals. Not differentiable
/// twice. y is kept for the backward pass only where s > θ does not tell it.
/// @param x          [time, batch, in], float32 or float64, or spikes packed by pack() [time, batch, words]; let go of
///                   as soon as it is read
/// @param membrane, output  where to begin, [batch, node]
/// @param current    the same, if there is a synaptic current, as a constant; else undefined
/// @param present    [time, batch] bool, or undefined
SnuValues snu(at::Tensor x, const at::Tensor& membrane, const at::Tensor& output, const at::Tensor& current,
              const at::Tensor& present, const Snu& layer);

}  // namespace grapes::kernels
