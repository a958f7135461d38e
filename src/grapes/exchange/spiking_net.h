#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

/// A spiking network as plain values: what it computes, without how it learns. Between our models and files for
/// neuromorphic hardware (exchange/nir.h), and for networks that no model of ours is, like convolutions of spikes.
namespace grapes::exchange {

/// y = W x + b
struct Linear {
  at::Tensor weight;     ///< W, [out, in]
  at::Tensor bias = {};  ///< b, [out], or undefined
};

/// PyTorch's, with zeros at the edges. Pairs are rows and columns.
struct Convolution {
  at::Tensor weight;     ///< [channel out, channel in / groups, rows, columns]
  at::Tensor bias = {};  ///< [channel out], or undefined
  std::array<std::int64_t, 2> stride = {1, 1}, padding = {0, 0}, dilation = {1, 1};
  std::int64_t groups = 1;
};

struct Pooling {
  bool mean = true;  ///< else the sum
  std::array<std::int64_t, 2> window, stride, padding = {0, 0};
};

/// All axes of an example as one.
struct Flatten {};

/// Neurons on an input x_t, from s = y = c = 0:
///   c_t = α c_{t-1} + x_t + R y_{t-1}
///   s_t = c_t + d s_{t-1} (1 - y_{t-1})     without the last factor where a spike does not reset
///   y_t = 1 if s_t > θ, else 0
struct Neurons {
  at::Tensor decay;           ///< d, of the population's shape
  at::Tensor threshold;       ///< θ likewise; undefined: what goes out does not ask for it
  double synapse = 0;         ///< α; 0: none
  at::Tensor recurrent = {};  ///< R, [node, node], or undefined
  bool resets = true;
  bool spikes = true;  ///< y goes out, else s
};

struct Stage {
  std::string name;  ///< of a layer in files and messages
  std::variant<Linear, Convolution, Pooling, Flatten, Neurons> what;
};

struct SpikingNet {
  std::vector<std::int64_t> input;  ///< shape of one example at one step
  std::vector<Stage> stages;
};

/// What goes out at each step, by plain tensor operations but for the neurons (nn::run).
/// @param x  [time, batch, input...], of the weights' dtype @return [time, batch, output...]
at::Tensor run(const SpikingNet& net, at::Tensor x);

}  // namespace grapes::exchange
