#include "grapes/nn/recompute.h"

#include "grapes/kernels/node.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace grapes::nn {
namespace {

using torch::autograd::variable_list;

/// Calls do_slice(first example, number of examples) until the whole batch is done.
template <class DoSlice>
void each_slice(std::int64_t batch, std::int64_t slice, DoSlice do_slice) {
  const std::int64_t most = slice > 0 ? slice : batch;
  for (std::int64_t begin = 0; begin < batch; begin += most) do_slice(begin, std::min(most, batch - begin));
}

struct Recomputed final : torch::autograd::Node {
  at::Tensor input;
  std::function<at::Tensor(at::Tensor)> piece;
  std::int64_t slice = 0, axis = 0;
  std::uint32_t version = 0;

  std::string name() const override { return "GrapesRecomputedBackward"; }

  variable_list apply(variable_list&& errors) override {
    variable_list result(1);
    if (!errors[0].defined()) return result;
    TORCH_CHECK(input.defined(), "recompute: the backward pass may run only once");
    TORCH_CHECK(input._version() == version, "recompute: the input was changed in place between forward and backward");
    const bool below = task_should_compute_output(0);
    const at::Tensor h = std::exchange(input, {}), error = std::move(errors[0]);
    each_slice(h.size(axis), slice, [&](std::int64_t begin, std::int64_t count) {
      const at::Tensor x = h.narrow(axis, begin, count).detach().requires_grad_(below);
      at::Tensor value;
      {
        const at::AutoGradMode graph(true);
        value = piece(x);
      }
      torch::autograd::backward({std::move(value)}, {error.narrow(axis, begin, count)});
      if (!below) return;
      if (count == h.size(axis)) {
        result[0] = x.grad();
      } else {
        if (begin == 0) result[0] = at::empty_like(h);
        result[0].narrow(axis, begin, count).copy_(x.grad());
      }
    });
    piece = nullptr;
    return result;
  }

  void release_variables() override { input.reset(); }
};

}  // namespace

at::Tensor recomputed(at::Tensor h, std::function<at::Tensor(at::Tensor)> piece, std::int64_t slice,
                      std::int64_t axis) {
  if (!at::GradMode::is_enabled()) return piece(std::move(h));
  const auto node = kernels::make_node<Recomputed>();
  node->set_next_edges(torch::autograd::collect_next_edges(h));
  node->input = h.detach();
  node->version = node->input._version();
  node->slice = slice;
  node->axis = axis;
  h.reset();
  at::Tensor value;
  {
    const at::NoGradGuard no_graph;
    const at::Tensor& x = node->input;
    each_slice(x.size(axis), slice, [&](std::int64_t begin, std::int64_t count) {
      const at::Tensor part = piece(x.narrow(axis, begin, count));
      if (count == x.size(axis)) {
        value = part.detach();
        return;
      }
      std::vector<std::int64_t> sizes = part.sizes().vec();
      sizes[static_cast<std::size_t>(axis)] = x.size(axis);
      if (begin == 0) value = at::empty(sizes, part.options());
      value.narrow(axis, begin, count).copy_(part);
    });
  }
  node->piece = std::move(piece);
  torch::autograd::create_gradient_edge(value, node);
  return value;
}

}  // namespace grapes::nn
