#include "grapes/kernels/convolution.h"

#include "grapes/kernels/bfloat16.h"
#include "grapes/kernels/convolution_primitives.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/node.h"
#include "grapes/kernels/pooling.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace grapes::kernels {

bool& winograd_allowed() {
  thread_local bool allowed = true;
  return allowed;
}

std::optional<float> slope_of(Activation activation) {
  switch (activation) {
    case Activation::relu:
      return 0.0F;
    case Activation::leaky_relu:
      return static_cast<float>(leaky_slope);
    case Activation::identity:
      return 1.0F;
    default:
      return {};
  }
}

#ifdef GRAPES_ONEDNN
namespace {

using torch::autograd::variable_list;
using Key = ConvolutionKey;
using Primitives = ConvolutionPrimitives;

Memory memory(const Memory::desc& description, const at::Tensor& tensor) {
  return {description, onednn_engine(), tensor.data_ptr()};
}

/// Returns memory for a weight in the layout of a primitive. @param room  owner of the memory, kept by the caller
Memory room_for(const Memory::desc& wanted, const WorkspacePtr& workspace, at::Tensor& room) {
  room =
      workspace->take({static_cast<std::int64_t>((wanted.get_size() + sizeof(float) - 1) / sizeof(float))}, at::kFloat);
  return memory(wanted, room);
}
Memory plain_memory(const at::Tensor& W) {
  const auto type = W.scalar_type() == at::kBFloat16 ? Memory::data_type::bf16 : Memory::data_type::f32;
  return memory(describe({W.size(0), W.size(1), W.size(2), W.size(3)}, Tag::oihw, type), W);
}
void reorder(Memory from, Memory to) { dnnl::reorder(from, to).execute(onednn_stream(), from, to); }

Memory laid_out(const at::Tensor& W, const Memory::desc& wanted, const WorkspacePtr& workspace, at::Tensor& room) {
  const Memory plain = plain_memory(W);
  if (wanted == plain.get_desc()) return plain;
  Memory other = room_for(wanted, workspace, room);
  reorder(plain, other);
  return other;
}

/// Returns memory for a map in the layout of its primitives: [batch, channel / block, rows, columns, block], or by
/// channel for an image.
at::Tensor map_for(const WorkspacePtr& workspace, const Sizes& sizes) {
  if (tag_of(sizes[1]) == Tag::nchw) return workspace->take(sizes, at::kFloat);
  const std::int64_t block = channel_block();
  return workspace->take({sizes[0], sizes[1] / block, sizes[2], sizes[3], block}, at::kFloat);
}
Sizes sizes_of(const at::Tensor& x) {
  return x.dim() == 5 ? Sizes{x.size(0), x.size(1) * x.size(4), x.size(2), x.size(3)}
                      : Sizes{x.size(0), x.size(1), x.size(2), x.size(3)};
}

/// Returns the operand of a product.
at::Tensor factor_of(const Convolution& layer, const at::Tensor& x) { return layer.rounded ? x.to(at::kBFloat16) : x; }

Key key_of(const Convolution& layer, const at::Tensor& h) {
  const float slope = slope_of(layer.activation).value_or(1);
  return {sizes_of(h), sizes_of(layer.weight), layer.stride, layer.padding, slope, layer.bias.defined(), layer.rounded};
}

/// Calls do_block(number, first channel) for each block of channels of each example.
void each_block(const Sizes& map, const std::function<void(std::int64_t, std::int64_t)>& do_block) {
  const std::int64_t block = channel_block(), blocks = map[1] / block;
  at::parallel_for(0, map[0] * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) do_block(i, i % blocks * block);
  });
}

struct ConvolutionNode final : torch::autograd::Node {
  Convolution layer;
  Key key;
  at::Tensor input, map, value;  // h; a before pooling, if there is pooling; the output, if its sign is needed
  std::uint32_t weight_version = 0, value_version = 0;

  std::string name() const override { return "GrapesConvolutionBackward"; }

