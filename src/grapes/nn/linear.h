#pragma once

#include "grapes/kernels/dropout.h"
#include "grapes/nn/activation.h"
#include "grapes/nn/layer.h"

namespace grapes::nn {

/// A linear layer, z = h Wᵀ + b, for inputs [..., input] of any rank.
class LinearLayer final : public Layer {
 public:
  /// @param activation  null: none
  /// @param drop  probability that a unit of the value is dropped
  LinearLayer(const Activation* activation, double drop, kernels::WorkspacePtr workspace)
      : activation_(activation), drop_(drop), workspace_(std::move(workspace)) {}

  void prepare(const Pass& pass, std::size_t number) override;
  at::Tensor forward(at::Tensor h, const ErrorPath& path) const override;
  bool fuses(const at::Tensor& h) const override;
  bool updates_inside() const override;
  std::vector<Named> parameters() const override;
  at::Tensor responsibility(std::int64_t dim, const credit::Rule& rule, const at::Tensor* values) const override;
  at::Tensor mask(std::int64_t batch) const override;

  std::shared_ptr<kernels::RowSums> sums;  ///< row sums of W, if factors need them
  /// Not null: operands of matrix products in training are rounded to bfloat16, see kernels::Dense.
  std::shared_ptr<kernels::RoundedCopy> rounded;
  bool once = true;  ///< the graph runs backward once, and the node writes .grad itself; see kernels::Dense

 protected:
  at::Tensor affine(const at::Tensor& h) const override;
  at::Tensor activation(const at::Tensor& z) const override;
  at::Tensor dropout(const at::Tensor& h) const override;

 private:
  /// Whether the weight and its format allow the fused node.
  bool fusable() const;
  /// Returns the pre-activation by tensor operations. If products are rounded, the error reaches h by `path`.
  at::Tensor plain_affine(const at::Tensor& h, const ErrorPath& path) const;
  /// The layer without activation and dropout, for both fused forms.
  kernels::Dense kernel(const ErrorPath& path) const;

  const Activation* activation_;
  double drop_;
  kernels::WorkspacePtr workspace_;
  bool training_ = true, plain_ = false;
  kernels::Learn learn_;
  kernels::Dropout dropout_;
};

}  // namespace grapes::nn
