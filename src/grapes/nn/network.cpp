#include "grapes/nn/network.h"

#include "grapes/base/table.h"
#include "grapes/core/rounding.h"
#include "grapes/kernels/spikes.h"
#include "grapes/nn/conv2d.h"
#include "grapes/nn/init.h"
#include "grapes/nn/layer_kind.h"
#include "grapes/nn/readout.h"
#include "grapes/nn/requirements.h"
#include "grapes/nn/snu_layer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

namespace grapes::nn {
namespace {

using Do = Stage::Do;

/// @throws UsageError if LibTorch does not find the device
at::TensorOptions placed(const Options& options, const Precision& precision) {
  const at::TensorOptions dtype = precision.dtype;
  if (options.device == "cpu") return dtype;
  try {
    const at::TensorOptions there = dtype.device(c10::Device(options.device));
    at::empty({1}, there);
    return there;
  } catch (const c10::Error&) {
    throw UsageError("device " + options.device + " is not available: LibTorch finds no such device on this machine");
  }
}

/// A single layer uses its own weights if the rule leaves responsibility to the route.
credit::Rule rule_of(const Options& options, const Stages& stages) {
  credit::Rule rule = options.rule;
  if (has(stages, Do::spike) && rule.responsibility == credit::Responsibility::by_route)
    rule.responsibility = credit::Responsibility::incoming;
  return credit::resolved(std::move(rule));
}

}  // namespace

Network::Network(const Options& options, Stages stages, const Signature& signature, std::uint64_t seed)
    : options_(options),
      stages_(std::move(stages)),
      signature_(signature),
      seed_(seed),
      precision_(precision_from(options.precision)),
      placed_(placed(options, precision_)),
      rule_(rule_of(options, stages_)),
      route_(credit::route_of(rule_)),
      activation_(&find_row(activations(), "activation", options.activation)),
      workspace_(std::make_shared<kernels::Workspace>()) {
  require_possible(options_, stages_, signature_, precision_, rule_);
  if (has(stages_, Do::spike)) {
    neurons_ = neurons_of(options_.spiking);
    neurons_.eprop(route_.local_in_time);
    find_row(encoders(), "encoder", options_.encoding.encoder);
  }
  add_layers();
  add_feedback();
}

void Network::add_layers() {
  const std::vector<std::int64_t>& shape = signature_.input_shape;
  Map map = has(stages_, Do::convolve)
                ? Map{shape[0], shape[1], shape[2]}
                : Map{std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()), 1, 1};
  using Layers = std::vector<std::size_t>;
  Layers from;  // layers whose values make up the map
  std::vector<std::pair<Map, Layers>> kept;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    if (stage.is_layer()) answer_ = i;
    if (stage.what == Do::keep) kept.emplace_back(map, from);
    if (stage.what == Do::add) {
      const auto& [other, others] = kept.back();
      TORCH_INTERNAL_ASSERT(other.channels == map.channels && other.rows == map.rows && other.columns == map.columns);
      from.insert(from.end(), others.begin(), others.end());
      kept.pop_back();
      continue;
    }
    Map& into = stage.what == Do::shortcut ? kept.back().first : map;
    Layers& below = stage.what == Do::shortcut ? kept.back().second : from;
    const std::size_t l = parts_.size();
    into = after(stage, into);
    if (!stage.is_layer()) continue;
    for (const std::size_t one : below)
      if (parts_[one].above == 0) parts_[one].above = l;
    below = {l};
  }
  parts_.back().above = parts_.size();
}

at::Tensor Network::drawn(const std::string& stream, at::IntArrayRef shape) const {
  Random random(stream_seed(seed_, stream, parts_.size() + 1));
  const Initializer& init = find_row(initializers(), "initializer", options_.init);
  const at::Tensor W = initialize(init, shape, random, placed_);
  return kernels::rounded(W, precision_.master.nearest(), 0, 0).requires_grad_();
}

