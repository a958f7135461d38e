#include "grapes/nn/cnn.h"

#include "grapes/base/table.h"
#include "grapes/nn/recompute.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <utility>

namespace grapes::nn {

using Do = Stage::Do;

const Activation* Cnn::activation() const { return &find_row(activations(), "activation", options_.activation); }

Cnn::Cnn(const Options& options, std::vector<Stage> stages, const Signature& signature, std::uint64_t seed)
    : Chain(options), stages_(std::move(stages)) {
  const std::vector<std::int64_t>& shape = signature.input_shape;
  if (shape.size() != 3)
    throw UsageError(fmt::format("model '{}': wants pictures, channels × rows × columns; an example is [{}]",
                                 options.model, fmt::join(shape, ", ")));
  const credit::Compatibility& theirs = options.compatibility;
  if (theirs.unmasked_first || theirs.first_sample_mask || theirs.single_factor)
    throw UsageError("unmasked-first, first-sample-mask and single-factor are for dense networks; model is '" +
                     options.model + "'");
  if (!(options.dropout >= 0 && options.dropout < 1))
    throw UsageError("dropout must be at least 0 and below 1; got " + shortest(options.dropout));
  stages_.push_back({Do::dense, signature.outputs});
  stages_.back().activates = false;
  workspace_ = std::make_shared<kernels::Workspace>();
  Map map{shape[0], shape[1], shape[2]};
  std::vector<Map> kept;
  using Layers = std::vector<std::size_t>;
  Layers from;                    // whose values make up the map
  std::vector<Layers> kept_from;  // and what was kept
  for (const Stage& stage : stages_) {
    if (is_layer(stage)) {
      Layers& below = stage.what == Do::shortcut ? kept_from.back() : from;
      for (const std::size_t l : below) above_[l] = std::min(above_[l], layers_.size());
      below = {layers_.size()};
      above_.push_back(stages_.size());
    }
    if (stage.what == Do::keep) kept_from.push_back(from);
    if (stage.what == Do::add) {
      from.insert(from.end(), kept_from.back().begin(), kept_from.back().end());
      kept_from.pop_back();
    }
    if (stage.what == Do::keep) kept.push_back(map);
    if (stage.what == Do::shortcut) kept.back() = after(stage, kept.back(), seed);
    if (stage.what == Do::add) {
      const Map other = std::exchange(kept.back(), {});
      kept.pop_back();
      TORCH_INTERNAL_ASSERT(other.channels == map.channels && other.rows == map.rows && other.columns == map.columns);
      continue;
    }
    if (stage.what != Do::shortcut) map = after(stage, map, seed);
  }
  complete(seed, values_);
}

Cnn::Map Cnn::after(const Stage& stage, Map in, std::uint64_t seed) {
  const auto fits = [&](std::int64_t side, const std::string& what) {
    if (std::min(in.rows, in.columns) < side)
      throw UsageError(fmt::format("model '{}': the pictures are too small: {} × {} are left for {} of {} × {}",
                                   options_.model, in.rows, in.columns, what, side, side));
  };
  const auto squares = [](Map map, std::int64_t pool) {
    return pool == 0 ? Map{map.channels, 1, 1} : Map{map.channels, map.rows / pool, map.columns / pool};
  };
  switch (stage.what) {
    case Do::convolve:
    case Do::shortcut: {
      fits(stage.kernel - 2 * stage.padding, "a kernel");
      const bool activates = stage.what == Do::convolve && stage.activates;
      Layer layer;
      layer.convolution = std::make_unique<Convolution>(Convolution::Shape{stage.stride, stage.padding, stage.pool},
                                                        activates ? activation() : nullptr, workspace_);
      add(*layer.convolution, seed, {stage.nodes, in.channels, stage.kernel, stage.kernel});
      layer.convolution->rounded = precision_.bf16;
      layer.convolution->norm = BatchNorm::make(options_.norm, stage.nodes, placed_);
      if (options_.bias && options_.norm == Norm::none)  // a normalized layer's shift is one
        layer.convolution->bias = at::zeros({stage.nodes}, placed_).requires_grad_();
      const auto size = [&](std::int64_t n) { return (n + 2 * stage.padding - stage.kernel) / stage.stride + 1; };
      layer.inputs = in.channels * in.rows * in.columns;
      in = {stage.nodes, size(in.rows), size(in.columns)};
      layer.positions = in.rows * in.columns;
      layer.then = options_.norm == Norm::none ? "" : "normalized, ";
      layer.then += activates ? options_.activation : "no activation";
      if (stage.pool > 1) {
        fits(stage.pool, "a square");
        in = squares(in, stage.pool);
        layer.then += fmt::format(", largest of {0} × {0}", stage.pool);
      }
      layer.then += fmt::format(" -> {} × {}", in.rows, in.columns);
      values_.push_back(in.channels * in.rows * in.columns);
      layers_.push_back(std::move(layer));
      return in;
    }
    case Do::dense: {
      Layer layer;
      layer.dense = std::make_unique<Dense>(stage.activates ? activation() : nullptr, workspace_);
      layer.places = in.rows * in.columns;
      layer.inputs = in.channels * layer.places;
      if (precision_.bf16) layer.rounded = std::make_shared<kernels::RoundedCopy>();
      add(*layer.dense, seed, {stage.nodes, layer.inputs});
      if (options_.bias) layer.dense->bias = at::zeros({stage.nodes}, placed_).requires_grad_();
      layer.then = stage.activates ? options_.activation : "output";
      values_.push_back(stage.nodes);
      layers_.push_back(std::move(layer));
      return {stage.nodes, 1, 1};
    }
    case Do::max_pool:
    case Do::average:
      fits(std::max<std::int64_t>(stage.pool, 1), "a square");
      return squares(in, stage.pool);
    default:
      return in;
  }
}

void Cnn::refresh_factors(const Pass& pass) {
  if (!stale(pass)) return;
  const at::NoGradGuard no_grad;
  credit::Weights weights;
  const std::vector<Named> parameters = this->parameters();
  std::size_t next = 0;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    while (parameters[next].name != fmt::format("layers.{}.weight", l)) ++next;
    at::Tensor W = pass.factor_weights.empty() ? parameters[next].value.detach() : pass.factor_weights[next];
    // Whose column is a node's: a channel that was laid out in a row is one node all the same.
    if (layers_[l].places > 1) W = W.view({W.size(0), -1, layers_[l].places});
    weights.layers.push_back(W);
  }
  weights.above = above_;
  refresh(pass, weights);
  for (std::size_t l = 0; l + 1 < layers_.size(); ++l)
    if (factors_[l].columns.defined() && layers_[l].places > 1)
      factors_[l].columns = factors_[l].columns.repeat_interleave(layers_[l].places);
}

