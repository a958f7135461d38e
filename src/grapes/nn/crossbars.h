#pragma once

#include "grapes/nn/activation.h"
#include "grapes/nn/analog_options.h"
#include "grapes/nn/chain.h"

#include <memory>
#include <string>
#include <vector>

namespace grapes::nn {

/// A dense layer whose weights lie in a crossbar, z = W h + b with b digital. What the array does and what is exact is
/// the options' affair:
///   forward   z = read(W, h)            or W h
///   backward  dL/dh = read(Wᵀ, δ)       or Wᵀ δ; by B on the feedback routes, which is digital
///   update    W by pulses from (h, δ) as the error passes, and no gradient    or a gradient, whose update is written
/// δ comes multiplied by the node's factor, the local version's and columns' factors multiply what the pulses see.
/// `weight` is W as it stands in the array; who writes it (an update rule, a file) has it programmed before the next
/// read, as far as the devices' range allows, where writing is real with its noise.
class CrossbarLayer final : public credit::Block {
 public:
  explicit CrossbarLayer(const Activation* activation) : activation_(activation) {}
  /// Devices for `weight` as it is now, and the weights that they take. @param seed  of devices and noise
  void build(const AnalogOptions& options, std::uint64_t seed);

  /// How the coming batch is to be run.
  struct Run {
    std::int64_t number = 0;  ///< of what is read, for the draws of its noise: of training, each batch its own
    double fused_sgd = 0;     ///< step size of the pulses; 0: none come
    double drift = 1;  ///< real reads forward are of the array when so many times as long has passed, see later()
  };
  void prepare(Run run);

  at::Tensor affine(const at::Tensor& h) const override;
  at::Tensor activation(const at::Tensor& z) const override { return activation_ ? activation_->apply(z) : z; }
  at::Tensor dropout(const at::Tensor& h) const override { return h; }
  /// As factors are to see it. @param dim  0: [node], over inputs; 1: [input], over nodes
  at::Tensor responsibility(std::int64_t dim) const { return analog::responsibility(array_, dim, run_.number); }
  const analog::Crossbar& array() const { return array_; }

 private:
  struct Product;
  at::Tensor read(const at::Tensor& h) const;
  at::Tensor read_back(const at::Tensor& error) const;
  void pulse(const at::Tensor& h, const at::Tensor& error) const;

  const Activation* activation_;
  mutable analog::Crossbar array_;  // a backward pass learns
  Run run_;
};

/// An MLP on crossbars: n_0 ... n_L, the last one bare logits. No dropout.
class Crossbars final : public Chain {
 public:
  /// @throws UsageError for what arrays cannot do
  Crossbars(const Options& options, std::vector<std::int64_t> nodes, std::uint64_t seed);

  at::Tensor forward(const at::Tensor& inputs, const Pass& pass) override;
  bool fuses_sgd(const Pass&) const override { return requires_fused_update(); }
  bool requires_fused_update() const override { return options_.analog.updates(); }
  std::vector<Named> parameters() const override;
  std::vector<Named> buffers() const override;
  std::string describe() const override;

 private:
  std::vector<std::int64_t> nodes_;
  std::vector<std::unique_ptr<CrossbarLayer>> layers_;
};

}  // namespace grapes::nn
