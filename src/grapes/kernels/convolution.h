#pragma once

#include "grapes/kernels/dense.h"

#include <functional>
#include <optional>
#include <vector>

namespace grapes::kernels {

/// Everything one convolutional layer does with one batch, besides its input.
struct Convolution {
  at::Tensor weight;  ///< W [out, in, kernel, kernel], a leaf
  at::Tensor bias;    ///< [out], a leaf, or undefined
  std::int64_t stride = 1, padding = 0;
  Activation activation = Activation::identity;
  std::int64_t pool = 1;   ///< side of the squares whose maximum is taken
  at::Tensor error;        ///< modulation factor, [out], or undefined: 1
  at::Tensor rows;         ///< [out], or undefined: W's and b's own gradient times it
  at::Tensor columns;      ///< [in], or undefined: W's own gradient times it
  ErrorPath path;          ///< its matrix a kernel shaped as W
  bool rounded = false;    ///< products take their factors rounded to bfloat16; sums and what comes out are float32
  bool once = true;        ///< the graph is gone through once, so that activations may be let go of and overwritten
  WorkspacePtr workspace;  ///< where activations and errors live
};

/// The slope below 0 of an activation whose value tells its derivative: relu 0, leaky_relu 0.1, identity 1; others
/// none.
std::optional<float> slope_of(Activation activation);

/// Whether convolution() can run it: float32, on a CPU with AVX-512, as many channels out as a multiple of 16, an
/// activation whose value tells its derivative, and oneDNN there, with something better than its reference for the
/// shape.
bool fusable(const Convolution& layer, const at::Tensor& h);

/// One layer in one node of the graph, by oneDNN, Winograd's filtering where it has it; maps stay in its layout from
/// layer to layer:
///   a = φ(W ⋆ h + b)       value: the largest a of each square; of equal ones the first counts
///   δ = m ⊙ φ'(a) ⊙ dL/da     dL/dh = W ⋆ᵀ δ (or B ⋆ᵀ δ)     dL/dW = rows ⊙ (δ ⋆ h) ⊙ columns
/// Not differentiable twice. Its reference of plain tensor operations is nn::Conv2dLayer's.
/// @param h  [batch, in, rows, columns], or in blocks of channels, [batch, in / 16, rows, columns, 16]
/// @return   in blocks, [batch, out / 16, ..., 16]
at::Tensor convolution(at::Tensor h, Convolution layer);
namespace plain {
/// The convolution alone, W ⋆ h, its factors and its error's rounded to bfloat16, the error going to h by the
/// path; what rows and columns scale is the sum. On a GPU, whose libraries return sums so, the sums are rounded
/// too.
at::Tensor rounded_convolution(const at::Tensor& h, const Convolution& layer);
}  // namespace plain
/// From blocks to [batch, channel, rows, columns], with a graph; what is so already stays as it is.
at::Tensor unblocked(const at::Tensor& x);

/// What a convolution cannot do without, for benchmarks: the three convolutions of a training step, in the layouts that
/// oneDNN likes best, on memory that is there. Empty where it is not there.
/// @param input, weight  sizes @param below  whether something below wants its error
std::function<void()> bare_convolution(const std::vector<std::int64_t>& input, const std::vector<std::int64_t>& weight,
                                       std::int64_t stride, std::int64_t padding, bool below);

}  // namespace grapes::kernels