  /// Computes δ in the layout of the map.
  at::Tensor delta(at::Tensor error, const Sizes& sizes) {
    const float slope = key.slope;
    const at::Tensor m = layer.error.defined() ? layer.error.contiguous() : at::ones({sizes[1]}, at::kFloat);
    const std::int64_t block = channel_block(), size = sizes[2] * sizes[3] * block;
    error = error.contiguous();
    if (map.defined()) {  // δ overwrites the map if no other tensor uses its memory
      const at::Tensor into = layer.once ? std::move(map) : map.clone();
      const std::int64_t small = error.numel() / (sizes[0] * sizes[1] / block);
      each_block(sizes, [&](std::int64_t i, std::int64_t channel) {
        loops<float>().unpool({into.data_ptr<float>() + i * size, sizes[2], sizes[3], block, layer.pool},
                              value.data_ptr<float>() + i * small, error.data_ptr<float>() + i * small,
                              m.data_ptr<float>() + channel, slope);
      });
      return into;
    }
    if (!layer.error.defined() && slope == 1) return error;
    const at::Tensor d = layer.workspace->exclusive(error) ? error : error.clone();
    each_block(sizes, [&](std::int64_t i, std::int64_t channel) {
      const float* h = value.defined() ? value.data_ptr<float>() + i * size : nullptr;
      loops<float>().block_error(h, m.data_ptr<float>() + channel, slope, size / block, block,
                                 d.data_ptr<float>() + i * size);
    });
    return d;
  }

  /// @param d  δ of a part of the batch, as the operand of the product
  at::Tensor weight_gradient(const Primitives& ready, const at::Tensor& h, const at::Tensor& d) const {
    const auto& description = ready.weights.description;
    at::Tensor gradient = at::empty(layer.weight.sizes(), layer.weight.options()), room;
    const Memory plain = plain_memory(gradient);
    const Memory::desc wanted = description.diff_weights_desc();
    const Memory there = wanted == plain.get_desc() ? plain : room_for(wanted, layer.workspace, room);
    ready.weights.run({{DNNL_ARG_SRC, memory(description.src_desc(), h)},
                       {DNNL_ARG_DIFF_DST, memory(description.diff_dst_desc(), d)},
                       {DNNL_ARG_DIFF_WEIGHTS, there}});
    if (room.defined()) reorder(there, plain);
    onednn_stream().wait();
    return gradient;
  }

  at::Tensor weight_gradient(const at::Tensor& d) const {
    at::Tensor sum;
    each_part(key, [&](std::int64_t begin, std::int64_t count, const Primitives& ready) {
      const at::Tensor part = weight_gradient(ready, input.narrow(0, begin, count), d.narrow(0, begin, count));
      sum = sum.defined() ? sum.add_(part) : part;
    });
    if (layer.rows.defined()) sum.mul_(layer.rows.view({-1, 1, 1, 1}));
    if (layer.columns.defined()) sum.mul_(layer.columns.view({1, -1, 1, 1}));
    if (layer.mask.defined()) sum.mul_(layer.mask);
    return sum;
  }

  at::Tensor input_error(const at::Tensor& d) const {
    const bool other = layer.path.to == ErrorPath::To::matrix;
    const at::Tensor W = factor_of(layer, other ? layer.path.matrix.contiguous() : layer.weight);
    at::Tensor error = map_for(layer.workspace, key.input);
    each_part(key, [&](std::int64_t begin, std::int64_t count, const Primitives& ready) {
      const auto& description = ready.data.description;
      at::Tensor room;
      ready.data.run({{DNNL_ARG_DIFF_DST, memory(description.diff_dst_desc(), d.narrow(0, begin, count))},
                      {DNNL_ARG_WEIGHTS, laid_out(W, description.weights_desc(), layer.workspace, room)},
                      {DNNL_ARG_DIFF_SRC, memory(description.diff_src_desc(), error.narrow(0, begin, count))}});
    });
    return error;
  }

  variable_list apply(variable_list&& errors) override {
    TORCH_CHECK(!at::GradMode::is_enabled(), "convolution: the fused layer is not differentiable twice");
    variable_list result(3);
    if (!errors[0].defined()) return result;
    TORCH_CHECK(input.defined(), "convolution: the backward pass may run only once; its activations were released");
    TORCH_CHECK(layer.weight._version() == weight_version && (!value.defined() || value._version() == value_version),
                "convolution: the weight or the output was changed in place between forward and backward");
    const at::NoGradGuard no_grad;
    const at::Tensor d = delta(std::move(errors[0]), primitives(key).output);
    errors.clear();
    if (layer.once) value.reset();
    const at::Tensor factor = factor_of(layer, d);
    if (task_should_compute_output(1)) result[1] = weight_gradient(factor);
    if (layer.bias.defined() && task_should_compute_output(2)) {
      result[2] = d.sum(at::IntArrayRef({0, 2, 3})).flatten();
      if (layer.rows.defined()) result[2].mul_(layer.rows);
    }
    if (layer.once) input.reset();
    if (layer.path.to != ErrorPath::To::none && task_should_compute_output(0)) result[0] = input_error(factor);
    return result;
  }

  void release_variables() override {
    input.reset();
    map.reset();
    value.reset();
  }
};

}  // namespace