Network::Map Network::after(const Stage& stage, Map in) {
  const auto fits = [&](std::int64_t side, const std::string& what) {
    if (std::min(in.rows, in.columns) < side)
      throw UsageError(
          fmt::format("model '{}': the images are too small: a map of {} × {} is smaller than {} of {} × {}",
                      to_string(options_.model), in.rows, in.columns, what, side, side));
  };
  const auto pooled = [&](Map map) {
    return stage.pool == 0 ? Map{map.channels, 1, 1}
                           : Map{map.channels, map.rows / stage.pool, map.columns / stage.pool};
  };
  Map out = in;
  switch (stage.what) {
    case Do::convolve:
    case Do::shortcut: {
      fits(stage.kernel - 2 * stage.padding, "a kernel");
      Part part = convolution(stage, in);
      const auto size = [&](std::int64_t n) { return (n + 2 * stage.padding - stage.kernel) / stage.stride + 1; };
      in = {stage.units, size(in.rows), size(in.columns)};
      part.positions = in.rows * in.columns;
      if (stage.pool > 1) fits(stage.pool, "a pooling window");
      out = pooled(in);
      if (stage.pool > 1) part.then += fmt::format(", max pooling {0} × {0}", stage.pool);
      part.then += fmt::format(" -> {} × {}", out.rows, out.columns);
      parts_.push_back(std::move(part));
      break;
    }
    case Do::dense:
      parts_.push_back(dense(stage, in));
      out = {stage.units, 1, 1};
      break;
    case Do::spike:
      parts_.push_back(spiking(stage, in));
      out = {stage.units, 1, 1};
      break;
    case Do::max_pool:
    case Do::average:
      fits(std::max<std::int64_t>(stage.pool, 1), "a pooling window");
      out = pooled(in);
      break;
    default:
      return in;
  }
  if (!stage.is_layer()) return out;
  Part& part = parts_.back();
  part.values = out.channels * out.rows * out.columns;
  if (precision_.keeps()) {
    part.layer->storage = std::make_shared<kernels::Storage>();
    *part.layer->storage = {precision_.master, precision_.update, 0};
  }
  return out;
}

Network::Part Network::convolution(const Stage& stage, Map in) {
  const bool activates = stage.what == Do::convolve && stage.activates;
  auto layer = std::make_unique<Conv2dLayer>(
      Conv2dLayer::Shape{{stage.stride, stage.stride}, {stage.padding, stage.padding}, {1, 1}, 1, stage.pool},
      activates ? activation_ : nullptr, workspace_);
  layer->weight = drawn("init", {stage.units, in.channels, stage.kernel, stage.kernel});
  layer->rounded = precision_.bf16;
  layer->norm = BatchNorm::make(options_.norm, stage.units, placed_);
  if (options_.bias && options_.norm == Norm::none)  // the shift of the normalization replaces the bias
    layer->bias = at::zeros({stage.units}, placed_).requires_grad_();
  Part part;
  part.inputs = in.channels * in.rows * in.columns;
  part.then = options_.norm == Norm::none ? "" : "normalized, ";
  part.then += activates ? options_.activation : "no activation";
  part.layer = std::move(layer);
  return part;
}

Network::Part Network::dense(const Stage& stage, Map in) {
  Part part;
  part.places = in.rows * in.columns;
  part.inputs = in.channels * part.places;
  part.then = stage.activates ? options_.activation : signature_.each_step ? "output at every step" : "output";
  const at::Tensor W = drawn("init", {stage.units, part.inputs});
  const at::Tensor b = options_.bias ? at::zeros({stage.units}, placed_).requires_grad_() : at::Tensor();
  const LayerKind& kind = find_row(layer_kinds(), "kind of layer", options_.analog ? "crossbar" : stage.kind);
  if (precision_.bf16 && !kind.bf16)
    throw UsageError("precision bf16 is not supported by layers of the kind " + kind.name);
  using credit::Responsibility;
  const bool incoming =
      rule_.responsibility == Responsibility::incoming || rule_.responsibility == Responsibility::input;
  const double dropout = stage.drops ? options_.dropout : 0;
  part.layer = kind.make({W, b, stage.activates ? activation_ : nullptr, dropout, precision_.bf16,
                          stage.activates && rule_.modulation != "none" && incoming, options_.analog,
                          stream_seed(seed_, kind.name, parts_.size() + 1), workspace_});
  if (options_.analog)
    part.then += fmt::format(", {} devices", 2 * W.numel());
  else if (kind.name != "linear")
    part.then += ", " + kind.name;
  if (dropout > 0) part.then += fmt::format(", dropout {}", dropout);
  return part;
}