at::Tensor Cnn::dropped(const at::Tensor& h, const Pass& pass, std::size_t layer) const {
  if (options_.dropout == 0 || !(pass.training || options_.compatibility.dropout_in_evaluation)) return h;
  const at::Tensor row = h.flatten(1);
  const at::Tensor mask = kernels::dropout_mask(kernels::dropout_key(pass.seed, pass.step, layer), row.size(0),
                                                row.size(1), options_.dropout, row.scalar_type());
  return (row * mask.to(row.device())).view(h.sizes());
}

at::Tensor Cnn::forward(const at::Tensor& inputs, const Pass& pass) {
  const at::AutoGradMode graph(pass.training && at::GradMode::is_enabled());
  for (const Layer& layer : layers_) {
    if (layer.convolution) layer.convolution->prepare({pass.training, pass.plain});
    if (!layer.dense) continue;
    layer.dense->rounded = pass.training ? layer.rounded : nullptr;
    layer.dense->prepare({{}, 0, pass.plain});
  }
  prepare_rounding(pass);
  if (pass.training) {
    refresh_factors(pass);
    for (std::size_t l = 0; l + 1 < layers_.size(); ++l) layers_[l].block().factors = factors_[l];
  }
  at::Tensor h = inputs.to(placed_);
  if (route_.upwards()) return indirect(h, pass);
  std::vector<at::Tensor> values;
  if (!options_.recompute || direct()) {
    h = through({0, stages_.size(), 0}, std::move(h), pass, values);
  } else {
    for (const Piece& piece : pieces()) {
      const std::int64_t slice = slice_of(piece, h);
      h = recomputed(
          std::move(h),
          [this, piece, pass](at::Tensor x) {
            workspace_->let_go();  // what is free here is of other pieces' sizes
            std::vector<at::Tensor> nobody_asks;
            return through(piece, std::move(x), pass, nobody_asks);
          },
          slice);
    }
  }
  return rounded_error(credit::close(route_, h, blocks_, values));
}

bool Cnn::direct() const { return route_.feedback == credit::Feedback::direct; }

/// Examples are independent of each other but for normalization, for dropout, which is drawn for a batch, and for
/// number formats, whose scales and draws are those of a batch. Weights are laid out anew for every slice: worth it
/// where they are less than what goes through them.
std::int64_t Cnn::slice_of(const Piece& piece, const at::Tensor& h) const {
  constexpr std::int64_t examples = 16;
  std::int64_t weights = 0;
  std::size_t l = piece.layer;
  for (std::size_t i = piece.begin; i < piece.end; ++i) {
    if (stages_[i].what == Do::drop && options_.dropout > 0) return 0;
    if (is_layer(stages_[i])) weights += blocks_[l++]->weight.numel();
  }
  return options_.norm == Norm::none && !precision_.has_formats() && h.numel() > weights ? examples : 0;
}

std::vector<Cnn::Piece> Cnn::pieces() const {
  std::vector<Piece> all = {{0, 0, 0}};
  std::size_t layers = 0, kept = 0;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    layers += is_layer(stage) ? 1 : 0;
    if (stage.what == Do::keep) ++kept;
    if (stage.what == Do::add) --kept;
    all.back().end = i + 1;
    const bool smaller = stage.pool != 1 || stage.stride > 1;
    if (kept == 0 && (stage.what == Do::add || smaller) && i + 1 < stages_.size())
      all.push_back({i + 1, i + 1, layers});
  }
  return all;
}

