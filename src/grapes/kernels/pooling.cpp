#include "grapes/kernels/pooling.h"

#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/node.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <utility>
#include <vector>

namespace grapes::kernels {
namespace {

using torch::autograd::variable_list;

/// Sizes of a map, and its windows. A map by channel is one with a lane in each block.
struct Windows {
  std::vector<std::int64_t> sizes;
  Pooling how;
  std::int64_t side;

  std::int64_t rows() const { return sizes[2]; }
  std::int64_t columns() const { return sizes[3]; }
  std::int64_t lanes() const { return sizes.size() == 5 ? sizes[4] : 1; }
  std::int64_t size() const { return rows() * columns() * lanes(); }
  std::int64_t pooled_size() const { return rows() / side * (columns() / side) * lanes(); }
  std::vector<std::int64_t> pooled_sizes() const {
    std::vector<std::int64_t> all = sizes;
    all[2] /= side;
    all[3] /= side;
    return all;
  }
  /// What a sum is divided by.
  template <class T>
  T divisor() const {
    return how == Pooling::average ? static_cast<T>(side * side) : T(1);
  }
  /// Calls do_map(map, its pooled values) for each block of channels of each example. @param top  pooled
  template <class T, class DoMap>
  void each(const at::Tensor& map, const at::Tensor& top, DoMap do_map) const {
    at::parallel_for(0, sizes[0] * sizes[1], 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        do_map(typename Loops<T>::Map{map.data_ptr<T>() + i * size(), rows(), columns(), lanes(), side},
               top.data_ptr<T>() + i * pooled_size());
    });
  }
};

struct PoolingNode final : torch::autograd::Node {
  Windows windows;
  WorkspacePtr workspace;
  at::Tensor map, top;  // of Pooling::largest
  std::uint32_t map_version = 0, top_version = 0;
  bool done = false;

  std::string name() const override { return "GrapesPoolingBackward"; }

  variable_list apply(variable_list&& errors) override {
    TORCH_CHECK(!at::GradMode::is_enabled(), "pooling: the fused operation is not differentiable twice");
    if (!errors[0].defined()) return {at::Tensor()};
    TORCH_CHECK(!std::exchange(done, true), "pooling: the backward pass of the fused operation may run only once");
    const at::NoGradGuard no_grad;
    const at::Tensor error = errors[0].contiguous();
    at::Tensor below;
    AT_DISPATCH_FLOATING_TYPES(error.scalar_type(), "pooling", [&] {
      if (windows.how == Pooling::largest) {
        TORCH_CHECK(map._version() == map_version && top._version() == top_version,
                    "pooling: the map or its maxima were changed in place between forward and backward");
        below = workspace->exclusive(map) ? std::move(map) : map.clone();
        const std::vector<scalar_t> one(static_cast<std::size_t>(windows.lanes()), 1);
        const auto* first = top.data_ptr<scalar_t>();
        const auto* first_error = error.data_ptr<scalar_t>();
        windows.each<scalar_t>(below, top, [&](const auto& into, const scalar_t* largest) {
          loops<scalar_t>().unpool(into, largest, first_error + (largest - first), one.data(), 1);
        });
      } else {
        below = workspace->take(windows.sizes, error.scalar_type());
        windows.each<scalar_t>(below, error, [&](const auto& into, const scalar_t* e) {
          loops<scalar_t>().spread(into, e, windows.divisor<scalar_t>());
        });
      }
    });
    map.reset();
    top.reset();
    return {below};
  }

  void release_variables() override {
    map.reset();
    top.reset();
  }
};

}  // namespace

bool poolable(const at::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble);
}

at::Tensor pooled(const at::Tensor& x, Pooling how, std::int64_t side, const WorkspacePtr& workspace) {
  const Windows windows{x.sizes().vec(), how, side};
  const at::Tensor top = workspace->take(windows.pooled_sizes(), x.scalar_type());
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "pooling", [&] {
    windows.each<scalar_t>(x, top, [&](const auto& map, scalar_t* value) {
      if (how == Pooling::largest)
        loops<scalar_t>().pool(map, value);
      else
        loops<scalar_t>().sum_windows(map, windows.divisor<scalar_t>(), value);
    });
  });
  return top;
}

at::Tensor pooling(at::Tensor x, Pooling how, std::int64_t side, const WorkspacePtr& workspace) {
  torch::autograd::edge_list edges;
  if (at::GradMode::is_enabled()) edges = torch::autograd::collect_next_edges(x);
  at::Tensor map = x.detach().contiguous();
  x.reset();
  const at::Tensor top = pooled(map, how, side, workspace);
  if (edges.empty() || !edges[0].is_valid()) return top;
  const auto node = make_node<PoolingNode>();
  node->set_next_edges(std::move(edges));
  node->windows = {map.sizes().vec(), how, side};
  node->workspace = workspace;
  at::Tensor result = top.detach();
  if (how == Pooling::largest) {
    node->map_version = map._version();
    node->map = std::move(map);
    node->top = top.detach();
    node->top_version = node->top._version();
  }
  torch::autograd::create_gradient_edge(result, node);
  return result;
}

}  // namespace grapes::kernels
