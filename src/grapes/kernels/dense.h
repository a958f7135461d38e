#pragma once

#include "grapes/kernels/bfloat16.h"
#include "grapes/kernels/dropout.h"
#include "grapes/kernels/loops.h"
#include "grapes/kernels/update.h"
#include "grapes/kernels/workspace.h"

#include <ATen/core/Tensor.h>

#include <memory>

namespace grapes::kernels {

/// How the error at a layer's pre-activation reaches the layer below.
struct ErrorPath {
  enum class To { weights, matrix, none } to = To::weights;
  at::Tensor matrix;  ///< B [input, unit] of the feedback routes: dL/dh = δ Bᵀ
};

/// The arguments of dense() besides its input.
struct Dense {
  at::Tensor weight;  ///< W [unit, input], a leaf
  at::Tensor bias;    ///< [unit], a leaf, or undefined
  Activation activation = Activation::identity;
  Dropout dropout;
  at::Tensor error;    ///< modulation factor, [unit] or [batch, unit], or undefined: 1
  at::Tensor rows;     ///< [unit], or undefined: multiplies the gradients of W and b by row
  at::Tensor columns;  ///< [input], or undefined: multiplies the gradient of W by column
  at::Tensor mask;     ///< [unit, input], or undefined: multiplies the gradient of W; not with learn
  ErrorPath path;
  Learn learn;  ///< not empty: updates W and b in the backward pass; no gradient is written
  /// Not null: operands of products are rounded to bfloat16, with W's copy from here. Everything else is float32.
  std::shared_ptr<RoundedCopy> rounded;
  /// True: the graph runs backward once. The node adds to W's and b's .grad() itself, in memory of the workspace, and
  /// releases activations as soon as they are read. False: gradients pass through the graph, with hooks and
  /// torch::autograd::grad(), and a retained graph can run backward again.
  bool once = true;
  WorkspacePtr workspace;  ///< memory of activations, errors and gradients
};

/// Runs one layer as one node of the graph:
///   z = h Wᵀ + b           value: mask ⊙ φ(z)
///   δ = m ⊙ φ'(z) ⊙ mask ⊙ dL/dvalue        dL/dh = δ W (or δ Bᵀ)       dL/dW = rows ⊙ δᵀ h ⊙ columns
/// Not twice differentiable. With rounding R to bfloat16: z = R(h) R(W)ᵀ + b, dL/dh = R(δ) R(W), dL/dW = R(rows ⊙ δ)ᵀ
/// R(h ⊙ columns). The reference with tensor operations is nn::Layer's output(affine(h)).
/// @param h  [batch, input]; fusable(), as all other tensors
/// @return   [batch, unit]
at::Tensor dense(const at::Tensor& h, Dense layer);

namespace plain {
/// The reference of the rounded products, in float32: R(h) R(W)ᵀ without the bias. The error follows the layer's path.
at::Tensor rounded_products(const at::Tensor& h, const Dense& layer);
}  // namespace plain

}  // namespace grapes::kernels
