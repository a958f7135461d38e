#pragma once

#include "grapes/credit/modulation.h"
#include "grapes/kernels/dense.h"

#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

namespace grapes::credit {

using kernels::ErrorPath;

/// What a layer's numbers are rounded to on their way through one batch; nothing by default.
struct Rounding {
  kernels::NumberFormat weights, activations, error;
  std::uint64_t key = 0;  ///< of this layer and batch, for what is left to chance
  explicit operator bool() const { return weights || activations || error; }
  at::Tensor weight(const at::Tensor& W) const;
  at::Tensor input(const at::Tensor& h) const;
  at::Tensor error_at(const at::Tensor& z, std::int64_t axis = 1) const;
  /// The same with other draws: for what a layer does more than once.
  Rounding of(const char* what, std::int64_t number = 0) const;
};

/// One layer of a chain, as credit assignment sees it: z = affine(h), h' = output(z).
class Block {
 public:
  virtual ~Block() = default;
  at::Tensor weight;    ///< W^l
  at::Tensor bias;      ///< or undefined
  at::Tensor feedback;  ///< B of this hidden layer, if the route needs one
  Factors factors;
  Rounding rounding;

  /// The pre-activation, with W's and b's gradients times the row and column factors.
  virtual at::Tensor affine(const at::Tensor& h) const = 0;
  virtual at::Tensor activation(const at::Tensor& z) const = 0;
  /// Identity where nothing is dropped.
  virtual at::Tensor dropout(const at::Tensor& h) const = 0;

  /// dropout(activation(z)), the error at z times the factor.
  at::Tensor output(const at::Tensor& z) const;
  /// The whole layer, h -> h', with the error at z going to h by `path`. A layer that has a fused kernel for it
  /// overrides this; what stands here is the kernel's twin.
  /// @param h  let go of as soon as it is read, if the caller gave it away
  virtual at::Tensor forward(at::Tensor h, const ErrorPath& path) const;

 protected:
  /// W and b as affine() is to use them.
  std::pair<at::Tensor, at::Tensor> modulated_parameters() const;
};

/// L of them, the last one the output layer (no activation, no dropout, no factors).
using Blocks = std::vector<const Block*>;

/// The value of z, the error at it times the block's factor.
at::Tensor modulated(const Block& block, const at::Tensor& z);

}  // namespace grapes::credit
