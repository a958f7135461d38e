#pragma once

#include "grapes/nn/analog_options.h"
#include "grapes/nn/encoder.h"
#include "grapes/nn/fan_in.h"
#include "grapes/nn/layer.h"
#include "grapes/nn/models.h"
#include "grapes/nn/norm.h"
#include "grapes/nn/plan.h"
#include "grapes/nn/snu_layer.h"
#include "grapes/nn/spiking.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace grapes::nn {

/// Options of a network.
struct Options {
  Model model;
  std::string activation = "relu";  ///< a name in activations()
  std::string output = "auto";      ///< activation of the output layer: softmax for cross-entropy, identity for mse
  bool bias = false;
  std::string init = "he_uniform";  ///< a name in initializers()
  double log_sigma = 1;             ///< deviation of log |w| of the initializer lognormal
  double unit_scales = 0;           ///< deviation of log c; the initial weights are rescaled by c, see rescale()
  FanIn fan_in;                     ///< of the hidden dense layers
  double prune = 1;                 ///< fraction of each layer's weights that prune() keeps
  std::string feedback_init =
      "auto";                     ///< auto, as in the authors' program: he_uniform if init is he_uniform, else nokland
  bool feedback_kernels = false;  ///< route dfa: feedback weights below a convolution come from a kernel of its size
  double dropout = 0;             ///< probability that a hidden unit is dropped, in [0, 1)
  Norm norm = Norm::none;         ///< of convolutional layers
  bool recompute = false;  ///< convolutional networks: store only each block's input and recompute its activations in
                           ///< the backward pass
  Precision precision;
  std::string device =
      "cpu";  ///< cpu, cuda, cuda:1: where weights are and arithmetic runs; layers are fused on the cpu only
  SpikingOptions spiking;
  Encoding encoding;  ///< of images, for spiking networks
  AnalogOptions analog;
  credit::Rule rule = credit::plain();
  credit::Compatibility compatibility;
};

/// Activity of a spiking layer in the last evaluation pass.
struct Activity {
  std::string name;                                                      ///< "layers.0"
  static constexpr double silent_below = 0.001, saturated_above = 0.99;  ///< limits of a unit's mean output
  at::Tensor output, membrane;                                           ///< [time, batch, unit]
  double rate = 0;                                                       ///< mean output over time, examples and units
  double silent = 0;                                                     ///< fraction of the units
  double saturated = 0;                                                  ///< fraction of the units
};

/// Sizes that determine a layer's arithmetic.
struct LayerShape {
  std::string name;                     ///< "layers.0"
  std::vector<std::int64_t> weight;     ///< of W, [unit, input, ...]
  std::vector<std::int64_t> recurrent;  ///< of R, [unit, unit], or empty
  std::int64_t others = 0;              ///< number of other parameters: biases, thresholds, decays
  /// How often an example uses W: 1 in a linear layer, rows × columns of a convolution's map before pooling, or time
  /// steps.
  std::int64_t positions = 1;
  std::int64_t inputs = 0;       ///< number of inputs per example, over all time steps
  std::int64_t input_nodes = 0;  ///< number of units that the inputs belong to; a channel is one unit
  std::int64_t values = 0;       ///< number of values per example after pooling, over all time steps
  std::size_t above = 0;         ///< index of the layer that takes them
  bool spikes = false;           ///< its units are spiking neurons
  bool synapse = false;          ///< the neurons have a synaptic current

  std::int64_t nodes() const { return weight.front(); }
};

/// A network: runs a list of stages and sends the error back by a rule. Layers are named layers.0, layers.1, ... in the
/// order of their stages. All but the last are hidden and modulated, per unit or output channel.
///
/// Routes:
/// - fa sends the error to each layer below through a fixed matrix or kernel of W's shape.
/// - dfa sends the logits' error to the value of every hidden layer, [channel · row · column, output].
/// - ifa sends it to the first layer's value. From there it runs upward like a forward-mode derivative. A stored value
///   of a residual sum receives its error unchanged.
/// - Over time, fa sends B δ_t at every step; dfa sends the error of the last layer at step t to every layer's y_t.
///   Back in time the error is exact, except on routes that are local in time, which send nothing back through R.
class Network final {
 public:
  /// Draws weights from streams of `seed` and the layer's index.
  /// @throws UsageError for an invalid option, or stages that do not fit the examples; c10::ValueError for an invalid
  ///   rule
  Network(const Options& options, Stages stages, const Signature& signature, std::uint64_t seed);

