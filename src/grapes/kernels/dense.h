#pragma once

#include "grapes/kernels/bfloat16.h"
#include "grapes/kernels/dropout.h"
#include "grapes/kernels/loops.h"
#include "grapes/kernels/row_sums.h"
#include "grapes/kernels/workspace.h"

#include <ATen/core/Tensor.h>

#include <memory>

namespace grapes::kernels {

/// Where the error at a layer's pre-activation goes.
struct ErrorPath {
  enum class To { weights, matrix, none } to = To::weights;
  at::Tensor matrix;  ///< B [input, node] of the feedback rules: dL/dh = δ Bᵀ
};

/// Everything one dense layer does with one batch, besides its input.
struct Dense {
  at::Tensor weight;  ///< W [node, input], a leaf
  at::Tensor bias;    ///< [node], a leaf, or undefined
  Activation activation = Activation::identity;
  Dropout dropout;
  at::Tensor error;    ///< modulation factor, [node] or [batch, node], or undefined: 1
  at::Tensor rows;     ///< [node], or undefined: W's and b's own gradient times it by row
  at::Tensor columns;  ///< [input], or undefined: W's own gradient times it by column
  ErrorPath path;
  /// Not 0: the backward pass itself makes W -= fused_sgd · dL/dW, as the product that would give the gradient, and no
  /// gradient is written.
  double fused_sgd = 0;
  std::shared_ptr<RowSums> sums;  ///< kept while descending; or null
  /// Not null: products take their factors rounded to bfloat16, W's copy from here. Everything is float32 besides.
  std::shared_ptr<RoundedCopy> rounded;
  /// The graph is gone through once: gradients are added to W's and b's .grad() by the node itself, made in the
  /// workspace, and activations are let go of as soon as they are read. Else gradients go the graph's own way, to hooks
  /// and torch::autograd::grad() too, and a retained graph can be gone through again.
  bool once = true;
  WorkspacePtr workspace;  ///< where activations, errors and gradients live
};

/// One layer in one node of the graph:
///   a = h Wᵀ + b           value: mask ⊙ φ(a)
///   δ = m ⊙ φ'(a) ⊙ mask ⊙ dL/dvalue        dL/dh = δ W (or δ Bᵀ)       dL/dW = rows ⊙ δᵀ h ⊙ columns
/// Not differentiable twice.
/// Rounded, with R the rounding to bfloat16: a = R(h) R(W)ᵀ + b, dL/dh = R(δ) R(W), dL/dW = R(rows ⊙ δ)ᵀ R(h ⊙
/// columns). Its reference of plain tensor operations is nn::Layer's own output(affine(h)).
/// @param h  [batch, input], fusable() like everything else here
/// @return   [batch, node]
at::Tensor dense(const at::Tensor& h, Dense layer);

namespace plain {
/// The reference of the rounded products, in float32: R(h) R(W)ᵀ without the bias, its error going where the layer
/// says.
at::Tensor rounded_products(const at::Tensor& h, const Dense& layer);
}  // namespace plain

}  // namespace grapes::kernels
