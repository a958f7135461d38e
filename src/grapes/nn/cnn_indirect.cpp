// Indirect feedback alignment through stages (a chain's is credit/route.cpp's): what B brings to the first layer's
// value runs upwards as a derivative along the way would, through each layer's weights, the slopes of its activation
// and the places that its pooling chose; where there are sums, it is summed. By plain tensor operations.
#include "grapes/nn/cnn.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <functional>
#include <utility>

namespace grapes::nn {
namespace {

using Do = Stage::Do;
using torch::autograd::variable_list;

struct Told final : torch::autograd::Node {
  std::function<void(const at::Tensor&)> tell;
  std::string name() const override { return "GrapesIndirectBackward"; }
  variable_list apply(variable_list&& errors) override {
    if (errors[0].defined()) tell(errors[0]);
    return {errors[0]};
  }
};

/// The logits; `tell` hears the error at them.
at::Tensor told(const at::Tensor& logits, std::function<void(const at::Tensor&)> tell) {
  const std::shared_ptr<Told> node(new Told, torch::autograd::deleteNode);
  node->set_next_edges(torch::autograd::collect_next_edges(logits));
  node->tell = std::move(tell);
  at::Tensor value = logits.detach();
  torch::autograd::create_gradient_edge(value, node);
  return value;
}

/// What x holds in each square where `map` has its largest; of equal ones the first. @param pool  0: of all places
at::Tensor chosen(const at::Tensor& x, const at::Tensor& map, std::int64_t pool) {
  if (pool == 1) return x;
  const std::vector<std::int64_t> square = pool == 0 ? map.sizes().slice(2).vec() : std::vector<std::int64_t>(2, pool);
  const at::Tensor places = std::get<1>(at::max_pool2d_with_indices(map, square));
  return x.flatten(2).gather(2, places.flatten(2)).view(places.sizes());
}

}  // namespace

Cnn::Pair Cnn::upwards(std::size_t l, const Pair& below, const at::Tensor& first) const {
  const Layer& layer = layers_[l];
  const credit::Block& block = layer.block();
  const Convolution* const maps = layer.convolution.get();
  const std::int64_t pool = maps != nullptr ? maps->pool() : 1;
  at::Tensor z, h;
  {
    const at::AutoGradMode graph(true);
    z = block.affine(below.value);
  }
  const at::Tensor leaf = z.detach().requires_grad_();
  {
    const at::AutoGradMode graph(true);
    h = block.activation(leaf);
  }
  // A map before pooling; its normalization is asked for again, without moving the running statistics.
  const at::Tensor map = pool == 1 ? h.detach() : maps->activated(z.detach());
  const at::Tensor arrived =
      l == 0 ? first.view(h.sizes())
             : chosen(maps != nullptr ? maps->linear(below.error) : at::linear(below.error, block.weight), map, pool);
  torch::autograd::backward({h}, {arrived});
  at::Tensor delta = leaf.grad();
  if (const at::Tensor& m = block.factors.error; m.defined())
    delta = delta * (maps != nullptr ? m.view({1, -1, 1, 1}) : m);
  torch::autograd::backward({z}, {delta});
  return {h.detach(), chosen(delta, map, pool)};
}

void Cnn::run_upwards(const at::Tensor& inputs, const at::Tensor& error, const Pass& pass) const {
  const at::NoGradGuard no_graph;
  const at::Tensor first = error.mm(blocks_.front()->feedback.t());
  Pair at{inputs, {}};
  std::vector<Pair> kept;
  std::size_t l = 0;
  const auto both = [&](const auto& change) { at = {change(at.value), change(at.error)}; };
  for (std::size_t i = 0; i + 1 < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    switch (stage.what) {
      case Do::dense:
        both([](const at::Tensor& x) { return x.flatten(1); });
        [[fallthrough]];
      case Do::convolve:
        at = upwards(l, at, first), ++l;
        break;
      case Do::keep:
        kept.push_back(at);
        break;
      case Do::shortcut:
        kept.back() = upwards(l, kept.back(), first), ++l;
        break;
      case Do::add: {
        at = {at.value + kept.back().value, at.error + kept.back().error};
        kept.pop_back();
        if (!stage.activates) break;
        const at::Tensor sum = at.value.requires_grad_();
        at::Tensor h;
        {
          const at::AutoGradMode graph(true);
          h = activation()->apply(sum);
        }
        torch::autograd::backward({h}, {at.error});
        at = {h.detach(), sum.grad()};
        break;
      }
      case Do::max_pool:
        at = {chosen(at.value, at.value, stage.pool), chosen(at.error, at.value, stage.pool)};
        break;
      case Do::average:
        both([&](const at::Tensor& x) {
          return stage.pool == 0 ? x.mean({2, 3}, true) : at::avg_pool2d(x, {stage.pool, stage.pool});
        });
        break;
      case Do::drop:
        both([&](const at::Tensor& x) { return dropped(x, pass, l); });
        break;
    }
  }
}

at::Tensor Cnn::indirect(const at::Tensor& inputs, const Pass& pass) const {
  at::Tensor h;
  {
    const at::NoGradGuard no_graph;
    std::vector<at::Tensor> nobody_asks;
    h = through({0, stages_.size() - 1, 0}, inputs, pass, nobody_asks);
  }
  const at::Tensor logits = blocks_.back()->affine(kernels::unblocked(h).flatten(1).contiguous());
  if (!at::GradMode::is_enabled()) return logits;
  return told(logits, [this, inputs, pass](const at::Tensor& error) { run_upwards(inputs, error, pass); });
}

}  // namespace grapes::nn
