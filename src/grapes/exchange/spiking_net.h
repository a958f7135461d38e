#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

/// A spiking network as plain values, without settings for learning. It is the intermediate form between models and
/// files for neuromorphic hardware (exchange/nir.h). It also covers networks that no model supports, like convolutions
/// of spikes.
namespace grapes::exchange {

/// y = W x + b
struct Linear {
  at::Tensor weight;     ///< W, [out, in]
  at::Tensor bias = {};  ///< b, [out], or undefined
};

/// As in PyTorch, with zero padding. Pairs are rows and columns.
struct Convolution {
  at::Tensor weight;     ///< [channel out, channel in / groups, rows, columns]
  at::Tensor bias = {};  ///< [channel out], or undefined
  std::array<std::int64_t, 2> stride = {1, 1}, padding = {0, 0}, dilation = {1, 1};
  std::int64_t groups = 1;
};

struct Pooling {
  bool mean = true;  ///< mean pooling, else sum
  std::array<std::int64_t, 2> window, stride, padding = {0, 0};
};

/// Flattens all axes of an example.
struct Flatten {};

/// y_t = x_{t-k}, 0 in the first k steps.
struct Delay {
  at::Tensor steps;  ///< k, whole numbers with the population's shape
};

/// Neurons with input x_t, starting from s = y = c = 0. Constants have the population's shape.
///   c_t = α c_{t-1} + x_t + R y_{t-1}
///   s_t = c_t + d (s_{t-1} + (ρ - s_{t-1}) y_{t-1})     reset hard; see nn::resets() for subtract and none
///   y_t = 1 if s_t > θ, else 0
struct Neurons {
  at::Tensor decay;             ///< d
  at::Tensor threshold;         ///< θ; undefined if the output does not need it
  at::Tensor synapse = {};      ///< α, or undefined
  at::Tensor recurrent = {};    ///< R, [unit, unit], or undefined
  std::string reset = "hard";   ///< hard, subtract or none
  bool spikes = true;           ///< the output is y, else s
  at::Tensor reset_value = {};  ///< ρ of the hard reset; undefined: 0
  at::Tensor leak = {};         ///< the membrane that is shown is s + leak; undefined: 0

  bool resets() const { return reset != "none"; }
};

struct Stage {
  std::string name;  ///< name of the layer in files and messages
  std::variant<Linear, Convolution, Pooling, Flatten, Delay, Neurons> what;
};

struct SpikingNet {
  std::vector<std::int64_t> input;  ///< shape of one example at one time step
  std::vector<Stage> stages;
};

/// Computes the output at each step, by tensor operations except for the neurons (nn::run).
/// @param x  [time, batch, input...], dtype of the weights @return [time, batch, output...]
/// @param membranes  receives the membrane of each stage of neurons after each step, that is after a reset, with its
///   leak, [time, batch, unit...]
at::Tensor run(const SpikingNet& net, at::Tensor x, std::map<std::string, at::Tensor>* membranes = nullptr);

}  // namespace grapes::exchange
