#pragma once

#include "grapes/credit/route.h"
#include "grapes/nn/analog_options.h"
#include "grapes/nn/encoder.h"
#include "grapes/nn/layer.h"
#include "grapes/nn/models.h"
#include "grapes/nn/norm.h"
#include "grapes/nn/spiking.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace grapes::nn {

/// What a network is made of and how it learns.
struct Options {
  Model model;
  std::string activation = "relu";  ///< a row of activations()
  std::string output = "auto";      ///< activation of the output layer: softmax for cross-entropy, identity for mse
  bool bias = false;
  std::string init = "he_uniform";     ///< a row of initializers()
  std::string feedback_init = "auto";  ///< auto: he_uniform where init is, else nokland, as the authors' program
  double dropout = 0;                  ///< probability to drop a hidden unit, 0 ... <1
  Norm norm = Norm::none;              ///< of convolutional layers
  bool recompute = false;              ///< convolutional: stores each block's input, and computes its inside again
  std::string precision = "float32";   ///< see precision_from()
  std::string device = "cpu";          ///< where weights and arithmetic are; cuda, cuda:1: without fused layers
  SpikingOptions spiking;
  Encoding encoding;  ///< of pictures, for spiking networks
  AnalogOptions analog;
  credit::Rule rule = credit::plain();
  credit::Compatibility compatibility;
};

/// What a spiking layer did in the last pass in evaluation.
struct Activity {
  static constexpr double silent_below = 0.001, saturated_above = 0.99;  ///< of a unit's mean output
  at::Tensor output, membrane;                                           ///< [time, batch, unit]
  double rate = 0;                                                       ///< mean output over time, examples and units
  double silent = 0;                                                     ///< part of the units
  double saturated = 0;                                                  ///< part of the units
};

/// What decides a layer's arithmetic.
struct LayerShape {
  std::string name;                     ///< "layers.0"
  std::vector<std::int64_t> weight;     ///< of W, [unit, input, ...]
  std::vector<std::int64_t> recurrent;  ///< of R, [unit, unit], or empty
  std::int64_t others = 0;              ///< numbers that learn besides: biases, thresholds, decays
  /// At which an example uses W: 1 in a dense layer, rows × columns of a convolution's map before pooling, time steps.
  std::int64_t positions = 1;
  std::int64_t inputs = 0;       ///< numbers that an example brings, in all its steps
  std::int64_t input_nodes = 0;  ///< units that these are of: a channel is one
  std::int64_t values = 0;       ///< numbers that an example gives on, pooled, in all its steps
  std::size_t above = 0;         ///< the layer that takes them
  bool spikes = false;           ///< its units are spiking neurons
  bool synapse = false;          ///< whose current is kept from step to step

  std::int64_t nodes() const { return weight.front(); }
};

/// A network: runs a list of stages, and sends the error back by a rule. Layers are called layers.0, layers.1, ... in
/// the order of their stages; all but the last are hidden and modulated, per unit or output channel.
///
/// Routes: fa sends the error down each layer through a fixed matrix or kernel of W's shape, dfa brings the logits'
/// error to every hidden layer's value at once, [channel · row · column, output], ifa to the first one's, from where it
/// runs upwards as a derivative along the way would; what was kept for a sum takes its error from there as it is.
/// Through time: fa sends B δ_t down at every step, dfa the error of the last layer's value of step t to every layer's
/// y_t; in time the error runs back exactly, but on the routes that are local in time, which leave out what R sends.
class Network final {
 public:
  /// Weights are drawn from `seed` and the layer's number alone.
  /// @throws UsageError for an option that cannot be, or stages that do not fit the examples
  Network(const Options& options, Stages stages, const Signature& signature, std::uint64_t seed);

  /// @param inputs  [batch, ...], flattened where the first layer wants vectors
  /// @return logits [batch, outputs], or [batch, time, outputs]; training: with the graph of the learning rule
  at::Tensor forward(const at::Tensor& inputs, const Pass& pass);
  /// Whether the backward pass can do all of plain SGD by itself, see Pass::fused_sgd.
  bool fuses_sgd(const Pass& pass) const;
  /// Whether it learns by fused updates only: no gradient is there for an update rule.
  bool requires_fused_update() const;