at::Tensor Cnn::through_layer(std::size_t l, at::Tensor h, std::vector<at::Tensor>& values) const {
  const credit::ErrorPath way = credit::transport(route_, blocks_, l);
  if (way.to != credit::ErrorPath::To::none) return blocks_[l]->forward(std::move(h), way);
  const auto alone = [this, l, way](at::Tensor x) { return blocks_[l]->forward(std::move(x), way); };
  h = options_.recompute && direct() ? recomputed(h.detach(), alone) : alone(h.detach());
  if (l + 1 < blocks_.size() && direct()) values.push_back(kernels::unblocked(h));
  return h;
}

at::Tensor Cnn::through(const Piece& piece, at::Tensor h, const Pass& pass, std::vector<at::Tensor>& values) const {
  std::size_t l = piece.layer;
  std::vector<at::Tensor> kept;
  const auto everywhere = [](const at::Tensor& map, const auto& reduce) {
    return reduce(map).view({map.size(0), -1, 1, 1});
  };
  for (std::size_t i = piece.begin; i < piece.end; ++i) {
    const Stage& stage = stages_[i];
    switch (stage.what) {
      case Do::convolve:
        h = through_layer(l++, std::move(h), values);
        break;
      case Do::dense:
        h = through_layer(l++, kernels::unblocked(h).flatten(1).contiguous(), values);
        break;
      case Do::keep:
        kept.push_back(h);
        break;
      case Do::shortcut:
        kept.back() = through_layer(l++, std::move(kept.back()), values);
        break;
      case Do::add:
        if (h.dim() != kept.back().dim()) h = kernels::unblocked(h), kept.back() = kernels::unblocked(kept.back());
        h = h + kept.back();
        kept.pop_back();
        if (stage.activates) h = activation()->apply(h);
        break;
      case Do::max_pool:
        h = stage.pool == 0 ? everywhere(h,
                                         [](const at::Tensor& map) {
                                           return map.amax({2, 3});
                                         })
                            : at::max_pool2d(kernels::unblocked(h), {stage.pool, stage.pool});
        break;
      case Do::average:
        h = stage.pool == 0 ? everywhere(h,
                                         [](const at::Tensor& map) {
                                           return map.mean({2, 3});
                                         })
                            : at::avg_pool2d(kernels::unblocked(h), {stage.pool, stage.pool});
        break;
      case Do::drop:
        h = dropped(kernels::unblocked(h), pass, l);
        break;
    }
  }
  return h;
}

std::vector<Named> Cnn::parameters() const {
  std::vector<Named> all;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const credit::Block& block = layers_[l].block();
    const auto named = [&](const char* name, const at::Tensor& value) {
      if (value.defined()) all.push_back({fmt::format("layers.{}.{}", l, name), value});
    };
    named("weight", block.weight);
    all.back().storage = storage_[l];
    named("bias", block.bias);
    if (!layers_[l].convolution) continue;
    named("scale", layers_[l].convolution->norm.scale);
    named("shift", layers_[l].convolution->norm.shift);
  }
  return all;
}

std::vector<Named> Cnn::buffers() const {
  std::vector<Named> all = Chain::buffers();
  for (std::size_t l = 0; l < layers_.size(); ++l)
    if (const auto& convolution = layers_[l].convolution; convolution && convolution->norm) {
      all.push_back({fmt::format("layers.{}.mean", l), convolution->norm.mean});
      all.push_back({fmt::format("layers.{}.variance", l), convolution->norm.variance});
    }
  return all;
}

std::vector<LayerShape> Cnn::shapes(std::int64_t steps) const {
  std::vector<LayerShape> all = Chain::shapes(steps);
  for (std::size_t l = 0; l < all.size(); ++l) {
    LayerShape& shape = all[l];
    shape.positions = layers_[l].positions;
    shape.inputs = layers_[l].inputs;
    shape.input_nodes = shape.weight[1] / layers_[l].places;
    shape.values = values_[l];
    if (l + 1 < all.size()) shape.above = above_[l];
  }
  return all;
}

std::string Cnn::describe() const {
  std::string text = fmt::format("{:<12}{:>18}{:>12}  {}\n", "layer", "weight", "parameters", "then");
  std::int64_t total = 0;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    std::int64_t count = 0;
    const std::string prefix = fmt::format("layers.{}.", l);
    for (const Named& parameter : parameters())
      if (parameter.name.starts_with(prefix)) count += parameter.value.numel();
    total += count;
    text += fmt::format("{:<12}{:>18}{:>12}  {}\n", fmt::format("layers.{}", l),
                        fmt::format("{}", fmt::join(layers_[l].block().weight.sizes(), " × ")), count, layers_[l].then);
  }
  return text + fmt::format("{:<12}{:>18}{:>12}\n", "in all", "", total);
}

}  // namespace grapes::nn