  /// @param inputs  [batch, ...], flattened if the first layer takes vectors
  /// @return logits [batch, outputs] or [batch, time, outputs]; in training with the graph of the learning rule
  at::Tensor forward(const at::Tensor& inputs, const Pass& pass);
  /// Whether the backward pass can make the whole update, see Pass::learn.
  bool updates_inside(const Pass& pass) const;
  /// Whether the backward pass computes parts of the batch again, and adds to a gradient several times.
  bool recomputes() const { return options_.recompute; }
  /// True if the model learns only by fused updates; its parameters receive no gradient.
  bool requires_fused_update() const;

  /// Returns a function that computes, for each number of each parameter, the sum over the paths from an input to an
  /// output through it of the product of the other squared weights on the path, in float64 and in the order of
  /// parameters() (Neyshabur, Salakhutdinov and Srebro 2015). A bias is a weight of an input of 1. The paths that share
  /// a weight, as in a convolution, are added. Pooling passes on the mean of its window, so each sum of a network with
  /// pooling has a constant factor. It costs a forward and a backward pass with one example. The network must outlive
  /// the function.
  /// @throws UsageError if the network has no such paths: spiking neurons, normalization, crossbars, learned feedback
  std::function<std::vector<at::Tensor>()> path_sums() const;

  /// Keeps the options.prune of each layer's weights, those with the largest magnitudes, and removes the others: the
  /// masks become 0 there. Of equal ones the first are kept. Does nothing if options.prune is 1.
  void prune();
  /// Sets weights to 0 that the masks say do not exist. Call it after the weights were written from outside.
  void apply_masks();

  /// Sets the gradient of each learned feedback weight to that of the weight that it replaces. Call it after the
  /// backward pass.
  void mirror_gradients() const;

  /// Leaves that are learned, by layer; then the feedback weights that learn.
  std::vector<Named> parameters() const;
  /// Name of a layer, and the index of its W in parameters().
  struct Weight {
    std::string layer;
    std::size_t place;
  };
  std::vector<Weight> weights() const;  ///< per layer
  /// Other feedback weights, running statistics of normalizations, and the masks of weights.
  std::vector<Named> buffers() const;
  /// Whether the rule's modulation matches the norms of another one (Modulation::matches). Then a pass with
  /// Pass::reference has the factors of that modulation, and others have none. train::step() makes both passes.
  bool matches() const { return !credit::modulation_of(plan_.rule).matches.empty(); }
  /// Factors of the last training pass, per hidden layer or per layer, and the batch in which they were computed. A
  /// checkpoint must contain them only if they are not recomputed in every batch.
  const std::vector<credit::Factors>& factors() const { return factors_; }
  std::int64_t factors_step() const { return factors_step_; }
  void restore_factors(std::vector<credit::Factors> factors, std::int64_t step);

  /// Returns the responsibilities of the units of each hidden layer, [unit], that the rule's factors are computed from;
  /// on `synaptic`, those of their incoming weights.
  std::vector<at::Tensor> responsibilities() const;

  /// Creates a network with the same stages and copies of the weights, with another rule.
  std::unique_ptr<Network> twin(const credit::Rule& rule) const;
  /// Returns the matrix or kernel that carries the error from layer l to the layer below, in the layout of its W.
  /// Undefined if W carries it, or if no error passes.
  at::Tensor carrier(std::size_t l) const;

  std::vector<Activity> activity() const;  ///< per layer with spiking neurons
  /// Input of the first spiking layer in the last evaluation pass, [time, batch, in]; else undefined.
  at::Tensor shown() const;
  /// Sizes per layer, in the order of their names. @param steps  length of an example that is a sequence
  std::vector<LayerShape> shapes(std::int64_t steps = 1) const;
  bool learns_feedback() const { return plan_.route->weights == credit::FeedbackWeights::learned; }
  const credit::Rule& rule() const { return plan_.rule; }  ///< as returned by credit::resolved()
  std::string describe() const;  ///< a table of layers, shapes and parameter counts, for people

