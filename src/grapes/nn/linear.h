#pragma once

#include "grapes/kernels/dropout.h"
#include "grapes/nn/activation.h"
#include "grapes/nn/layer.h"

namespace grapes::nn {

/// A dense layer, z = h Wᵀ + b, on inputs [..., input] of any rank.
class LinearLayer final : public Layer {
 public:
  /// @param activation  null: none
  /// @param drop  probability to drop a unit of the value
  LinearLayer(const Activation* activation, double drop, kernels::WorkspacePtr workspace)
      : activation_(activation), drop_(drop), workspace_(std::move(workspace)) {}

  void prepare(const Pass& pass, std::size_t number) override;
  at::Tensor forward(at::Tensor h, const ErrorPath& path) const override;
  bool fuses(const at::Tensor& h) const override;
  bool fuses_sgd() const override;
  std::vector<Named> parameters() const override;
  at::Tensor responsibility(std::int64_t dim, const credit::Rule& rule, const at::Tensor* values) const override;
  at::Tensor mask(std::int64_t batch) const override;
  bool rises() const override { return true; }

  std::shared_ptr<kernels::RowSums> sums;  ///< of W, if the factors want them
  /// Not null: matrix products in training take their factors rounded to bfloat16, see kernels::Dense.
  std::shared_ptr<kernels::RoundedCopy> rounded;
  bool once = true;  ///< the graph is gone through once, and .grad written by the node itself; see kernels::Dense

 protected:
  at::Tensor affine(const at::Tensor& h) const override;
  at::Tensor activation(const at::Tensor& z) const override;
  at::Tensor dropout(const at::Tensor& h) const override;

 private:
  /// The pre-activation by plain operations, the error going to h by `path` where products are rounded.
  at::Tensor plain_affine(const at::Tensor& h, const ErrorPath& path) const;
  /// The bare layer, for both fused forms.
  kernels::Dense kernel(const ErrorPath& path) const;

  const Activation* activation_;
  double drop_;
  kernels::WorkspacePtr workspace_;
  bool training_ = true, plain_ = false;
  double fused_sgd_ = 0;
  kernels::Dropout dropout_;
};

}  // namespace grapes::nn
