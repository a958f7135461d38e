#pragma once

#include "grapes/nn/activation.h"
#include "grapes/nn/analog_options.h"
#include "grapes/nn/layer.h"

namespace grapes::nn {

/// A dense layer whose weights lie in a crossbar, z = W h + b with b digital. What the array does and what is exact is
/// the options' affair:
///   forward   z = read(W, h)            or W h
///   backward  dL/dh = read(Wᵀ, δ)       or Wᵀ δ; by B on the feedback routes, which is digital
///   update    W by pulses from (h, δ) as the error passes, and no gradient    or a gradient, whose update is written
/// δ comes multiplied by the unit's factor, the local version's and columns' factors multiply what the pulses see.
/// `weight` is W as it stands in the array; who writes it (an update rule, a file) has it programmed before the next
/// read, as far as the devices' range allows, where writing is real with its noise.
class CrossbarLayer final : public Layer {
 public:
  /// @param drift  t/t0 since writing, at which evaluation reads forward
  CrossbarLayer(const Activation* activation, double drift) : activation_(activation), drift_(drift) {}
  /// Devices for `weight` as it is now, and the weights that they take. @param seed  of devices and noise
  void build(const AnalogOptions& options, std::uint64_t seed);

  void prepare(const Pass& pass, std::size_t number) override;
  bool fuses(const at::Tensor&) const override { return false; }
  bool fuses_sgd() const override { return requires_fused_update(); }
  bool requires_fused_update() const override { return array_.options.real_update; }
  std::vector<Named> buffers() const override;
  at::Tensor responsibility(std::int64_t dim, const credit::Rule&, const at::Tensor*) const override {
    return analog::responsibility(array_, dim, number_);
  }

 protected:
  at::Tensor affine(const at::Tensor& h) const override;
  at::Tensor activation(const at::Tensor& z) const override { return activation_ ? activation_->apply(z) : z; }

 private:
  struct Product;
  at::Tensor read(const at::Tensor& h) const;
  at::Tensor read_back(const at::Tensor& error) const;
  void pulse(const at::Tensor& h, const at::Tensor& error) const;
  void program();  ///< what somebody else wrote into `weight`

  const Activation* activation_;
  double drift_;
  mutable analog::Crossbar array_;  // a backward pass learns
  std::int64_t number_ = 0;         // of what is read, for the draws of its noise: of training, each batch its own
  double step_size_ = 0;            // of the pulses; 0: none come
  double later_ = 1;                // real reads forward are of the array when so many times as long has passed
};

}  // namespace grapes::nn
