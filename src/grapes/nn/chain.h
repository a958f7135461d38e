#pragma once

#include "grapes/credit/block.h"
#include "grapes/credit/route.h"
#include "grapes/nn/network.h"
#include "grapes/nn/precision.h"

#include <memory>
#include <string>
#include <vector>

namespace grapes::nn {

/// What models made of blocks have in common: how weights are drawn, the route, the factors.
class Chain : public Network {
 public:
  const std::vector<credit::Factors>& factors() const override { return factors_; }
  std::int64_t factors_step() const override { return fresh_step_; }
  void restore_factors(std::vector<credit::Factors> factors, std::int64_t step) override;
  std::vector<Named> buffers() const override;
  std::vector<LayerShape> shapes(std::int64_t steps) const override;  ///< here: dense layers, used once
  const credit::Rule& rule() const override { return rule_; }

 protected:
  /// @throws UsageError for an option that cannot be
  explicit Chain(const Options& options);

  /// The next block, from inputs to outputs, with weights drawn from (seed, its number) alone.
  /// @param shape  of its weight, [node, input, ...]
  void add(credit::Block& block, std::uint64_t seed, at::IntArrayRef shape);
  /// When all blocks are there: the feedback weights of the hidden ones.
  /// @param nodes  of each block's value
  void complete(std::uint64_t seed, const std::vector<std::int64_t>& nodes);
  /// What the coming batch is rounded to; before the first layer's forward.
  void prepare_rounding(const Pass& pass);
  /// Of what a route sends from the logits, too.
  at::Tensor rounded_error(const at::Tensor& logits, std::int64_t axis = 1) const {
    return blocks_.back()->rounding.error_at(logits, axis);
  }
  /// A weight as it is held, before anything is learnt.
  at::Tensor held(const at::Tensor& W) const;
  bool wants_incoming() const;  ///< whether factors are taken of sums over rows
  bool stale(const Pass& pass) const;
  void refresh(const Pass& pass, const credit::Weights& weights);
  at::ScalarType dtype() const { return c10::typeMetaToScalarType(placed_.dtype()); }

  Options options_;
  Precision precision_;
  credit::Blocks blocks_;                                   // as the route sees them
  std::vector<credit::Block*> added_;                       // the same
  std::vector<std::shared_ptr<kernels::Storage>> storage_;  // of each one's weights, or null
  at::TensorOptions placed_;                                // dtype and device of every weight
  credit::Rule rule_;                                       // resolved
  const credit::Route& route_;
  std::vector<credit::Factors> factors_;
  std::int64_t fresh_step_ = -1;  // the batch of which factors_ were taken
};

}  // namespace grapes::nn