 private:
  /// A layer and its position.
  struct Part {
    std::unique_ptr<Layer> layer;
    std::unique_ptr<SnuLayer> neurons = nullptr;  // on the current of a convolution, or null
    std::int64_t places = 1;                      // dense: number of positions per channel of the flattened input
    std::int64_t positions = 1;                   // convolution: number of positions of its map before pooling
    std::int64_t inputs = 0;                      // number of inputs
    std::int64_t values = 0;                      // number of values
    std::size_t stage = 0;                        // index of its stage
    std::size_t above = 0;                        // index of the layer that takes them
    at::Tensor feedback;                          // B, or undefined
    std::string then;                             // what follows the layer, for people

    bool convolves() const { return layer->weight.dim() > 2; }
  };
  /// Stages begin ... end-1, which start with layer `layer`.
  struct Piece {
    std::size_t begin, end, layer;
  };

  // Construction.
  void add_layers();
  /// Multiplies the incoming weights of every hidden unit by c and divides its outgoing weights by c, where log c is
  /// normal with deviation options.unit_scales. The network computes the same function, but its units are unlike.
  void rescale();
  Part part_of(const Stage& stage, const StagePlan& sizes) const;
  Part dense(const Stage& stage, const StagePlan& sizes) const;
  Part convolution(const Stage& stage, const StagePlan& sizes) const;
  Part spiking(const Stage& stage, const StagePlan& sizes) const;
  /// Neurons on the current of a convolution, with the map `out`.
  void add_neurons(Part& part, const Map& out) const;
  std::vector<Named> parameters_of(std::size_t l) const;
  at::Tensor drawn(const std::string& stream, at::IntArrayRef shape, const at::Tensor& mask = {}) const;
  void add_feedback();
  /// Draws B of hidden layer l. @param draw  0 when the network is made; n + 1 for batch n
  at::Tensor drawn_feedback(std::size_t l, std::uint64_t draw) const;
  std::vector<Named> named_feedback() const;
  std::size_t hidden() const { return parts_.size() - 1; }
  bool direct() const { return plan_.route->feedback == credit::Feedback::direct; }
  /// Number of axes before the channels or units of a value: the batch, or time and batch.
  std::int64_t leading() const { return has_time(stages_) ? 2 : 1; }

  // One pass, in network_pass.cpp.
  void prepare(const Pass& pass);
  /// Sets the factors of this batch in all layers.
  void refresh_factors(const Pass& pass, std::int64_t batch);
  void make_factors(const Pass& pass, std::int64_t batch);
  at::Tensor encoded(const at::Tensor& inputs, const Pass& pass) const;
  /// @param values  receives the values to which the route sends an error from the logits
  at::Tensor through(const Piece& piece, at::Tensor h, const Pass& pass, std::vector<at::Tensor>& values) const;
  at::Tensor through_layer(std::size_t l, at::Tensor h, std::vector<at::Tensor>& values) const;
  /// Runs the neurons of a convolution.
  at::Tensor fired(std::size_t l, at::Tensor current, std::vector<at::Tensor>& values) const;
  at::Tensor recomputing(at::Tensor h, const Pass& pass) const;
  std::vector<Piece> pieces() const;
  std::int64_t slice_of(const Piece& piece, const at::Tensor& h, const Pass& pass) const;
  at::Tensor dropped(const at::Tensor& h, const Pass& pass, std::size_t layer) const;
  at::Tensor closed(at::Tensor logits, const std::vector<at::Tensor>& values) const;
  at::Tensor upwards(at::Tensor h, const Pass& pass) const;  // in network_upwards.cpp

  Options options_;
  Stages stages_;
  Signature signature_;
  std::uint64_t seed_;
  Plan plan_;
  kernels::WorkspacePtr workspace_;
  std::vector<Part> parts_;
  std::size_t answer_ = 0;  // number of stages up to the last layer, which outputs the logits
  std::vector<credit::Factors> factors_;
  std::int64_t factors_step_ = -1;  // the batch in which factors were computed
  at::Tensor shown_;
};

/// Returns the parameters that an optimizer updates.
std::vector<kernels::Parameter> learning(const Network& network);

/// Makes the checks of make_network() without making the network.
/// @throws as make_network()
void check(const Options& options, const Signature& signature);
/// Creates the network of options.model. @throws as the constructor of Network
std::unique_ptr<Network> make_network(const Options& options, const Signature& signature, std::uint64_t seed);

}  // namespace grapes::nn
