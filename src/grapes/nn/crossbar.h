#pragma once

#include "grapes/nn/activation.h"
#include "grapes/nn/analog_options.h"
#include "grapes/nn/layer.h"

namespace grapes::nn {

/// A linear layer whose weights are stored in a crossbar: z = W h + b, with digital b. The options decide which
/// operations the array computes; the others are exact:
///   forward   z = read(W, h), or exact W h
///   backward  dL/dh = read(Wᵀ, δ), or exact Wᵀ δ; on routes with feedback weights digital B δ
///   update    pulses from (h, δ) in the backward pass, without a gradient; or a gradient and an update that is written
/// δ is already multiplied by the unit's factor. The factors of the local version and the column factors multiply the
/// errors and inputs from which pulses are made. `weight` contains the weights of the array. A new value, from an
/// update rule or a file, is written to the devices before the next read. It is limited to the devices' range and, if
/// writing is real, noisy.
class CrossbarLayer final : public Layer {
 public:
  /// @param drift  t/t0, time since writing at which evaluation reads in the forward pass
  CrossbarLayer(const Activation* activation, double drift) : activation_(activation), drift_(drift) {}
  /// Creates devices for the current `weight` and programs them. @param seed  seed of devices and noise
  void build(const AnalogOptions& options, std::uint64_t seed);

  void prepare(const Pass& pass, std::size_t number) override;
  bool fuses(const at::Tensor&) const override { return false; }
  bool updates_inside() const override { return requires_fused_update(); }
  bool requires_fused_update() const override { return array_.options.real.update; }
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
  void program();  ///< programs a value that was assigned to `weight`

  const Activation* activation_;
  double drift_;
  mutable analog::Crossbar array_;  // mutable: the backward pass updates it
  std::int64_t number_ = 0;         // number of the read, for its noise; in training the number of the batch
  double step_size_ = 0;            // of the pulses; 0: no pulses
  double later_ = 1;                // forward reads see the array after this time, relative to t0
};

}  // namespace grapes::nn
