#pragma once

#include "grapes/credit/block.h"
#include "grapes/kernels/dropout.h"
#include "grapes/nn/activation.h"
#include "grapes/nn/network.h"

#include <memory>

namespace grapes::nn {

/// A dense layer that learns: z = h Wᵀ + b, h' = dropout(φ(z)). Runs as one fused node wherever its tensors allow it.
class Dense final : public credit::Block {
 public:
  /// @param activation  of the layer; null: none
  Dense(const Activation* activation, kernels::WorkspacePtr workspace)
      : activation_(activation), workspace_(std::move(workspace)) {}

  /// How the coming batch is to be run.
  struct Run {
    kernels::Dropout dropout;
    double fused_sgd = 0;  ///< see kernels::Dense
    bool plain = false;    ///< by the twin
  };
  void prepare(Run run) { run_ = std::move(run); }
  /// The whole mask of the batch; undefined where nothing is dropped.
  at::Tensor mask(std::int64_t batch) const;
  /// Whether its tensors and its precision have a fused kernel here; then prepare() can ask for descent.
  bool fusable() const {
    return kernels::fusable(weight) && !rounding && (!rounded || kernels::bfloat16_missing().empty());
  }

  at::Tensor affine(const at::Tensor& h) const override;
  at::Tensor activation(const at::Tensor& z) const override;
  at::Tensor dropout(const at::Tensor& h) const override;
  at::Tensor forward(at::Tensor h, const credit::ErrorPath& path) const override;

  std::shared_ptr<kernels::RowSums> sums;  ///< of W, if the factors want them
  /// Not null: matrix products in training take their factors rounded to bfloat16, see kernels::Dense.
  std::shared_ptr<kernels::RoundedCopy> rounded;

 private:
  bool fuses(const at::Tensor& h) const;
  /// The pre-activation by plain operations, the error going to h by `path` where products are rounded.
  at::Tensor plain_affine(const at::Tensor& h, const credit::ErrorPath& path) const;
  /// What both fused forms have in common.
  kernels::Dense kernel(const credit::ErrorPath& path) const;

  const Activation* activation_;
  kernels::WorkspacePtr workspace_;
  Run run_;
};

}  // namespace grapes::nn
