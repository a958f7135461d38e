#pragma once

#include "grapes/kernels/dense.h"

#include <functional>
#include <optional>
#include <vector>

namespace grapes::kernels {

/// The arguments of convolution() besides its input.
struct Convolution {
  at::Tensor weight;  ///< W [out, in, kernel, kernel], a leaf
  at::Tensor bias;    ///< [out], a leaf, or undefined
  std::int64_t stride = 1, padding = 0;
  Activation activation = Activation::identity;
  std::int64_t pool = 1;   ///< side of the max pooling window
  at::Tensor error;        ///< modulation factor, [out], or undefined: 1
  at::Tensor rows;         ///< [out], or undefined: multiplies the gradients of W and b
  at::Tensor columns;      ///< [in], or undefined: multiplies the gradient of W
  at::Tensor mask;         ///< of W's shape, or undefined: multiplies the gradient of W
  ErrorPath path;          ///< its matrix is a kernel of W's shape
  bool rounded = false;    ///< operands of products are rounded to bfloat16; sums and results are float32
  bool once = true;        ///< the graph runs backward once, so activations may be released and overwritten
  WorkspacePtr workspace;  ///< memory of activations and errors
};

/// Returns the slope below 0 of a piecewise linear activation: relu 0, leaky_relu 0.1, identity 1. The derivative of
/// these follows from their value. Returns nothing for others.
std::optional<float> slope_of(Activation activation);

/// Whether convolution() supports the layer. It needs float32, a CPU with AVX-512 or AVX2, a number of output channels
/// that is a multiple of 16 or 8, an activation with a slope_of(), and oneDNN with an optimized implementation for the
/// shape.
bool fusable(const Convolution& layer, const at::Tensor& h);

/// Runs one layer as one node of the graph, by oneDNN, with Winograd's algorithm if it is available (with AVX-512).
/// Maps stay in oneDNN's layout between layers.
///   a = φ(W ⋆ h + b)       value: the largest a of each pooling window; of equal ones the first counts
///   δ = m ⊙ φ'(a) ⊙ dL/da     dL/dh = W ⋆ᵀ δ (or B ⋆ᵀ δ)     dL/dW = rows ⊙ (δ ⋆ h) ⊙ columns
/// Not twice differentiable. The reference with tensor operations is in nn::Conv2dLayer.
/// @param h  [batch, in, rows, columns], or in blocks of channels, [batch, in / block, rows, columns, block];
///   a block has 16 channels with AVX-512 and 8 with AVX2
/// @return   in blocks, [batch, out / block, ..., block]
at::Tensor convolution(at::Tensor h, Convolution layer);
/// Whether convolution() may use Winograd's algorithm in this thread. It is faster, but its sums of exact numbers are
/// not exact. Tests in which no rounding may occur turn it off.
bool& winograd_allowed();
namespace plain {
/// Computes W ⋆ h with operands rounded to bfloat16, in the forward and the backward pass. The error reaches h by the
/// path; `rows` and `columns` multiply the sums. On a GPU the sums are rounded too, because its libraries return them
/// rounded.
at::Tensor rounded_convolution(const at::Tensor& h, const Convolution& layer);
}  // namespace plain
/// Converts from blocks to [batch, channel, rows, columns], with a graph. A tensor in this layout is returned
/// unchanged.
/// @param leading  axes before the channels: 1, or 2 of maps over time
at::Tensor unblocked(const at::Tensor& x, std::int64_t leading = 1);

/// For benchmarks: returns a function that runs the three convolutions of a training step on existing memory, in the
/// layouts that oneDNN prefers; LibTorch's convolutions without oneDNN, or if oneDNN has only slow ones for these
/// sizes.
/// @param input, weight  shapes @param below  whether the layer below receives an error
std::function<void()> bare_convolution(const std::vector<std::int64_t>& input, const std::vector<std::int64_t>& weight,
                                       std::int64_t stride, std::int64_t padding, bool below);

}  // namespace grapes::kernels
