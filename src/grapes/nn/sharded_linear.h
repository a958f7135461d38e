#pragma once

#include "grapes/credit/shard.h"

#include <ATen/core/Tensor.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/options/linear.h>
#include <torch/nn/pimpl.h>

#include <cstdint>

namespace grapes::nn {

/// A linear layer, z = x Wᵀ + b, whose weight is divided over processes because it is too large for one. Every process
/// computes the same model on the same batch: x, z, the loss and the error at z are the same in all, and each holds and
/// updates its part of W. The layers around it are ordinary ones, whose weights are equal in all processes.
///   rows      W is [units / size, in]: each process computes the pre-activations of its units
///   columns   W is [units, in / size]: each process computes a part of every pre-activation
/// One step sums z, [batch, out], over the processes in the forward pass, and the error at x, [batch, in], in the
/// backward pass, if x needs one. backward(), Modulator and LocalOptimizer also sum one number per unit, from which
/// each process computes the factors of the whole layer; all modulations are supported. The result is that of
/// torch::nn::Linear in one process, except for the rounding of sums; with the same seed, so are the initial weights.
///
///     grapes::Processes all{rank, world, sum};
///     grapes::nn::ShardedLinear large(65536, 65536, grapes::Split::rows, all);
///     torch::nn::Sequential model(large, torch::nn::ReLU(), torch::nn::Linear(65536, 10));
///     grapes::backward(torch::mse_loss(model->forward(x), y), *model);
///
/// examples/sharded.cpp has the function `sum`, by c10d and Gloo.
class ShardedLinearImpl : public torch::nn::Cloneable<ShardedLinearImpl>, public credit::Sharded {
 public:
  /// @throws c10::ValueError if the rank is not that of a process, or there are fewer units or inputs than processes
  ShardedLinearImpl(std::int64_t in, std::int64_t out, Split split, Processes processes)
      : ShardedLinearImpl(torch::nn::LinearOptions(in, out), split, std::move(processes)) {}
  ShardedLinearImpl(const torch::nn::LinearOptions& options, Split split, Processes processes);
  void reset() override;
  /// @param x  [..., in], the same in all processes @return z [..., out], the same in all processes
  at::Tensor forward(const at::Tensor& x);

  /// Copies this process' part of the weights of a whole layer. @param W [out, in] @param b [out], or undefined
  /// @throws c10::Error if a shape does not match
  void take(const at::Tensor& W, const at::Tensor& b = {});

  at::Tensor weight;  ///< this process' part of W
  at::Tensor bias;    ///< by rows this process' part of b, by columns the whole b; or undefined

 private:
  torch::nn::LinearOptions options_;
};
TORCH_MODULE(ShardedLinear);

}  // namespace grapes::nn
