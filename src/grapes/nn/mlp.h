#pragma once

#include "grapes/nn/dense.h"

#include <memory>
#include <string>
#include <vector>

namespace grapes::nn {

/// A chain of dense layers n_0 ... n_L: z = h Wᵀ + b, h = dropout(φ(z)), the last one bare logits.
class Mlp final : public Model {
 public:
  /// @param nodes  n_0 ... n_L
  Mlp(const Options& options, std::vector<std::int64_t> nodes, std::uint64_t seed);

  at::Tensor forward(const at::Tensor& inputs, const Pass& pass) override;
  bool descends(const Pass& pass) const override;
  std::vector<Named> parameters() const override;
  std::vector<Named> buffers() const override;
  const std::vector<credit::Factors>& factors() const override { return factors_; }
  std::int64_t factors_step() const override { return fresh_step_; }
  void restore_factors(std::vector<credit::Factors> factors, std::int64_t step) override {
    factors_ = std::move(factors);
    fresh_step_ = step;
  }
  std::string describe() const override;

 private:
  void refresh_factors(const Pass& pass, std::int64_t batch);
  at::Tensor infer(const at::Tensor& inputs) const;

  Options options_;
  std::vector<std::int64_t> nodes_;
  std::vector<std::unique_ptr<Dense>> layers_;
  credit::Blocks blocks_;  // the same, as the route sees them
  credit::ModulationOptions modulation_;
  std::unique_ptr<credit::Route> route_;
  std::vector<credit::Factors> factors_;
  std::int64_t fresh_step_ = -1;  // the batch of which factors_ were taken
};

}  // namespace grapes::nn
