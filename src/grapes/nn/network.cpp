#include "grapes/nn/network.h"

#include "grapes/core/rounding.h"
#include "grapes/kernels/spikes.h"
#include "grapes/nn/conv2d.h"
#include "grapes/nn/init.h"
#include "grapes/nn/layer_kind.h"
#include "grapes/nn/readout.h"
#include "grapes/nn/snu_layer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace grapes::nn {
namespace {
using Do = Stage::Do;

/// The feedback weights [in values, outputs] with which each position of a convolution's output sends the same error
/// down through the kernel K, [outputs, in channels, rows, columns].
at::Tensor everywhere(const at::Tensor& K, const Stage& stage, const StagePlan& sizes) {
  const std::int64_t outputs = K.size(0);
  const at::Tensor error = at::eye(outputs, K.options())
                               .view({outputs, outputs, 1, 1})
                               .expand({-1, -1, sizes.before_pooling.rows, sizes.before_pooling.columns});
  const at::Tensor map = at::empty({outputs, sizes.in.channels, sizes.in.rows, sizes.in.columns}, K.options());
  const auto both = [](std::int64_t n) { return std::vector<std::int64_t>{n, n}; };
  return std::get<0>(at::convolution_backward(error.contiguous(), map, K.contiguous(), at::nullopt, both(stage.stride),
                                              both(stage.padding), both(stage.dilation), false, both(0), 1,
                                              {true, false, false}))
      .flatten(1)
      .t();
}
}  // namespace

Network::Network(const Options& options, Stages stages, const Signature& signature, std::uint64_t seed)
    : options_(options),
      stages_(std::move(stages)),
      signature_(signature),
      seed_(seed),
      plan_(plan(options_, stages_, signature_)),
      workspace_(std::make_shared<kernels::Workspace>()) {
  add_layers();
  if (options_.unit_scales > 0) rescale();
  add_feedback();
}

void Network::add_layers() {
  using Layers = std::vector<std::size_t>;
  Layers from;  // layers whose values make up the map
  std::vector<Layers> kept;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    if (stage.what == Do::keep) kept.push_back(from);
    if (stage.what == Do::add) {
      from.insert(from.end(), kept.back().begin(), kept.back().end());
      kept.pop_back();
    }
    if (stage.what == Do::fire) add_neurons(parts_.back(), plan_.stages[i].out);
    if (!stage.is_layer()) continue;
    answer_ = i;
    const std::size_t l = parts_.size();
    parts_.push_back(part_of(stage, plan_.stages[i]));
    parts_.back().stage = i;
    if (stage.fires) add_neurons(parts_.back(), plan_.stages[i].out);
    Layers& below = stage.what == Do::shortcut ? kept.back() : from;
    for (const std::size_t one : below)
      if (parts_[one].above == 0) parts_[one].above = l;
    below = {l};
  }
  parts_.back().above = parts_.size();
}

at::Tensor Network::drawn(const std::string& stream, at::IntArrayRef shape, const at::Tensor& mask) const {
  Random random(stream_seed(seed_, stream, parts_.size() + 1));
  const at::Tensor W = initialize(*plan_.init, shape, random, plan_.placed, options_.log_sigma, mask);
  return kernels::rounded(W, options_.precision.master.nearest(), 0, 0).requires_grad_();
}

Network::Part Network::part_of(const Stage& stage, const StagePlan& sizes) const {
  Part part = stage.what == Do::dense   ? dense(stage, sizes)
              : stage.what == Do::spike ? spiking(stage, sizes)
                                        : convolution(stage, sizes);
  if (options_.prune < 1 && !part.layer->weight_mask.defined())
    part.layer->weight_mask = at::ones_like(part.layer->weight.detach());
  part.inputs = sizes.in.values();
  part.values = sizes.out.values();
  if (options_.precision.keeps()) {
    part.layer->storage = std::make_shared<kernels::Storage>();
    *part.layer->storage = {options_.precision.master, options_.precision.update, 0};
  }
  return part;
}

Network::Part Network::convolution(const Stage& stage, const StagePlan& sizes) const {
  const bool activates = stage.what == Do::convolve && stage.activates;
  auto layer = std::make_unique<Conv2dLayer>(Conv2dLayer::Shape{{stage.stride, stage.stride},
                                                                {stage.padding, stage.padding},
                                                                {stage.dilation, stage.dilation},
                                                                stage.groups,
                                                                stage.pool},
                                             activates ? plan_.activation : nullptr, workspace_);
  layer->weight = drawn("init", {stage.units, sizes.in.channels / stage.groups, stage.kernel, stage.kernel});
  layer->rounded = options_.precision.bf16;
  layer->norm = BatchNorm::make(options_.norm, stage.units, plan_.placed, plan_.neurons.threshold());
  if (options_.bias && options_.norm == Norm::none)  // the shift of the normalization replaces the bias
    layer->bias = at::zeros({stage.units}, plan_.placed).requires_grad_();
  Part part;
  part.positions = sizes.before_pooling.positions();
  part.then = options_.norm == Norm::none ? "" : "normalized, ";
  part.then += activates ? options_.activation : "no activation";
  if (stage.pool > 1) part.then += fmt::format(", max pooling {0} × {0}", stage.pool);
  part.then += fmt::format(" -> {} × {}", sizes.out.rows, sizes.out.columns);
  part.layer = std::move(layer);
  return part;
}

