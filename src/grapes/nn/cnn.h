#pragma once

#include "grapes/nn/architecture.h"
#include "grapes/nn/chain.h"
#include "grapes/nn/convolution.h"
#include "grapes/nn/dense.h"

#include <memory>
#include <string>
#include <vector>

namespace grapes::nn {

/// A network for pictures: convolutions, pooling, residual connections, dense layers, by a list of stages. Hidden
/// layers are modulated per output channel or node.
///
/// Routes: fa sends the error down each convolution and dense layer through a fixed kernel or matrix of W's shape; dfa
/// brings the logits' error to every layer's value at once, [channel · row · column, output], ifa to the first one's,
/// from where it runs upwards; what was kept for a sum takes its error from there as it is on every route.
class Cnn final : public Chain {
 public:
  /// @param stages  without the output layer
  /// @throws UsageError if the pictures are too small for them, or for an option that cannot be
  Cnn(const Options& options, std::vector<Stage> stages, const Signature& signature, std::uint64_t seed);

  at::Tensor forward(const at::Tensor& inputs, const Pass& pass) override;
  bool fuses_sgd(const Pass&) const override { return false; }
  std::vector<Named> parameters() const override;
  std::vector<Named> buffers() const override;
  std::vector<LayerShape> shapes(std::int64_t steps) const override;
  std::string describe() const override;

 private:
  struct Layer {
    std::unique_ptr<Convolution> convolution;  // one of the two
    std::unique_ptr<Dense> dense;
    std::shared_ptr<kernels::RoundedCopy> rounded;  // dense, if its products in training are
    std::int64_t places = 1;                        // dense: of each channel that is laid out in a row
    std::int64_t positions = 1;                     // convolution: of the map it makes, before pooling
    std::int64_t inputs = 0;                        // numbers that come in
    std::string then;                               // for people
    credit::Block& block() const { return convolution ? static_cast<credit::Block&>(*convolution) : *dense; }
  };
  struct Map {
    std::int64_t channels, rows, columns;
  };
  Map after(const Stage& stage, Map in, std::uint64_t seed);
  void refresh_factors(const Pass& pass);
  /// Some of the stages, from the layer `l` on.
  struct Piece {
    std::size_t begin, end, layer;  // stages begin ... end-1
  };
  /// What is computed again together: up to where a residual sum is made, or the map gets smaller.
  std::vector<Piece> pieces() const;
  bool direct() const;  ///< no error goes from layer to layer: each is a piece by itself
  /// @param values  receives those that the route sends an error from the logits
  at::Tensor through(const Piece& piece, at::Tensor h, const Pass& pass, std::vector<at::Tensor>& values) const;
  at::Tensor through_layer(std::size_t l, at::Tensor h, std::vector<at::Tensor>& values) const;

  // Indirect feedback alignment, cnn_indirect.cpp.
  struct Pair {
    at::Tensor value, error;  // of one shape; the error has gone through what made the value
  };
  at::Tensor indirect(const at::Tensor& inputs, const Pass& pass) const;
  void run_upwards(const at::Tensor& inputs, const at::Tensor& error, const Pass& pass) const;
  /// One layer: its gradients, and the pair above it. @param first  the error at layer 0's value, [batch, node]
  Pair upwards(std::size_t l, const Pair& below, const at::Tensor& first) const;

  at::Tensor dropped(const at::Tensor& h, const Pass& pass, std::size_t layer) const;
  const Activation* activation() const;
  std::int64_t slice_of(const Piece& piece, const at::Tensor& h) const;

  kernels::WorkspacePtr workspace_;
  std::vector<Stage> stages_;
  std::vector<Layer> layers_;
  std::vector<std::int64_t> values_;  // nodes of each layer's value
  std::vector<std::size_t> above_;    // the layer that takes it
};

}  // namespace grapes::nn
