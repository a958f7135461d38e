#include "grapes/nn/chain.h"

#include "grapes/base/table.h"
#include "grapes/nn/init.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace grapes::nn {
namespace {

/// @throws UsageError where LibTorch has no such device
at::TensorOptions placed(const Options& options, const Precision& precision) {
  const at::TensorOptions dtype = precision.dtype;
  if (options.device == "cpu") return dtype;
  try {
    const at::TensorOptions there = dtype.device(c10::Device(options.device));
    at::empty({1}, there);
    return there;
  } catch (const c10::Error&) {
    throw UsageError("device " + options.device + " is not there: LibTorch finds no such device on this machine");
  }
}

}  // namespace

Chain::Chain(const Options& options)
    : options_(options),
      precision_(precision_from(options.precision)),
      placed_(placed(options, precision_)),
      rule_(credit::resolved(options.rule)),
      route_(credit::route_of(rule_)) {
  if (route_.upwards() && precision_.has_formats())
    throw UsageError("precision: formats are not there on route " + route_.name +
                     ", where the error runs upwards; got " + options.precision);
}

at::Tensor Chain::held(const at::Tensor& W) const { return kernels::rounded(W, precision_.master.nearest(), 0, 0); }

void Chain::prepare_rounding(const Pass& pass) {
  if (!precision_.has_formats()) return;
  const auto now = [&](const kernels::NumberFormat& format) { return pass.training ? format : format.nearest(); };
  const bool copies = !(precision_.master == precision_.weights);  // else W is held as products see it
  for (std::size_t l = 0; l < added_.size(); ++l) {
    const std::uint64_t key = stream_seed(pass.seed, "rounding", static_cast<std::uint64_t>(pass.step), l);
    added_[l]->rounding = {copies ? now(precision_.weights) : kernels::NumberFormat(), now(precision_.activations),
                           now(precision_.error), key};
    if (storage_[l] && pass.training) storage_[l]->key = key;
  }
}

void Chain::add(credit::Block& block, std::uint64_t seed, at::IntArrayRef shape) {
  blocks_.push_back(&block);
  added_.push_back(&block);
  Random random(stream_seed(seed, "init", blocks_.size()));
  const Initializer& init = find_row(initializers(), "initializer", options_.init);
  block.weight = held(initialize(init, shape, random, placed_)).requires_grad_();
  storage_.push_back(precision_.keeps() ? std::make_shared<kernels::Storage>() : nullptr);
  if (storage_.back()) *storage_.back() = {precision_.master, precision_.update, 0};
}

void Chain::complete(std::uint64_t seed, const std::vector<std::int64_t>& nodes) {
  using credit::Feedback;
  const Feedback kind = route_.feedback;
  std::string name = options_.feedback_init;
  if (name == "auto") name = options_.init == "he_uniform" ? "he_uniform" : "nokland";
  const Initializer& init = find_row(initializers(), "initializer", name);
  for (std::size_t l = 0; l + 1 < blocks_.size(); ++l) {
    if (kind == Feedback::none || (kind == Feedback::first && l > 0)) continue;
    Random random(stream_seed(seed, "feedback", l + 1));
    // he_uniform counts the nodes B arrives at, as the authors' program does; the others those it comes from.
    const bool arrives = init.name == "he_uniform";
    const at::Tensor above = blocks_[l + 1]->weight;
    at::Tensor B;
    if (kind == Feedback::above && above.dim() > 2) {
      const at::IntArrayRef shape = above.sizes();
      B = arrives ? initialize(init, shape, random, placed_)
                  : initialize(init, above.transpose(0, 1).sizes(), random, placed_).transpose(0, 1);
    } else {
      const std::int64_t from = kind == Feedback::above ? above.size(0) : nodes.back();
      const std::int64_t to = kind == Feedback::above ? above.size(1) : nodes[l];
      B = arrives ? initialize(init, {from, to}, random, placed_).t() : initialize(init, {to, from}, random, placed_);
    }
    added_[l]->feedback = kernels::rounded(B, precision_.weights.nearest(), 0, 0).contiguous();
  }
}

bool Chain::wants_incoming() const {
  using credit::Responsibility;
  return rule_.modulation != "none" &&
         (rule_.responsibility == Responsibility::incoming || rule_.responsibility == Responsibility::input);
}

bool Chain::stale(const Pass& pass) const {
  return factors_.empty() || pass.step / rule_.every != fresh_step_ / rule_.every;
}

void Chain::refresh(const Pass& pass, const credit::Weights& weights) {
  Random random(stream_seed(pass.seed, "modulation", static_cast<std::uint64_t>(pass.step)));
  factors_ = credit::factors(weights, rule_, random);
  fresh_step_ = pass.step;
}

void Chain::restore_factors(std::vector<credit::Factors> factors, std::int64_t step) {
  factors_ = std::move(factors);
  for (credit::Factors& layer : factors_)
    for (at::Tensor* m : {&layer.error, &layer.rows, &layer.columns})
      if (m->defined()) *m = m->to(placed_.device());
  fresh_step_ = step;
}

std::vector<Named> Chain::buffers() const {
  std::vector<Named> all;
  for (std::size_t l = 0; l < blocks_.size(); ++l)
    if (blocks_[l]->feedback.defined()) all.push_back({fmt::format("layers.{}.feedback", l), blocks_[l]->feedback});
  return all;
}

std::vector<LayerShape> Chain::shapes(std::int64_t) const {
  std::vector<LayerShape> all;
  for (std::size_t l = 0; l < blocks_.size(); ++l) {
    LayerShape& shape = all.emplace_back();
    shape.name = fmt::format("layers.{}", l);
    shape.weight = blocks_[l]->weight.sizes().vec();
    shape.others = blocks_[l]->bias.defined() ? blocks_[l]->bias.numel() : 0;
    shape.inputs = shape.input_nodes = shape.weight[1];
    shape.values = shape.weight[0];
    shape.above = l + 1;
  }
  return all;
}

}  // namespace grapes::nn
