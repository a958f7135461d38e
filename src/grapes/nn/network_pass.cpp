// The forward pass of a batch through a network's stages.
#include "grapes/base/error.h"
#include "grapes/base/table.h"
#include "grapes/core/feedback.h"
#include "grapes/core/responsibility.h"
#include "grapes/kernels/spikes.h"
#include "grapes/nn/conv2d.h"
#include "grapes/nn/network.h"
#include "grapes/nn/pool.h"
#include "grapes/nn/readout.h"
#include "grapes/nn/recompute.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <utility>

namespace grapes::nn {
namespace {

using credit::Responsibility;
using Do = Stage::Do;
using To = ErrorPath::To;

Pooling pooling_of(Do what) {
  return what == Do::max_pool ? Pooling::largest : what == Do::average ? Pooling::average : Pooling::sum;
}

/// Applies an operation without time to every time step, as if steps were examples. @param h  [time, batch, ...]
template <class Apply>
at::Tensor at_each_step(at::Tensor h, Apply apply) {
  const std::vector<std::int64_t> steps = h.sizes().slice(0, 2).vec();
  at::Tensor examples = h.flatten(0, 1);
  h.reset();
  return apply(std::move(examples)).unflatten(0, steps);
}

/// y_t = x_{t-k}
at::Tensor delayed(const at::Tensor& h, std::int64_t steps) {
  const std::int64_t none = std::min(steps, h.size(0));
  std::vector<std::int64_t> sizes = h.sizes().vec();
  sizes[0] = none;
  return at::cat({at::zeros(sizes, h.options()), h.narrow(0, 0, h.size(0) - none)});
}

/// Returns vectors: maps are flattened by channel. @param leading  axes before the channels or units
at::Tensor in_rows(at::Tensor h, std::int64_t leading) {
  if (h.dim() == leading + 1) return h.is_contiguous() ? std::move(h) : h.contiguous();
  return kernels::unblocked(h, leading).flatten(leading).contiguous();
}

}  // namespace

at::Tensor Network::forward(const at::Tensor& inputs, const Pass& pass) {
  const at::AutoGradMode graph((pass.training || pass.gradients) && at::GradMode::is_enabled());
  if (pass.present.defined() && !signature_.sequence) throw UsageError("`present` needs examples that are sequences");
  prepare(pass);
  if (pass.training) refresh_factors(pass, inputs.size(0));
  at::Tensor h = has(stages_, Do::encode) ? encoded(inputs, pass) : inputs.to(plan_.placed);
  if (!has_time(stages_) && !takes_maps(stages_)) h = h.flatten(1).contiguous();
  shown_ = has_time(stages_) && !pass.training ? (h.dim() > 3 ? h.flatten(2) : h) : at::Tensor();
  std::vector<at::Tensor> values;
  if (plan_.route->upwards() && at::GradMode::is_enabled())
    h = upwards(std::move(h), pass);
  else if (options_.recompute && !direct())
    h = recomputing(std::move(h), pass);
  else
    h = through({0, answer_ + 1, 0}, std::move(h), pass, values);
  h = closed(std::move(h), values);
  std::vector<at::Tensor> none;
  return through({answer_ + 1, stages_.size(), parts_.size()}, std::move(h), pass, none);
}

void Network::prepare(const Pass& pass) {
  const auto now = [&](const kernels::NumberFormat& format) { return pass.training ? format : format.nearest(); };
  if (pass.training && plan_.route->weights == credit::FeedbackWeights::redrawn)
    for (std::size_t l = 0; l < hidden(); ++l)
      parts_[l].feedback = drawn_feedback(l, static_cast<std::uint64_t>(pass.step) + 1);
  const bool copies =
      !(options_.precision.master == options_.precision.weights);  // else W is stored in the format that products use
  for (std::size_t l = 0; l < parts_.size(); ++l) {
    Layer& layer = *parts_[l].layer;
    layer.prepare(pass, l);
    if (parts_[l].neurons) parts_[l].neurons->prepare(pass, l);
    if (!options_.precision.has_formats()) continue;
    const std::uint64_t key = stream_seed(pass.seed, "rounding", static_cast<std::uint64_t>(pass.step), l);
    layer.rounding = {copies ? now(options_.precision.weights) : kernels::NumberFormat(),
                      now(options_.precision.activations), now(options_.precision.error), key};
    if (layer.storage && pass.training) layer.storage->key = key;
  }
}

void Network::refresh_factors(const Pass& pass, std::int64_t batch) {
  const credit::Modulation& modulation = credit::modulation_of(plan_.rule);
  if (!modulation.makes_factors() && !matches()) {
    factors_.resize(hidden());  // undefined factors, as in the layers
    return;
  }
  if (factors_.empty() || pass.step / plan_.rule.every != factors_step_ / plan_.rule.every) make_factors(pass, batch);
  std::vector<credit::Factors> factors = factors_;
  if (matches() && !pass.reference) factors.assign(hidden(), {});
  if (options_.compatibility.single_factor) credit::share_last_factor(factors, batch);
  for (std::size_t l = 0; l < factors.size(); ++l) parts_[l].layer->factors = std::move(factors[l]);
}

void Network::make_factors(const Pass& pass, std::int64_t batch) {
  const at::NoGradGuard no_grad;
  const bool incoming =
      plan_.rule.responsibility == Responsibility::incoming || plan_.rule.responsibility == Responsibility::input;
  credit::Weights weights;
  std::size_t next = 0;
  for (std::size_t l = 0; l < parts_.size(); ++l) {
    const Layer& layer = *parts_[l].layer;
    const at::Tensor* others = nullptr;
    if (!pass.factor_weights.empty()) {
      others = &pass.factor_weights[next];
      next += parameters_of(l).size();
    }
    at::Tensor W = others != nullptr ? *others : layer.weight;
    // A flattened channel is one unit, so the columns of its positions are summed.
    if (const std::int64_t places = parts_[l].places; places > 1) W = W.view({W.size(0), -1, places});
    weights.layers.push_back(std::move(W));
    weights.biases.push_back(layer.bias.defined() && others != nullptr ? others[1] : layer.bias);
    weights.above.push_back(parts_[l].above);
    (incoming ? weights.incoming : weights.outgoing)
        .push_back(layer.responsibility(incoming ? 0 : 1, plan_.rule, others));
    if (options_.compatibility.first_sample_mask && l < hidden())
      if (const at::Tensor mask = layer.mask(batch); mask.defined()) weights.masks.push_back(mask[0]);
  }
  Random random(stream_seed(pass.seed, "modulation", credit::drawn_batch(plan_.rule, pass.step)));
  credit::Rule rule = plan_.rule;
  if (matches()) rule.modulation = credit::modulation_of(rule).matches;
  factors_ = credit::factors(weights, rule, random);
  factors_step_ = pass.step;
  for (std::size_t l = 0; l < factors_.size(); ++l)
    if (factors_[l].columns.defined() && parts_[l].places > 1)
      factors_[l].columns = factors_[l].columns.repeat_interleave(parts_[l].places);
}

std::vector<at::Tensor> Network::responsibilities() const {
  const at::NoGradGuard no_grad;
  const std::int64_t dim = plan_.rule.responsibility == Responsibility::outgoing ? 1 : 0;
  std::vector<at::Tensor> all;
  for (std::size_t l = 0; l < hidden(); ++l) {
    const Part& part = parts_[dim == 0 ? l : parts_[l].above];
    at::Tensor r = options_.analog ? at::Tensor()  // exact, because a read has noise
                                   : part.layer->responsibility(dim, plan_.rule, nullptr);
    const at::Tensor& W = part.layer->weight;
    if (!r.defined())
      r = responsibility(part.places > 1 ? W.view({W.size(0), -1, part.places}) : W, {}, dim, {},
                         plan_.rule.reduction == credit::Reduction::mean);
    all.push_back(std::move(r));
  }
  return all;
}

at::Tensor Network::encoded(const at::Tensor& inputs, const Pass& pass) const {
  const bool here = plan_.placed.device().is_cpu();  // packed spikes are supported on the CPU only
  const bool once = options_.encoding.draws == Encoding::Draws::once && pass.training && pass.examples.defined();
  const std::uint64_t seed = stream_seed(pass.seed, pass.training ? "encoder" : "encoder in evaluation",
                                         once ? 0 : static_cast<std::uint64_t>(pass.step));
  const at::Tensor streams =
      once ? pass.examples.flatten() : at::arange(pass.first, pass.first + inputs.size(0), at::kLong);
  if (takes_maps(stages_)) {
    at::Tensor x = inputs;
    if (!signature_.sequence)
      x = encode(x.flatten(1).to(options_.precision.dtype), options_.encoding, seed, false, streams).transpose(0, 1);
    else if (kernels::is_packed(x))
      x = kernels::unpack(x, plan_.stages.front().in.values(), options_.precision.dtype);
    std::vector<std::int64_t> shape = {x.size(1), x.size(0)};
    shape.insert(shape.end(), signature_.input_shape.begin(), signature_.input_shape.end());
    return x.transpose(0, 1).to(plan_.placed).reshape(shape).contiguous();
  }
  if (signature_.sequence && kernels::is_packed(inputs)) {
    const at::Tensor bits = inputs.transpose(0, 1).contiguous();
    return here ? bits : kernels::unpack(bits, parts_.front().inputs, options_.precision.dtype).to(plan_.placed);
  }
  if (signature_.sequence) return inputs.flatten(2).to(plan_.placed).transpose(0, 1).contiguous();
  const bool packed = here && plan_.neurons.inputs() != SnuOptions::Inputs::dense;
  const at::Tensor steps =
      encode(inputs.flatten(1).to(options_.precision.dtype), options_.encoding, seed, packed, streams);
  return here ? steps : steps.to(plan_.placed);
}

at::Tensor Network::through_layer(std::size_t l, at::Tensor h, std::vector<at::Tensor>& values) const {
  const Layer& layer = *parts_[l].layer;
  const bool below = l > 0 && at::GradMode::is_enabled();
  const ErrorPath path = below ? plan_.route->down(layer.weight, parts_[l - 1].feedback) : ErrorPath{To::none, {}};
  const bool steps = has_time(stages_) && layer.weight.dim() > 2;
  const auto alone = [&layer, path, steps](at::Tensor x) {
    if (!steps) return layer.forward(std::move(x), path);
    return at_each_step(std::move(x), [&](at::Tensor maps) { return layer.forward(std::move(maps), path); });
  };
  if (path.to != To::none) return alone(std::move(h));
  // No error passes between layers, so each layer is a piece of its own. Its input is not kept here, so the memory can
  // be reused for the output.
  at::Tensor input = h.detach();
  h.reset();
  h = options_.recompute && direct() ? recomputed(std::move(input), alone) : alone(std::move(input));
  if (l < hidden() && direct() && !parts_[l].neurons) values.push_back(kernels::unblocked(h, leading()));
  return h;
}

at::Tensor Network::fired(std::size_t l, at::Tensor current, std::vector<at::Tensor>& values) const {
  at::Tensor y = parts_[l].neurons->fire(std::move(current));
  if (direct()) values.push_back(kernels::unblocked(y, leading()));
  return y;
}

at::Tensor Network::through(const Piece& piece, at::Tensor h, const Pass& pass, std::vector<at::Tensor>& values) const {
  std::size_t l = piece.layer;
  std::vector<at::Tensor> kept;
  const bool in_time = has_time(stages_);
  const auto pooled = [&](at::Tensor maps, const Stage& stage) {
    return pool(std::move(maps), pooling_of(stage.what), stage.pool, pass.plain ? nullptr : workspace_);
  };
  for (std::size_t i = piece.begin; i < piece.end; ++i) {
    const Stage& stage = stages_[i];
    switch (stage.what) {
      case Do::encode:
        break;
      case Do::spike:
      case Do::dense:
        h = in_rows(std::move(h), leading());
        [[fallthrough]];
      case Do::convolve:
        h = through_layer(l++, std::move(h), values);
        break;
      case Do::fire:
        h = fired(l - 1, std::move(h), values);
        break;
      case Do::delay:
        h = delayed(h, stage.units);
        break;
      case Do::keep:
        kept.push_back(h);
        break;
      case Do::shortcut:
        kept.back() = through_layer(l++, std::move(kept.back()), values);
        if (stage.fires) kept.back() = fired(l - 1, std::move(kept.back()), values);
        break;
      case Do::add:
        if (h.dim() != kept.back().dim())
          h = kernels::unblocked(h, leading()), kept.back() = kernels::unblocked(kept.back(), leading());
        h = h + kept.back();
        kept.pop_back();
        if (stage.activates) h = plan_.activation->apply(h);
        break;
      case Do::max_pool:
      case Do::average:
      case Do::sum:
        if (in_time)
          h = at_each_step(std::move(h), [&](at::Tensor maps) { return pooled(std::move(maps), stage); });
        else
          h = pooled(std::move(h), stage);
        break;
      case Do::drop:
        h = dropped(kernels::unblocked(h), pass, l);
        break;
      case Do::read:
        h = signature_.each_step
                ? h.transpose(0, 1)
                : find_row(readouts(), "readout", options_.spiking.readout)
                      .reduce(h, pass.present.defined() ? pass.present.t().contiguous().to(h.device()) : at::Tensor());
        break;
    }
  }
  return h;
}

at::Tensor Network::dropped(const at::Tensor& h, const Pass& pass, std::size_t layer) const {
  if (options_.dropout == 0 || !(pass.training || options_.compatibility.dropout_in_evaluation)) return h;
  const at::Tensor row = h.flatten(1);
  const at::Tensor mask = kernels::dropout_mask(kernels::dropout_key(pass.seed, pass.step, layer), row.size(0),
                                                row.size(1), options_.dropout, row.scalar_type(), pass.first);
  return (row * mask.to(row.device())).view(h.sizes());
}

at::Tensor Network::closed(at::Tensor logits, const std::vector<at::Tensor>& values) const {
  for (std::size_t l = 0; l < values.size(); ++l)
    logits = feedback(logits, values[l].dim() > 3 ? values[l].flatten(has_time(stages_) ? 2 : 1) : values[l],
                      parts_[l].feedback);
  // Also rounds the error that the route sends from the logits.
  return parts_.back().layer->rounding.error_at(logits, logits.dim() - 1);
}

at::Tensor Network::recomputing(at::Tensor h, const Pass& pass) const {
  for (const Piece& piece : pieces()) {
    const std::int64_t slice = slice_of(piece, h, pass);
    h = recomputed(
        std::move(h),
        [this, piece, pass](at::Tensor x) {
          workspace_->let_go();  // free memory in the workspace has the sizes of other pieces
          std::vector<at::Tensor> none;
          return through(piece, std::move(x), pass, none);
        },
        slice, leading() - 1);
  }
  return h;
}

/// Returns the pieces that are recomputed as a whole. They end at a residual sum or where the map gets smaller.
std::vector<Network::Piece> Network::pieces() const {
  std::vector<Piece> all = {{0, 0, 0}};
  std::size_t layers = 0, kept = 0;
  for (std::size_t i = 0; i <= answer_; ++i) {
    const Stage& stage = stages_[i];
    layers += stage.is_layer() ? 1 : 0;
    if (stage.what == Do::keep) ++kept;
    if (stage.what == Do::add) --kept;
    all.back().end = i + 1;
    const bool smaller = stage.pool != 1 || stage.stride > 1;
    if (kept == 0 && (stage.what == Do::add || smaller) && i < answer_) all.push_back({i + 1, i + 1, layers});
  }
  return all;
}

/// Returns the number of examples to recompute at a time; 0: all. Examples are independent of each other except with
/// normalization, with dropout, whose mask is drawn per batch, and with number formats, whose scales and draws depend
/// on the batch. Missing time steps are given for the whole batch. The weights' layout is prepared for every slice, so
/// slices are used only if the weights are smaller than the values.
std::int64_t Network::slice_of(const Piece& piece, const at::Tensor& h, const Pass& pass) const {
  constexpr std::int64_t maps = 16;
  const std::int64_t examples = has_time(stages_) ? std::max<std::int64_t>(maps / h.size(0), 1) : maps;
  std::int64_t weights = 0;
  std::size_t l = piece.layer;
  for (std::size_t i = piece.begin; i < piece.end; ++i) {
    if (stages_[i].what == Do::drop && options_.dropout > 0) return 0;
    if (stages_[i].is_layer()) weights += parts_[l++].layer->weight.numel();
  }
  const bool independent = options_.norm == Norm::none && !options_.precision.has_formats() && !pass.present.defined();
  return independent && h.numel() > weights ? examples : 0;
}

}  // namespace grapes::nn