  std::vector<Named> parameters() const;  ///< leaves that learn
  std::vector<Named> buffers() const;     ///< fixed: feedback weights; and what moves by itself
  /// Of the last training pass, per hidden layer, and the batch at which they were taken. Only where they are not taken
  /// anew for every batch must a checkpoint hold them.
  const std::vector<credit::Factors>& factors() const { return factors_; }
  std::int64_t factors_step() const { return factors_step_; }
  void restore_factors(std::vector<credit::Factors> factors, std::int64_t step);

  std::vector<Activity> activity() const;  ///< per spiking layer
  /// What the last pass in evaluation gave the first spiking layer, [time, batch, in]; else undefined.
  at::Tensor shown() const;
  /// Per layer, in the order of their names. @param steps  of an example that is a sequence
  std::vector<LayerShape> shapes(std::int64_t steps = 1) const;
  const credit::Rule& rule() const { return rule_; }  ///< resolved
  std::string describe() const;                       ///< a table of layers, shapes and parameter counts, for people

 private:
  struct Map {
    std::int64_t channels, rows, columns;
  };
  /// A layer and its place.
  struct Part {
    std::unique_ptr<Layer> layer;
    std::int64_t places = 1;     // dense: of each channel that is laid out in a row
    std::int64_t positions = 1;  // convolution: of the map it makes, before pooling
    std::int64_t inputs = 0;     // numbers that come in
    std::int64_t values = 0;     // numbers of its value
    std::size_t above = 0;       // the layer that takes them
    at::Tensor feedback;         // B, or undefined
    std::string then;            // for people
  };
  /// Some of the stages, begin ... end-1, from the layer `layer` on.
  struct Piece {
    std::size_t begin, end, layer;
  };

  // Making it.
  void add_layers();
  Map after(const Stage& stage, Map in);
  Part dense(const Stage& stage, Map in);
  Part convolution(const Stage& stage, Map in);
  Part spiking(const Stage& stage, Map in);
  at::Tensor drawn(const std::string& stream, at::IntArrayRef shape) const;
  void add_feedback();
  std::size_t hidden() const { return parts_.size() - 1; }
  bool direct() const { return route_.feedback == credit::Feedback::direct; }

  // One pass, network_pass.cpp.
  void prepare(const Pass& pass);
  /// Gives the layers the factors that hold for this batch.
  void refresh_factors(const Pass& pass, std::int64_t batch);
  void make_factors(const Pass& pass, std::int64_t batch);
  at::Tensor encoded(const at::Tensor& inputs, const Pass& pass) const;
  /// @param values  receives those that the route sends an error from the logits
  at::Tensor through(const Piece& piece, at::Tensor h, const Pass& pass, std::vector<at::Tensor>& values) const;
  at::Tensor through_layer(std::size_t l, at::Tensor h, std::vector<at::Tensor>& values) const;
  at::Tensor recomputing(at::Tensor h, const Pass& pass) const;
  std::vector<Piece> pieces() const;
  std::int64_t slice_of(const Piece& piece, const at::Tensor& h) const;
  at::Tensor dropped(const at::Tensor& h, const Pass& pass, std::size_t layer) const;
  at::Tensor closed(at::Tensor logits, const std::vector<at::Tensor>& values) const;
  at::Tensor upwards(at::Tensor h, const Pass& pass) const;

  Options options_;
  Stages stages_;
  Signature signature_;
  std::uint64_t seed_;
  Precision precision_;
  at::TensorOptions placed_;  // dtype and device of every weight
  credit::Rule rule_;         // resolved
  const credit::Route& route_;
  const Activation* activation_;
  SnuOptions neurons_;
  kernels::WorkspacePtr workspace_;
  std::vector<Part> parts_;
  std::size_t answer_ = 0;  // stages up to the last layer's, which gives the logits
  std::vector<credit::Factors> factors_;
  std::int64_t factors_step_ = -1;  // the batch of which they were taken
  at::Tensor shown_;
};

/// What an optimizer is to update.
std::vector<kernels::Parameter> learning(const Network& network);

/// The network of options.model.
std::unique_ptr<Network> make_network(const Options& options, const Signature& signature, std::uint64_t seed);

}  // namespace grapes::nn