Network::Part Network::dense(const Stage& stage, const StagePlan& sizes) const {
  Part part;
  part.places = sizes.in.positions();
  part.then = stage.activates ? options_.activation : signature_.each_step ? "output at every step" : "output";
  at::Tensor mask;
  if (options_.fan_in && stage.activates) {
    Random random(stream_seed(seed_, "fan-in", parts_.size() + 1));
    mask = weight_mask(options_.fan_in, stage.units, sizes.in.values(), random);
    part.then += ", fan-in " + to_string(options_.fan_in);
  }
  const at::Tensor W = drawn("init", {stage.units, sizes.in.values()}, mask);
  const at::Tensor b = options_.bias ? at::zeros({stage.units}, plan_.placed).requires_grad_() : at::Tensor();
  const LayerKind& kind = *sizes.kind;
  using credit::Responsibility;
  const bool incoming =
      plan_.rule.responsibility == Responsibility::incoming || plan_.rule.responsibility == Responsibility::input;
  const double dropout = stage.drops ? options_.dropout : 0;
  part.layer = kind.make({W, b, stage.activates ? plan_.activation : nullptr, dropout, options_.precision.bf16,
                          stage.activates && credit::modulation_of(plan_.rule).from_weights && incoming,
                          options_.analog, stream_seed(seed_, kind.name, parts_.size() + 1), workspace_});
  if (mask.defined()) part.layer->weight_mask = mask.to(plan_.placed);
  if (options_.analog)
    part.then += fmt::format(", {} devices", 2 * W.numel());
  else if (kind.name != "linear")
    part.then += ", " + kind.name;
  if (dropout > 0) part.then += fmt::format(", dropout {}", dropout);
  return part;
}

Network::Part Network::spiking(const Stage& stage, const StagePlan& sizes) const {
  SnuOptions options = plan_.neurons;
  options.recurrent(plan_.neurons.recurrent() && stage.activates);  // output units have no recurrent connections
  auto layer = std::make_unique<SnuLayer>(options, plan_.rule.compounding, workspace_);
  layer->once = true;
  layer->weight = drawn("init", {stage.units, sizes.in.values()});
  if (options_.bias) layer->bias = at::zeros({stage.units}, plan_.placed).requires_grad_();
  if (options.recurrent()) layer->recurrent = drawn("recurrent", {stage.units, stage.units});
  layer->add_constants(stage.units, plan_.placed, options_.spiking.own_constants);
  Part part;
  part.places = sizes.in.positions();
  part.then = options_.spiking.neuron + (options.recurrent() ? ", recurrent" : "");
  layer->readout = sizes.readout;
  if (sizes.readout != nullptr) part.then += ", " + sizes.readout->name;
  part.layer = std::move(layer);
  return part;
}

void Network::add_neurons(Part& part, const Map& out) const {
  part.neurons = std::make_unique<SnuLayer>(plan_.neurons, false, workspace_);
  part.neurons->once = true;
  part.neurons->add_constants(options_.spiking.own_constants ? out.values() : out.channels, plan_.placed,
                              options_.spiking.own_constants);
  part.values = out.values();
  part.then += fmt::format(", {} on {} × {}", options_.spiking.neuron, out.rows, out.columns);
}

void Network::add_feedback() {
  using credit::Feedback;
  for (std::size_t l = 0; l < hidden(); ++l) {
    if (plan_.route->feedback == Feedback::none || (plan_.route->feedback == Feedback::first && l > 0)) continue;
    const at::Tensor B = drawn_feedback(l, 0);
    parts_[l].feedback = plan_.route->weights == credit::FeedbackWeights::scale ? credit::magnitude(B) : B;
  }
}

