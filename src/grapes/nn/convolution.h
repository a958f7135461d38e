#pragma once

#include "grapes/credit/block.h"
#include "grapes/kernels/convolution.h"
#include "grapes/kernels/normalization.h"
#include "grapes/nn/activation.h"
#include "grapes/nn/norm.h"

namespace grapes::nn {

/// A convolutional layer that learns, [batch, in, rows, columns] -> [batch, out, ...]:
///   z = W ⋆ h + b,  h' = maximum over squares of φ(norm(z))
/// The factor stands at z, one per output channel, before the normalization; γ and β learn from the error as it comes.
/// B of the feedback routes is a kernel shaped as W. Runs as one fused node, or two with a normalization, wherever its
/// tensors allow it; then what comes out lies in blocks of channels (kernels/convolution.h), and what goes in may.
class Convolution final : public credit::Block {
 public:
  struct Shape {
    std::int64_t stride = 1, padding = 1;
    std::int64_t pool = 1;  ///< side of the squares; what is left over at the edge is dropped
  };
  /// @param activation  null: none
  Convolution(Shape shape, const Activation* activation, kernels::WorkspacePtr workspace)
      : shape_(shape), activation_(activation), workspace_(std::move(workspace)) {}

  BatchNorm norm;
  bool rounded = false;  ///< products in training take their factors rounded to bfloat16

  /// How the coming batch is to be run.
  struct Run {
    bool training = false;
    bool plain = false;  ///< by the twin
  };
  void prepare(Run run) { run_ = run; }

  at::Tensor forward(at::Tensor h, const credit::ErrorPath& path) const override;
  at::Tensor affine(const at::Tensor& h) const override;
  at::Tensor activation(const at::Tensor& z) const override;
  at::Tensor linear(const at::Tensor& h) const;     ///< W ⋆ h
  at::Tensor activated(const at::Tensor& z) const;  ///< φ(norm(z)), before pooling
  std::int64_t pool() const { return shape_.pool; }
  at::Tensor dropout(const at::Tensor& h) const override { return h; }

 private:
  at::Tensor rounded_affine(const at::Tensor& h, const credit::ErrorPath& path) const;
  /// The bare layer, for the fused node and for products that are rounded.
  kernels::Convolution kernel(const credit::ErrorPath& path) const;
  bool remembers() const;                        ///< whether the running statistics move
  kernels::Normalization normalization() const;  ///< what follows z, for the kernel

  Shape shape_;
  const Activation* activation_;
  kernels::WorkspacePtr workspace_;
  Run run_;
};

}  // namespace grapes::nn