Network::Part Network::spiking(const Stage& stage, Map in) {
  SnuOptions options = neurons_;
  options.recurrent(neurons_.recurrent() && stage.activates);  // output units have no recurrent connections
  auto layer = std::make_unique<SnuLayer>(options, rule_.compounding, workspace_);
  layer->once = true;
  layer->weight = drawn("init", {stage.units, in.channels});
  if (options.recurrent()) layer->recurrent = drawn("recurrent", {stage.units, stage.units});
  using Decay = SnuOptions::Decay;
  layer->decay = at::full({options.learn_decay() == Decay::per_node ? stage.units : 1}, options.decay(), placed_)
                     .requires_grad_(options.learn_decay() != Decay::fixed);
  layer->threshold = at::full({stage.units}, options.threshold(), placed_).requires_grad_(options.learn_threshold());
  Part part;
  part.inputs = in.channels;
  part.then = options_.spiking.neuron + (options.recurrent() ? ", recurrent" : "");
  if (!stage.activates) {
    layer->readout = &find_row(readouts(), "readout", options_.spiking.readout);
    part.then += ", " + options_.spiking.readout;
  }
  part.layer = std::move(layer);
  return part;
}

void Network::add_feedback() {
  using credit::Feedback;
  const Feedback kind = route_.feedback;
  std::string name = options_.feedback_init;
  if (name == "auto") name = options_.init == "he_uniform" ? "he_uniform" : "nokland";
  const Initializer& init = find_row(initializers(), "initializer", name);
  for (std::size_t l = 0; l < hidden(); ++l) {
    if (kind == Feedback::none || (kind == Feedback::first && l > 0)) continue;
    Random random(stream_seed(seed_, "feedback", l + 1));
    // he_uniform counts the units that receive the error, as the authors' program does; the others count those that
    // send it.
    const bool arrives = init.name == "he_uniform";
    const at::Tensor above = parts_[l + 1].layer->weight;
    at::Tensor B;
    if (kind == Feedback::above && above.dim() > 2) {
      const at::IntArrayRef shape = above.sizes();
      B = arrives ? initialize(init, shape, random, placed_)
                  : initialize(init, above.transpose(0, 1).sizes(), random, placed_).transpose(0, 1);
    } else {
      const std::int64_t from = kind == Feedback::above ? above.size(0) : parts_.back().values;
      const std::int64_t to = kind == Feedback::above ? above.size(1) : parts_[l].values;
      B = arrives ? initialize(init, {from, to}, random, placed_).t() : initialize(init, {to, from}, random, placed_);
    }
    parts_[l].feedback = kernels::rounded(B, precision_.weights.nearest(), 0, 0).contiguous();
  }
}

bool Network::fuses_sgd(const Pass& pass) const {
  return (!pass.plain && !precision_.has_formats() &&
          std::ranges::all_of(parts_, [](const Part& part) { return part.layer->fuses_sgd(); }));
}

bool Network::requires_fused_update() const {
  return std::ranges::any_of(parts_, [](const Part& part) { return part.layer->requires_fused_update(); });
}

std::vector<Named> Network::parameters() const {
  std::vector<Named> all;
  for (std::size_t l = 0; l < parts_.size(); ++l)
    for (Named& one : parts_[l].layer->parameters()) {
      one.name = fmt::format("layers.{}.{}", l, one.name);
      all.push_back(std::move(one));
    }
  return all;
}

