// Indirect feedback alignment: the error enters at the first layer and runs upward.
#include "grapes/kernels/node.h"
#include "grapes/nn/network.h"
#include "grapes/nn/pool.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace grapes::nn {
namespace {

struct GradientTap final : torch::autograd::Node {
  std::function<void(const at::Tensor&)> tell;
  std::string name() const override { return "GrapesIndirectBackward"; }
  torch::autograd::variable_list apply(torch::autograd::variable_list&& errors) override {
    if (errors[0].defined()) tell(errors[0]);
    return {errors[0]};
  }
  void release_variables() override { tell = nullptr; }
};

/// Returns the value. The backward pass calls `tell` with the error at the value.
at::Tensor tapped(const at::Tensor& value, std::function<void(const at::Tensor&)> tell) {
  const auto node = kernels::make_node<GradientTap>();
  node->set_next_edges(torch::autograd::collect_next_edges(value));
  node->tell = std::move(tell);
  at::Tensor same = value.detach();
  torch::autograd::create_gradient_edge(same, node);
  return same;
}

}  // namespace

/// δ^1 = [B e] ⊙ φ'(z^1), then upward δ^l = [W^l δ^{l-1}] ⊙ φ'(z^l). Residual sums add the errors too. Each stage
/// returns its value and a function that carries an error past it. The functions are released when the error at the
/// logits is known.
at::Tensor Network::upwards(at::Tensor h, const Pass& pass) const {
  const at::NoGradGuard no_graph;
  using Way = Rising::Way;
  std::vector<Way> ways;  // of all stages except keep, in order: each carries the error on the main path one stage up
  std::vector<at::Tensor> kept;
  auto errors = std::make_shared<std::vector<at::Tensor>>();  // the same for the stored value of a residual sum
  std::size_t l = 0;
  const auto layer = [&](at::Tensor x) {
    const bool masked = l > 0 || !options_.compatibility.unmasked_first;
    Rising rising = parts_[l].layer->rise(x, masked);
    ways.push_back(l == 0 ? Way([arrive = rising.arrive, sizes = rising.value.sizes().vec()](const at::Tensor& e) {
      return arrive(e.view(sizes));
    })
                          : std::move(rising.through));
    ++l;
    return rising.value;
  };
  for (std::size_t i = 0; i < answer_; ++i) {
    const Stage& stage = stages_[i];
    switch (stage.what) {
      case Stage::Do::dense:
        if (h.dim() > 2) {
          if (l > 0) ways.push_back([](const at::Tensor& e) { return e.flatten(1); });
          h = h.flatten(1).contiguous();
        }
        [[fallthrough]];
      case Stage::Do::convolve:
        h = layer(std::move(h));
        break;
      case Stage::Do::keep:
        kept.push_back(h);
        ways.push_back([errors](const at::Tensor& e) { return errors->push_back(e), e; });
        break;
      case Stage::Do::shortcut: {
        kept.back() = layer(kept.back());
        ways.back() = [errors, way = std::move(ways.back())](const at::Tensor& e) {
          return errors->back() = way(errors->back()), e;
        };
        break;
      }
      case Stage::Do::add: {
        at::Tensor sum = h + kept.back(), value;
        kept.pop_back();
        if (stage.activates) {
          const at::AutoGradMode graph(true);
          value = plan_.activation->apply(sum.requires_grad_());
        }
        h = stage.activates ? value.detach() : sum;
        ways.push_back([errors, sum, value](at::Tensor e) {
          e = e + errors->back();
          errors->pop_back();
          if (!value.defined()) return e;
          torch::autograd::backward({value}, {e});
          return sum.grad();
        });
        break;
      }
      case Stage::Do::max_pool:
        ways.push_back([map = h, pool = stage.pool](const at::Tensor& e) { return chosen_by(e, map, pool); });
        h = chosen_by(h, h, stage.pool);
        break;
      case Stage::Do::average:
        ways.push_back([side = stage.pool](const at::Tensor& e) { return pool(e, Pooling::average, side, nullptr); });
        h = pool(h, Pooling::average, stage.pool, nullptr);
        break;
      case Stage::Do::drop:
        ways.push_back([this, pass, l](const at::Tensor& e) { return dropped(e, pass, l); });
        h = dropped(h, pass, l);
        break;
      default:
        TORCH_INTERNAL_ASSERT(false);
    }
  }
  const at::AutoGradMode graph(true);
  const at::Tensor logits = parts_.back().layer->forward(h.flatten(1).contiguous(), {ErrorPath::To::none, {}});
  if (hidden() == 0) return logits;
  return tapped(logits, [ways = std::move(ways), B = parts_.front().feedback](const at::Tensor& error) {
    const at::NoGradGuard no_grad;
    at::Tensor e = error.mm(B.t());
    for (const Way& way : ways) e = way(e);
  });
}

}  // namespace grapes::nn