at::Tensor Network::drawn_feedback(std::size_t l, std::uint64_t draw) const {
  using credit::Feedback;
  const Initializer& init = *plan_.feedback_init;
  Random random(stream_seed(seed_, "feedback", l + 1, draw));
  // he_uniform counts the units that receive the error, as the authors' program does; the others count those that
  // send it.
  const bool arrives = init.name == "he_uniform", above = plan_.route->feedback == Feedback::above;
  const at::Tensor W = parts_[l + 1].layer->weight;
  at::Tensor B;
  if (above && W.dim() > 2) {
    B = arrives ? initialize(init, W.sizes(), random, plan_.placed)
                : initialize(init, W.transpose(0, 1).sizes(), random, plan_.placed).transpose(0, 1);
  } else if (const Part& takes = parts_[parts_[l].above]; options_.feedback_kernels && takes.convolves()) {
    const StagePlan& sizes = plan_.stages[takes.stage];
    const at::Tensor& kernel = takes.layer->weight;
    const std::vector<std::int64_t> shape = {parts_.back().values, sizes.in.channels, kernel.size(2), kernel.size(3)};
    const std::vector<std::int64_t> turned = {shape[1], shape[0], shape[2], shape[3]};
    const at::Tensor K = arrives ? initialize(init, shape, random, plan_.placed)
                                 : initialize(init, turned, random, plan_.placed).transpose(0, 1);
    B = everywhere(K, stages_[takes.stage], sizes);
  } else {
    const std::int64_t from = above ? W.size(0) : parts_.back().values, to = above ? W.size(1) : parts_[l].values;
    B = arrives ? initialize(init, {from, to}, random, plan_.placed).t()
                : initialize(init, {to, from}, random, plan_.placed);
  }
  return kernels::rounded(B, options_.precision.weights.nearest(), 0, 0).contiguous();
}

void Network::mirror_gradients() const {
  if (!learns_feedback()) return;
  for (std::size_t l = 0; l < hidden(); ++l) {
    const at::Tensor gradient = parts_[l + 1].layer->weight.grad();
    at::Tensor B = parts_[l].feedback;
    B.mutable_grad() = gradient.defined()
                           ? (gradient.dim() == 2 ? gradient.t() : gradient).clone(at::MemoryFormat::Contiguous)
                           : gradient;
  }
}

bool Network::updates_inside(const Pass& pass) const {
  return (!pass.plain && !options_.precision.has_formats() && !learns_feedback() &&
          std::ranges::all_of(parts_, [](const Part& part) { return part.layer->updates_inside(); }));
}

bool Network::requires_fused_update() const {
  return std::ranges::any_of(parts_, [](const Part& part) { return part.layer->requires_fused_update(); });
}

std::vector<Named> Network::parameters_of(std::size_t l) const {
  std::vector<Named> all = parts_[l].layer->parameters();
  if (parts_[l].neurons)
    for (Named& one : parts_[l].neurons->parameters()) all.push_back(std::move(one));
  return all;
}

std::vector<Named> Network::parameters() const {
  std::vector<Named> all;
  for (std::size_t l = 0; l < parts_.size(); ++l)
    for (Named& one : parameters_of(l)) {
      one.name = fmt::format("layers.{}.{}", l, one.name);
      all.push_back(std::move(one));
    }
  if (learns_feedback())
    for (Named& one : named_feedback()) all.push_back(std::move(one));
  return all;
}

std::vector<Named> Network::named_feedback() const {
  std::vector<Named> all;
  for (std::size_t l = 0; l < hidden(); ++l)
    if (parts_[l].feedback.defined()) all.push_back({fmt::format("layers.{}.feedback", l), parts_[l].feedback});
  return all;
}

std::vector<Network::Weight> Network::weights() const {
  std::vector<Weight> all;
  std::size_t place = 0;
  for (std::size_t l = 0; l < parts_.size(); ++l) {
    all.push_back({fmt::format("layers.{}", l), place});  // the first parameter of a layer is its W
    place += parameters_of(l).size();
  }
  return all;
}

std::vector<Named> Network::buffers() const {
  std::vector<Named> all;
  if (!learns_feedback()) all = named_feedback();
  for (std::size_t l = 0; l < parts_.size(); ++l)
    if (const at::Tensor& mask = parts_[l].layer->weight_mask; mask.defined())
      all.push_back({fmt::format("layers.{}.weight_mask", l), mask});
  for (std::size_t l = 0; l < parts_.size(); ++l)
    for (const Layer* layer : std::initializer_list<const Layer*>{parts_[l].layer.get(), parts_[l].neurons.get()})
      if (layer != nullptr)
        for (const Named& one : layer->buffers()) all.push_back({fmt::format("layers.{}.{}", l, one.name), one.value});
  return all;
}

std::unique_ptr<Network> Network::twin(const credit::Rule& rule) const {
  Options options = options_;
  options.rule = rule;
  auto other = std::make_unique<Network>(options, stages_, signature_, seed_);
  const at::NoGradGuard no_grad;
  for (const auto& [mine, theirs] : {std::pair{parameters(), other->parameters()}, {buffers(), other->buffers()}})
    for (const Named& to : theirs)
      for (const Named& from : mine)
        if (from.name == to.name) at::Tensor(to.value).copy_(from.value);
  return other;
}

