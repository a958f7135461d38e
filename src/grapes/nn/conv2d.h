#pragma once

#include "grapes/kernels/convolution.h"
#include "grapes/kernels/normalization.h"
#include "grapes/nn/activation.h"
#include "grapes/nn/layer.h"
#include "grapes/nn/norm.h"

#include <vector>

namespace grapes::nn {

/// A convolutional layer, [batch, in, rows, columns] -> [batch, out, ...]:
///   z = W ⋆ h + b,  h' = max_pool(φ(norm(z)))
/// There is one factor per output channel. It multiplies the error at z, so that γ and β of a normalization by channel
/// receive the unscaled error. With Norm::tensor it multiplies the error after φ, as in the authors' program. On routes
/// with feedback weights, B is a kernel of W's shape. The output of the fused node is stored in blocks of channels
/// (kernels/convolution.h); its input may be stored in the same way.
class Conv2dLayer final : public Layer {
 public:
  struct Shape {
    std::vector<std::int64_t> stride = {1, 1}, padding = {1, 1}, dilation = {1, 1};
    std::int64_t groups = 1;
    std::int64_t pool = 1;  ///< side of the pooling window; incomplete windows at the edge are dropped
  };
  /// @param activation  null: none
  Conv2dLayer(Shape shape, const Activation* activation, kernels::WorkspacePtr workspace)
      : shape_(std::move(shape)), activation_(activation), workspace_(std::move(workspace)) {}

  void prepare(const Pass& pass, std::size_t number) override;
  at::Tensor forward(at::Tensor h, const ErrorPath& path) const override;
  bool fuses(const at::Tensor& h) const override;
  std::vector<Named> parameters() const override;
  std::vector<Named> buffers() const override;

  BatchNorm norm;
  bool once = true;      ///< see kernels::Convolution
  bool rounded = false;  ///< training: operands of products are rounded to bfloat16

 protected:
  at::Tensor affine(const at::Tensor& h) const override;
  at::Tensor activation(const at::Tensor& z) const override;
  at::Tensor output(const at::Tensor& z) const override;
  at::Tensor fed_back(const at::Tensor& z, const at::Tensor& h, const at::Tensor& B) const override;
  at::Tensor carried(const at::Tensor& error) const override;
  at::Tensor chosen(const at::Tensor& error, const at::Tensor& z) const override;
  bool scales_value() const override { return norm.kind == Norm::tensor; }

 private:
  at::Tensor product(const at::Tensor& h, const at::Tensor& W, const at::Tensor& b) const;
  at::Tensor rounded_affine(const at::Tensor& h, const ErrorPath& path) const;
  at::Tensor activated(const at::Tensor& z) const;  ///< φ(norm(z)), before pooling
  at::Tensor pooled(const at::Tensor& h) const;
  kernels::Convolution kernel(const ErrorPath& path) const;  ///< W ⋆ h + b only
  kernels::Normalization normalization() const;              ///< normalization after z, if there is one
  kernels::Convolution whole(const ErrorPath& path) const;   ///< all that the fused node computes

  Shape shape_;
  const Activation* activation_;
  kernels::WorkspacePtr workspace_;
  bool training_ = true, plain_ = false;
  std::shared_ptr<const Together> together_;  // null: normalization over the examples of this process
};

}  // namespace grapes::nn
