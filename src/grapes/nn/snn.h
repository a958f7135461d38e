#pragma once

#include "grapes/nn/chain.h"
#include "grapes/nn/dense.h"
#include "grapes/nn/snu.h"

#include <memory>
#include <string>
#include <vector>

namespace grapes::nn {

/// What the keys of the command line, and the neuron that they name, make of a layer.
/// @throws UsageError that names the key
SnuOptions neurons_of(const SpikingOptions& options);

/// Layers of spiking neurons over time, n_0 ... n_L. What comes in is a picture, shown for some steps by an encoder, or
/// a sequence, of numbers or of spikes packed by kernels::pack. A network that answers once per example has spiking
/// outputs, and a readout over time gives its logits; one that answers at every step has a dense layer of logits on the
/// last layer's spikes.
///
/// Routes through time: fa sends B δ_t down at every step; dfa the error that arrives at the last layer's value of step
/// t to every layer's y_t; in time the error runs back exactly. The e-prop routes leave out what would run back through
/// R.
class Snn final : public Chain {
 public:
  Snn(const Options& options, std::vector<std::int64_t> nodes, const Signature& signature, std::uint64_t seed);
  ~Snn() override;

  at::Tensor forward(const at::Tensor& inputs, const Pass& pass) override;
  bool fuses_sgd(const Pass&) const override { return false; }
  std::vector<Named> parameters() const override;
  std::vector<LayerShape> shapes(std::int64_t steps) const override;
  std::string describe() const override;
  std::vector<Activity> activity() const override;
  at::Tensor shown() const override;

 private:
  class Spiking;
  class Stepwise;
  at::Tensor timed(const at::Tensor& inputs, const Pass& pass) const;
  void refresh_factors(const Pass& pass);

  std::vector<std::int64_t> nodes_;  // n_0 ... n_L
  Signature signature_;
  SnuOptions neurons_;
  std::vector<std::unique_ptr<Spiking>> spiking_;
  at::Tensor shown_;
  std::unique_ptr<Stepwise> output_;  // of logits at each step, or null
};

}  // namespace grapes::nn