at::Tensor Network::carrier(std::size_t l) const {
  if (l == 0) return {};
  const at::NoGradGuard no_grad;
  const ErrorPath path = plan_.route->down(parts_[l].layer->weight, parts_[l - 1].feedback);
  if (path.to != ErrorPath::To::matrix) return {};
  return path.matrix.dim() == 2 ? path.matrix.t() : path.matrix;
}

void Network::restore_factors(std::vector<credit::Factors> factors, std::int64_t step) {
  factors_ = std::move(factors);
  for (credit::Factors& layer : factors_)
    for (at::Tensor* m : {&layer.error, &layer.rows, &layer.columns})
      if (m->defined()) *m = m->to(plan_.placed.device());
  factors_step_ = step;
}

std::vector<Activity> Network::activity() const {
  std::vector<Activity> all;
  for (std::size_t l = 0; l < parts_.size(); ++l) {
    const auto* neurons = parts_[l].neurons ? parts_[l].neurons.get() : dynamic_cast<SnuLayer*>(parts_[l].layer.get());
    if (neurons == nullptr) continue;
    const SnuTrace& trace = neurons->trace();
    if (!trace.output.defined()) return {};
    const at::Tensor rates = trace.output.mean(at::IntArrayRef({0, 1}));
    all.push_back({fmt::format("layers.{}", l), trace.output, trace.membrane, rates.mean().item<double>(),
                   rates.lt(Activity::silent_below).to(at::kDouble).mean().item<double>(),
                   rates.gt(Activity::saturated_above).to(at::kDouble).mean().item<double>()});
  }
  return all;
}

at::Tensor Network::shown() const {
  if (!shown_.defined() || !kernels::is_packed(shown_)) return shown_;
  return kernels::unpack(shown_, parts_.front().inputs, options_.precision.dtype);
}

std::vector<LayerShape> Network::shapes(std::int64_t steps) const {
  const bool in_time = has_time(stages_);
  if (!in_time) steps = 1;
  if (in_time && !signature_.sequence) steps = options_.encoding.steps;
  std::vector<LayerShape> all;
  for (std::size_t l = 0; l < parts_.size(); ++l) {
    const Part& part = parts_[l];
    LayerShape& shape = all.emplace_back();
    shape.name = fmt::format("layers.{}", l);
    shape.weight = part.layer->weight.sizes().vec();
    for (const Named& one : parameters_of(l))
      if (one.value.dim() < 2) shape.others += one.value.numel();
    shape.positions = part.positions * steps;
    shape.inputs = part.inputs * steps;
    shape.input_nodes = shape.weight[1] / part.places;
    shape.values = part.values * steps;
    shape.above = part.above;
    if (part.neurons) shape.spikes = true, shape.synapse = plan_.neurons.synapse() > 0;
    if (const auto* spiking = dynamic_cast<const SnuLayer*>(part.layer.get())) {
      shape.spikes = true;
      shape.synapse = plan_.neurons.synapse() > 0;
      if (spiking->recurrent.defined()) shape.recurrent = spiking->recurrent.sizes().vec();
    }
  }
  return all;
}

std::string Network::describe() const {
  const std::string row = "{:<12}{:>18}{:>12}  {}\n";
  std::string text = fmt::format(fmt::runtime(row), "layer", "weight", "parameters", "then");
  std::int64_t total = 0;
  for (std::size_t l = 0; l < parts_.size(); ++l) {
    std::int64_t count = 0;
    for (const Named& parameter : parameters_of(l)) count += parameter.value.numel();
    total += count;
    text += fmt::format(fmt::runtime(row), fmt::format("layers.{}", l),
                        fmt::format("{}", fmt::join(parts_[l].layer->weight.sizes(), " × ")), count, parts_[l].then);
  }
  std::string input;
  if (has(stages_, Do::encode))
    input = signature_.sequence ? "sequences"
                                : fmt::format("{}, {} steps", options_.encoding.encoder, options_.encoding.steps);
  text += fmt::format(fmt::runtime(row), "in all", "", total, input);
  if (options_.analog)
    text += fmt::format("crossbars of {}; real: {}; responsibility: {}\n", to_string(options_.analog.device),
                        to_string(options_.analog.real), to_string(options_.analog.responsibility));
  return text;
}

std::vector<kernels::Parameter> learning(const Network& network) {
  std::vector<kernels::Parameter> all;
  for (const Named& parameter : network.parameters())
    all.emplace_back(parameter.value, parameter.sums, parameter.storage, parameter.mask);
  return all;
}

void check(const Options& options, const Signature& signature) {
  plan(options, stages_of(options.model, signature), signature);
}

std::unique_ptr<Network> make_network(const Options& options, const Signature& signature, std::uint64_t seed) {
  return std::make_unique<Network>(options, stages_of(options.model, signature), signature, seed);
}

}  // namespace grapes::nn
