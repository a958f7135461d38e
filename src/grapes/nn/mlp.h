#pragma once

#include "grapes/nn/chain.h"
#include "grapes/nn/dense.h"

#include <memory>
#include <string>
#include <vector>

namespace grapes::nn {

/// A chain of dense layers n_0 ... n_L: z = h Wᵀ + b, h = dropout(φ(z)), the last one bare logits.
class Mlp final : public Chain {
 public:
  /// @param nodes  n_0 ... n_L
  Mlp(const Options& options, std::vector<std::int64_t> nodes, std::uint64_t seed);

  at::Tensor forward(const at::Tensor& inputs, const Pass& pass) override;
  bool fuses_sgd(const Pass& pass) const override;
  std::vector<Named> parameters() const override;
  std::string describe() const override;

 private:
  void refresh_factors(const Pass& pass, std::int64_t batch);
  at::Tensor infer(const at::Tensor& inputs) const;

  std::vector<std::int64_t> nodes_;  // n_0 ... n_L
  std::vector<std::unique_ptr<Dense>> layers_;
};

}  // namespace grapes::nn