std::vector<Network::Weight> Network::weights() const {
  std::vector<Weight> all;
  std::size_t place = 0;
  for (std::size_t l = 0; l < parts_.size(); ++l) {
    all.push_back({fmt::format("layers.{}", l), place});  // the first parameter of a layer is its W
    place += parts_[l].layer->parameters().size();
  }
  return all;
}

std::vector<Named> Network::buffers() const {
  std::vector<Named> all;
  for (std::size_t l = 0; l < hidden(); ++l)
    if (parts_[l].feedback.defined()) all.push_back({fmt::format("layers.{}.feedback", l), parts_[l].feedback});
  for (std::size_t l = 0; l < parts_.size(); ++l)
    for (const Named& one : parts_[l].layer->buffers())
      all.push_back({fmt::format("layers.{}.{}", l, one.name), one.value});
  return all;
}

void Network::restore_factors(std::vector<credit::Factors> factors, std::int64_t step) {
  factors_ = std::move(factors);
  for (credit::Factors& layer : factors_)
    for (at::Tensor* m : {&layer.error, &layer.rows, &layer.columns})
      if (m->defined()) *m = m->to(placed_.device());
  factors_step_ = step;
}

std::vector<Activity> Network::activity() const {
  std::vector<Activity> all;
  for (const Part& part : parts_) {
    const auto* layer = dynamic_cast<const SnuLayer*>(part.layer.get());
    if (layer == nullptr) continue;
    const SnuTrace& trace = layer->trace();
    if (!trace.output.defined()) return {};
    const at::Tensor rates = trace.output.mean(at::IntArrayRef({0, 1}));
    all.push_back({trace.output, trace.membrane, rates.mean().item<double>(),
                   rates.lt(Activity::silent_below).to(at::kDouble).mean().item<double>(),
                   rates.gt(Activity::saturated_above).to(at::kDouble).mean().item<double>()});
  }
  return all;
}

at::Tensor Network::shown() const {
  if (!shown_.defined() || !kernels::is_packed(shown_)) return shown_;
  return kernels::unpack(shown_, parts_.front().inputs, precision_.dtype);
}

std::vector<LayerShape> Network::shapes(std::int64_t steps) const {
  const bool in_time = has(stages_, Do::spike);
  if (!in_time) steps = 1;
  if (in_time && !signature_.sequence) steps = options_.encoding.steps;
  std::vector<LayerShape> all;
  for (std::size_t l = 0; l < parts_.size(); ++l) {
    const Part& part = parts_[l];
    LayerShape& shape = all.emplace_back();
    shape.name = fmt::format("layers.{}", l);
    shape.weight = part.layer->weight.sizes().vec();
    for (const Named& one : part.layer->parameters())
      if (one.value.dim() < 2) shape.others += one.value.numel();
    shape.positions = part.positions * steps;
    shape.inputs = part.inputs * steps;
    shape.input_nodes = shape.weight[1] / part.places;
    shape.values = part.values * steps;
    shape.above = part.above;
    if (const auto* spiking = dynamic_cast<const SnuLayer*>(part.layer.get())) {
      shape.spikes = true;
      shape.synapse = neurons_.synapse() > 0;
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
    for (const Named& parameter : parts_[l].layer->parameters()) count += parameter.value.numel();
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
    text += fmt::format("crossbars of {}; real: {}; responsibility: {}\n", options_.analog.device, options_.analog.real,
                        options_.analog.responsibility);
  return text;
}

std::vector<kernels::Parameter> learning(const Network& network) {
  std::vector<kernels::Parameter> all;
  for (const Named& parameter : network.parameters())
    all.emplace_back(parameter.value, parameter.sums, parameter.storage);
  return all;
}

std::unique_ptr<Network> make_network(const Options& options, const Signature& signature, std::uint64_t seed) {
  return std::make_unique<Network>(options, stages_of(options.model, signature), signature, seed);
}

}  // namespace grapes::nn