/// Converts to blocks of channels, with a graph.
static at::Tensor blocked(const at::Tensor& x) {
  const std::int64_t block = channel_block();
  return x.view({x.size(0), x.size(1) / block, block, x.size(2), x.size(3)}).permute({0, 1, 3, 4, 2}).contiguous();
}

bool fusable(const Convolution& layer, const at::Tensor& h) {
  const std::int64_t block = channel_block();
  // The vectors of the loops must not be larger than a block, as they would be if oneDNN were limited to AVX2.
  const bool here = block == 16 || (block == 8 && std::string_view(instruction_set().name) != "avx512");
  const auto fits = [](const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; };
  const bool possible = here && h.numel() > 0 && fits(h) && fits(layer.weight) &&
                        (!layer.bias.defined() || fits(layer.bias)) && layer.weight.size(0) % block == 0 &&
                        (!layer.rounded || bfloat16_missing().empty()) && slope_of(layer.activation).has_value();
  return possible && primitives(key_of(layer, h)).fast(h.requires_grad());
}

at::Tensor convolution(at::Tensor h, Convolution layer) {
  if (h.dim() == 4) h = tag_of(h.size(1)) != Tag::nchw ? blocked(h.contiguous()) : h.contiguous();
  torch::autograd::edge_list edges;
  if (at::GradMode::is_enabled()) edges = torch::autograd::collect_next_edges(h, layer.weight, layer.bias);
  at::Tensor input, value, map;
  Key key;
  {
    const at::NoGradGuard no_grad;
    input = h.detach().contiguous();
    h.reset();
    layer.weight = layer.weight.detach().contiguous();
    if (layer.bias.defined()) layer.bias = layer.bias.detach().contiguous();
    key = key_of(layer, input);
    const at::Tensor W = factor_of(layer, layer.weight);
    input = factor_of(layer, input);
    map = map_for(layer.workspace, primitives(key).output);
    each_part(key, [&](std::int64_t begin, std::int64_t count, const Primitives& ready) {
      const auto& description = ready.forward.description;
      at::Tensor room;
      std::unordered_map<int, Memory> arguments = {
          {DNNL_ARG_SRC, memory(description.src_desc(), input.narrow(0, begin, count))},
          {DNNL_ARG_WEIGHTS, laid_out(W, description.weights_desc(), layer.workspace, room)},
          {DNNL_ARG_DST, memory(description.dst_desc(), map.narrow(0, begin, count))}};
      if (layer.bias.defined()) arguments.insert({DNNL_ARG_BIAS, memory(description.bias_desc(), layer.bias)});
      ready.forward.run(std::move(arguments));
    });
    value = layer.pool > 1 ? pooled(map, Pooling::largest, layer.pool, layer.workspace) : map;
    if (layer.pool == 1) map.reset();
  }
  const bool learns = std::any_of(edges.begin(), edges.end(), [](const auto& edge) { return edge.is_valid(); });
  if (!learns) return value;
  const auto node = make_node<ConvolutionNode>();
  node->set_next_edges(std::move(edges));
  node->weight_version = layer.weight._version();
  node->key = key;
  node->layer = std::move(layer);
  node->input = std::move(input);
  node->map = std::move(map);
  at::Tensor result = value.detach();
  if (node->map.defined() || key.slope != 1) {  // else the gradient does not depend on the output
    node->value = value.detach();
    node->value_version = node->value._version();
  }
  torch::autograd::create_gradient_edge(result, node);
  return result;
}

#else
bool fusable(const Convolution&, const at::Tensor&) { return false; }
at::Tensor convolution(at::Tensor, Convolution) { TORCH_CHECK(false, "convolution: built without oneDNN"); }
#endif

std::function<void()> bare_convolution(const std::vector<std::int64_t>& input, const std::vector<std::int64_t>& weight,
                                       std::int64_t stride, std::int64_t padding, bool below) {
#ifdef GRAPES_ONEDNN
  if (std::function<void()> fast = bare_primitives(input, weight, stride, padding, below)) return fast;
#endif
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::full(input, 0.1F), W = at::full(weight, 0.1F);
  const at::Tensor error = at::full_like(at::conv2d(x, W, {}, stride, padding), 0.1F);
  return [=] {
    at::conv2d(x, W, {}, stride, padding);
    at::convolution_backward(error, x, W, {}, {stride, stride}, {padding, padding}, {1, 1}, false, {0, 0}, 1,
                             {below, true, false});
  };
}

at::Tensor unblocked(const at::Tensor& x, std::int64_t leading) {
  return x.dim() == leading + 4 ? x.movedim(-1, leading + 1).flatten(leading, leading + 1) : x;
}

}  // namespace grapes::kernels
