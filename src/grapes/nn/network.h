#pragma once

#include "grapes/credit/route.h"
#include "grapes/nn/analog_options.h"
#include "grapes/nn/encoder.h"
#include "grapes/nn/norm.h"
#include "grapes/nn/spiking.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace grapes::nn {

/// Every key of the command line that concerns the network and how it learns.
struct Options {
  std::string model = "mlp:256,256";  ///< a row of models() and its arguments
  std::string activation = "relu";    ///< a row of activations()
  std::string output = "auto";        ///< activation of the output layer: softmax for cross-entropy, identity for mse
  bool bias = false;
  std::string init = "he_uniform";     ///< a row of initializers()
  std::string feedback_init = "auto";  ///< auto: he_uniform where init is, else nokland, as the authors' program
  double dropout = 0;                  ///< probability to drop a hidden node, 0 ... <1
  Norm norm = Norm::none;              ///< of convolutional layers
  bool recompute = false;              ///< convolutional: what is inside a piece is not kept, but computed again
  std::string precision = "float32";   ///< see precision_from()
  std::string device = "cpu";          ///< where weights and arithmetic are; cuda, cuda:1: by the plain path
  SpikingOptions spiking;
  Encoding encoding;  ///< of pictures, for spiking networks
  AnalogOptions analog;
  credit::Rule rule = credit::plain();
  credit::Compatibility compatibility;
};

/// What one forward pass needs to know besides its inputs.
struct Pass {
  bool training = false;
  std::uint64_t seed = 0;                  ///< the run's root seed; dropout and shuffles are drawn from (seed, step)
  std::int64_t step = 0;                   ///< number of the batch, from 0
  std::vector<at::Tensor> masks;           ///< dropout masks given from outside, per hidden layer [batch, node]; replay
  std::vector<at::Tensor> factor_weights;  ///< weights the factors are taken from, if not the parameters
  double fused_sgd = 0;  ///< not 0: the backward pass makes W -= fused_sgd · g by itself; only if Network::fuses_sgd()
  at::Tensor present = {};  ///< [batch, time] bool: steps of the sequences that are there; undefined: all
  bool plain = false;       ///< by the slow twins of all fused layers: tensor operations only
};

/// What goes into a network and what comes out.
struct Signature {
  std::vector<std::int64_t> input_shape;  ///< of one example, or of one step of a sequence
  std::int64_t outputs = 0;
  bool sequence = false;   ///< examples are sequences: inputs [batch, time, ...]
  bool each_step = false;  ///< the network answers at every step: logits [batch, time, outputs]
};

/// What a spiking layer did in the last pass in evaluation.
struct Activity {
  static constexpr double silent_below = 0.001, saturated_above = 0.99;  ///< of a node's mean output
  at::Tensor output, membrane;                                           ///< [time, batch, node]
  double rate = 0;                                                       ///< mean output over time, examples and nodes
  double silent = 0;                                                     ///< part of the nodes
  double saturated = 0;                                                  ///< part of the nodes
};

struct Named {
  std::string name;  ///< "layers.0.weight", "layers.0.bias", "layers.0.feedback"
  at::Tensor value;
  /// To be kept by whoever writes the weight, if the factors want them.
  std::shared_ptr<kernels::RowSums> sums = nullptr;
  std::shared_ptr<kernels::Storage> storage = nullptr;  ///< null: held as it comes
};

/// What decides a layer's arithmetic.
struct LayerShape {
  std::string name;                     ///< "layers.0"
  std::vector<std::int64_t> weight;     ///< of W, [node, input, ...]
  std::vector<std::int64_t> recurrent;  ///< of R, [node, node], or empty
  std::int64_t others = 0;              ///< numbers that learn besides: biases, thresholds, decays
  /// At which an example uses W: 1 in a dense layer, rows × columns of a convolution's map before pooling, time steps.
  std::int64_t positions = 1;
  std::int64_t inputs = 0;       ///< numbers that an example brings, in all its steps
  std::int64_t input_nodes = 0;  ///< nodes that these are of: a channel is one
  std::int64_t values = 0;       ///< numbers that an example gives on, pooled, in all its steps
  std::size_t above = 0;         ///< the layer that takes them
  bool spikes = false;           ///< its nodes are spiking neurons
  bool synapse = false;          ///< whose current is kept from step to step

  std::int64_t nodes() const { return weight.front(); }
};

class Network {
 public:
  virtual ~Network() = default;
  /// @param inputs  [batch, ...], flattened where the model wants vectors
  /// @return logits [batch, outputs], or [batch, time, outputs]; training: with the graph of the learning rule
  virtual at::Tensor forward(const at::Tensor& inputs, const Pass& pass) = 0;
  /// Whether the backward pass can do all of a plain descent by itself, see Pass::fused_sgd.
  virtual bool fuses_sgd(const Pass& pass) const = 0;
  /// Whether it learns in no other way: no gradient is there for an update rule.
  virtual bool requires_fused_update() const { return false; }
  virtual std::vector<Named> parameters() const = 0;  ///< leaves that learn
  virtual std::vector<Named> buffers() const = 0;     ///< fixed: feedback weights
  /// Of the last training pass, per hidden layer, and the batch at which they were taken. Only where they are not taken
  /// anew for every batch must a checkpoint hold them.
  virtual const std::vector<credit::Factors>& factors() const = 0;
  virtual std::int64_t factors_step() const = 0;
  virtual void restore_factors(std::vector<credit::Factors> factors, std::int64_t step) = 0;
  virtual std::vector<Activity> activity() const { return {}; }  ///< per spiking layer
  /// What the last pass in evaluation gave the first spiking layer, [time, batch, in]; else undefined.
  virtual at::Tensor shown() const { return {}; }
  /// Per layer, in the order of their names. @param steps  of an example that is a sequence
  virtual std::vector<LayerShape> shapes(std::int64_t steps = 1) const = 0;
  virtual const credit::Rule& rule() const = 0;  ///< resolved: with nothing left to the route
  virtual std::string describe() const = 0;      ///< a table of layers, shapes and parameter counts, for people
};

/// What an optimizer is to update.
std::vector<kernels::Parameter> learning(const Network& model);

/// @throws UsageError that says what is wrong in the model string, activation, ...
std::unique_ptr<Network> make_network(const Options& options, const Signature& signature, std::uint64_t seed);

struct Row {
  std::string name;
  std::string summary;
};
const std::vector<Row>& models();
/// Whether the model is made of convolutions, which oneDNN does on LibTorch's threads. @param model  as in Options
bool convolves(const std::string& model);

}  // namespace grapes::nn
