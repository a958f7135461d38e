#include "grapes/nn/recompute.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <memory>
#include <utility>

namespace grapes::nn {
namespace {

using torch::autograd::variable_list;

struct Recomputed final : torch::autograd::Node {
  at::Tensor input;
  std::function<at::Tensor(at::Tensor)> piece;
  std::uint32_t version = 0;

  std::string name() const override { return "GrapesRecomputedBackward"; }

  variable_list apply(variable_list&& errors) override {
    variable_list result(1);
    if (!errors[0].defined()) return result;
    TORCH_CHECK(input.defined(), "recompute: a piece runs backwards once");
    TORCH_CHECK(input._version() == version, "recompute: the input was changed in place between forward and backward");
    const bool below = task_should_compute_output(0);
    const at::Tensor x = std::exchange(input, {}).detach().requires_grad_(below);
    at::Tensor value;
    {
      const at::AutoGradMode graph(true);
      value = piece(x);
    }
    piece = nullptr;
    torch::autograd::backward({std::move(value)}, {std::move(errors[0])});
    if (below) result[0] = x.grad();
    return result;
  }

  void release_variables() override { input.reset(); }
};

}  // namespace

at::Tensor recomputed(at::Tensor h, std::function<at::Tensor(at::Tensor)> piece) {
  if (!at::GradMode::is_enabled()) return piece(std::move(h));
  const std::shared_ptr<Recomputed> node(new Recomputed, torch::autograd::deleteNode);
  node->set_next_edges(torch::autograd::collect_next_edges(h));
  node->input = h.detach();
  node->version = node->input._version();
  at::Tensor value;
  {
    const at::NoGradGuard no_graph;
    value = piece(std::move(h)).detach();
  }
  node->piece = std::move(piece);
  torch::autograd::create_gradient_edge(value, node);
  return value;
}

}  // namespace grapes::nn
