#include "grapes/kernels/convolution.h"

#include "grapes/kernels/bfloat16.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/onednn.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace grapes::kernels {

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
using Sizes = std::array<std::int64_t, 4>;
using Memory = dnnl::memory;
using Tag = Memory::format_tag;
constexpr std::int64_t block = 16;

/// Numbers a scratchpad is borrowed from: primitives run one after the other, so that one serves all of a thread.
at::Tensor& scratch(std::size_t bytes) {
  thread_local at::Tensor room;
  if (!room.defined() || room.nbytes() < bytes) room = at::empty({static_cast<std::int64_t>(bytes)}, at::kByte);
  return room;
}

/// One of a layer's three convolutions, made ready: finding out how takes longer than a small convolution.
template <class Primitive>
struct Ready {
  typename Primitive::primitive_desc description;
  Primitive primitive;

  void run(std::unordered_map<int, Memory> arguments) const {
    const Memory::desc needed = description.scratchpad_desc();
    if (needed.get_size() > 0)
      arguments.insert({DNNL_ARG_SCRATCHPAD, {needed, onednn_engine(), scratch(needed.get_size()).data_ptr()}});
    primitive.execute(onednn_stream(), arguments);
    onednn_stream().wait();
  }
};

struct Key {
  Sizes input, weight;
  std::int64_t stride, padding;
  float slope;  // of the activation below 0; 1: none
  bool bias, rounded;
  auto operator<=>(const Key&) const = default;
};

/// All three, by Winograd's minimal filtering where oneDNN has it (3 × 3, channels in sixteens), else directly.
struct Primitives {
  Ready<dnnl::convolution_forward> forward;
  Ready<dnnl::convolution_backward_data> data;
  Ready<dnnl::convolution_backward_weights> weights;
  Sizes output;

  /// For some shapes oneDNN has but a definition to be read, a hundred times as slow as anything else.
  /// @param below  whether something below wants its error
  bool fast(bool below) const {
    const auto is_definition = [](const auto& ready) {
      return std::string_view(ready.description.impl_info_str()).starts_with("ref");
    };
    return !is_definition(forward) && !is_definition(weights) && !(below && is_definition(data));
  }
};

Memory::desc describe(const Sizes& sizes, Tag tag, Memory::data_type type = Memory::data_type::f32) {
  return {{sizes[0], sizes[1], sizes[2], sizes[3]}, type, tag};
}
/// How a map lies in memory: in blocks of 16 channels, or, a picture's, one channel after the other.
Tag tag_of(std::int64_t channels) { return channels % block == 0 ? Tag::nChw16c : Tag::nchw; }

Primitives make(const Key& key, dnnl::algorithm how) {
  const Sizes &in = key.input, &w = key.weight;
  const auto out = [&](std::size_t axis) { return (in[axis] + 2 * key.padding - w[axis]) / key.stride + 1; };
  Primitives all;
  all.output = {in[0], w[0], out(2), out(3)};
  const auto factor = key.rounded ? Memory::data_type::bf16 : Memory::data_type::f32;
  const auto x = [&](auto type) { return describe(in, tag_of(in[1]), type); };
  const auto y = [&](auto type) { return describe(all.output, tag_of(w[0]), type); };
  const auto W = [&](auto type) { return describe(w, Tag::any, type); };
  const auto sum = Memory::data_type::f32;
  const Memory::desc b({w[0]}, Memory::data_type::f32, Tag::x);
  const Memory::dims stride(2, key.stride), padding(2, key.padding);
  dnnl::primitive_attr bare, activated;
  bare.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  activated.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (key.slope != 1) {
    dnnl::post_ops after;
    after.append_eltwise(1, dnnl::algorithm::eltwise_relu, key.slope, 0);
    activated.set_post_ops(after);
  }
  const dnnl::prop_kind kind = dnnl::prop_kind::forward_training;
  const dnnl::convolution_forward::desc plain(kind, how, x(factor), W(factor), y(sum), stride, padding, padding);
  const auto forward =
      key.bias ? dnnl::convolution_forward::desc(kind, how, x(factor), W(factor), b, y(sum), stride, padding, padding)
               : plain;
  const auto ready = [](const auto& description) {
    using Description = std::remove_cvref_t<decltype(description)>;
    if constexpr (std::is_same_v<Description, dnnl::convolution_forward::primitive_desc>)
      return Ready<dnnl::convolution_forward>{description, dnnl::convolution_forward(description)};
    else if constexpr (std::is_same_v<Description, dnnl::convolution_backward_data::primitive_desc>)
      return Ready<dnnl::convolution_backward_data>{description, dnnl::convolution_backward_data(description)};
    else
      return Ready<dnnl::convolution_backward_weights>{description, dnnl::convolution_backward_weights(description)};
  };
  all.forward = ready(dnnl::convolution_forward::primitive_desc(forward, activated, onednn_engine()));
  const dnnl::convolution_forward::primitive_desc hint(plain, bare, onednn_engine());
  all.data = ready(dnnl::convolution_backward_data::primitive_desc(
      dnnl::convolution_backward_data::desc(how, x(sum), W(factor), y(factor), stride, padding, padding), bare,
      onednn_engine(), hint));
  all.weights = ready(dnnl::convolution_backward_weights::primitive_desc(
      dnnl::convolution_backward_weights::desc(how, x(factor), W(sum), y(factor), stride, padding, padding), bare,
      onednn_engine(), hint));
  return all;
}

const Primitives& primitives(const Key& key) {
  thread_local std::map<Key, Primitives> ready;
  auto found = ready.find(key);
  if (found != ready.end()) return found->second;
  if (!key.rounded && key.weight[2] == 3 && key.stride == 1 && key.input[1] % block == 0 && key.weight[0] % block == 0)
    try {
      return ready.emplace(key, make(key, dnnl::algorithm::convolution_winograd)).first->second;
    } catch (const dnnl::error&) {  // not for this shape, or not on this processor
    }
  return ready.emplace(key, make(key, dnnl::algorithm::convolution_direct)).first->second;
}

Memory memory(const Memory::desc& description, const at::Tensor& tensor) {
  return {description, onednn_engine(), tensor.data_ptr()};
}

/// Room for a weight in the layout that a primitive wants. @param room  kept by the caller while it is used
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

/// A map in memory as its primitives want it: [batch, channel / 16, rows, columns, 16], or a picture's as it is.
at::Tensor map_for(const WorkspacePtr& workspace, const Sizes& sizes) {
  if (sizes[1] % block != 0) return workspace->take(sizes, at::kFloat);
  return workspace->take({sizes[0], sizes[1] / block, sizes[2], sizes[3], block}, at::kFloat);
}
Sizes sizes_of(const at::Tensor& x) {
  return x.dim() == 5 ? Sizes{x.size(0), x.size(1) * block, x.size(2), x.size(3)}
                      : Sizes{x.size(0), x.size(1), x.size(2), x.size(3)};
}

/// What a product is made of.
at::Tensor factor_of(const Convolution& layer, const at::Tensor& x) { return layer.rounded ? x.to(at::kBFloat16) : x; }

Key key_of(const Convolution& layer, const at::Tensor& h) {
  const float slope = slope_of(layer.activation).value_or(1);
  return {sizes_of(h), sizes_of(layer.weight), layer.stride, layer.padding, slope, layer.bias.defined(), layer.rounded};
}

/// do_block(number, first channel) for each block of 16 channels of each example.
void each_block(const Sizes& map, const std::function<void(std::int64_t, std::int64_t)>& do_block) {
  const std::int64_t blocks = map[1] / block;
  at::parallel_for(0, map[0] * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) do_block(i, i % blocks * block);
  });
}

at::Tensor pooled(const at::Tensor& a, std::int64_t pool, const WorkspacePtr& workspace) {
  const Sizes map = sizes_of(a);
  const at::Tensor top = map_for(workspace, {map[0], map[1], map[2] / pool, map[3] / pool});
  const std::int64_t from = map[2] * map[3] * block, to = map[2] / pool * (map[3] / pool) * block;
  each_block(map, [&](std::int64_t i, std::int64_t) {
    loops<float>().pool({a.data_ptr<float>() + i * from, map[2], map[3], pool}, top.data_ptr<float>() + i * to);
  });
  return top;
}

struct ConvolutionNode final : torch::autograd::Node {
  Convolution layer;
  Key key;
  at::Tensor input, map, value;  // h; a before pooling, if there is any; what came out, if its sign is wanted
  std::uint32_t weight_version = 0, value_version = 0;

  std::string name() const override { return "GrapesConvolutionBackward"; }

  /// δ, in the layout of the map
  at::Tensor delta(at::Tensor error, const Sizes& sizes) {
    const float slope = key.slope;
    const at::Tensor m = layer.error.defined() ? layer.error.contiguous() : at::ones({sizes[1]}, at::kFloat);
    const std::int64_t size = sizes[2] * sizes[3] * block;
    error = error.contiguous();
    if (map.defined()) {  // δ takes its place: it is nobody else's
      const std::int64_t small = error.numel() / (sizes[0] * sizes[1] / block);
      each_block(sizes, [&](std::int64_t i, std::int64_t channel) {
        loops<float>().unpool({map.data_ptr<float>() + i * size, sizes[2], sizes[3], layer.pool},
                              value.data_ptr<float>() + i * small, error.data_ptr<float>() + i * small,
                              m.data_ptr<float>() + channel, slope);
      });
      return std::move(map);
    }
    if (!layer.error.defined() && slope == 1) return error;
    const at::Tensor d = layer.workspace->exclusive(error) ? error : error.clone();
    each_block(sizes, [&](std::int64_t i, std::int64_t channel) {
      const float* h = value.defined() ? value.data_ptr<float>() + i * size : nullptr;
      loops<float>().block_error(h, m.data_ptr<float>() + channel, slope, size / block, d.data_ptr<float>() + i * size);
    });
    return d;
  }

  at::Tensor weight_gradient(const Primitives& ready, const Memory& d) const {
    at::Tensor gradient = at::empty(layer.weight.sizes(), layer.weight.options()), room;
    const Memory plain = plain_memory(gradient);
    const Memory::desc wanted = ready.weights.description.diff_weights_desc();
    const Memory there = wanted == plain.get_desc() ? plain : room_for(wanted, layer.workspace, room);
    ready.weights.run({{DNNL_ARG_SRC, memory(ready.weights.description.src_desc(), input)},
                       {DNNL_ARG_DIFF_DST, d},
                       {DNNL_ARG_DIFF_WEIGHTS, there}});
    if (room.defined()) reorder(there, plain);
    onednn_stream().wait();
    if (layer.rows.defined()) gradient.mul_(layer.rows.view({-1, 1, 1, 1}));
    if (layer.columns.defined()) gradient.mul_(layer.columns.view({1, -1, 1, 1}));
    return gradient;
  }

  at::Tensor input_error(const Primitives& ready, const Memory& d) const {
    const bool other = layer.transport.to == Transport::To::matrix;
    const at::Tensor W = factor_of(layer, other ? layer.transport.matrix.contiguous() : layer.weight);
    at::Tensor room, error = map_for(layer.workspace, key.input);
    ready.data.run({{DNNL_ARG_DIFF_DST, d},
                    {DNNL_ARG_WEIGHTS, laid_out(W, ready.data.description.weights_desc(), layer.workspace, room)},
                    {DNNL_ARG_DIFF_SRC, memory(ready.data.description.diff_src_desc(), error)}});
    return error;
  }

  variable_list apply(variable_list&& errors) override {
    TORCH_CHECK(!at::GradMode::is_enabled(), "convolution: the fused layer is not differentiable twice");
    variable_list result(3);
    if (!errors[0].defined()) return result;
    TORCH_CHECK(input.defined(), "convolution: the fused layer runs backwards once; its activations are overwritten");
    TORCH_CHECK(layer.weight._version() == weight_version && (!value.defined() || value._version() == value_version),
                "convolution: the weight or the output was changed in place between forward and backward");
    const at::NoGradGuard no_grad;
    const Primitives& ready = primitives(key);
    const at::Tensor d = delta(std::move(errors[0]), ready.output);
    errors.clear();
    value.reset();
    const at::Tensor factor = factor_of(layer, d);
    const Memory at_map = memory(ready.weights.description.diff_dst_desc(), factor);
    if (task_should_compute_output(1)) result[1] = weight_gradient(ready, at_map);
    if (layer.bias.defined() && task_should_compute_output(2)) {
      result[2] = d.sum(at::IntArrayRef({0, 2, 3})).flatten();
      if (layer.rows.defined()) result[2].mul_(layer.rows);
    }
    input.reset();
    if (layer.transport.to != Transport::To::nowhere && task_should_compute_output(0))
      result[0] = input_error(ready, at_map);
    return result;
  }

  void release_variables() override {
    input.reset();
    map.reset();
    value.reset();
  }
};

}  // namespace

/// From plain to blocks, with a graph.
static at::Tensor blocked(const at::Tensor& x) {
  return x.dim() == 5 ? x
                      : x.view({x.size(0), x.size(1) / block, block, x.size(2), x.size(3)})
                            .permute({0, 1, 3, 4, 2})
                            .contiguous();
}

bool fusable(const Convolution& layer, const at::Tensor& h) {
  static const bool here = dnnl::get_effective_cpu_isa() >= dnnl::cpu_isa::avx512_core;
  const auto fits = [](const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; };
  const bool possible = here && h.numel() > 0 && fits(h) && fits(layer.weight) &&
                        (!layer.bias.defined() || fits(layer.bias)) && layer.weight.size(0) % block == 0 &&
                        (!layer.rounded || bfloat16_missing().empty()) && slope_of(layer.activation).has_value();
  return possible && primitives(key_of(layer, h)).fast(h.requires_grad());
}

at::Tensor convolution(at::Tensor h, Convolution layer) {
  if (h.dim() == 4) h = h.size(1) % block == 0 ? blocked(h.contiguous()) : h.contiguous();
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
    const Primitives& ready = primitives(key);
    const auto& forward = ready.forward.description;
    at::Tensor room, W = factor_of(layer, layer.weight);
    input = factor_of(layer, input);
    map = map_for(layer.workspace, ready.output);
    std::unordered_map<int, Memory> arguments = {
        {DNNL_ARG_SRC, memory(forward.src_desc(), input)},
        {DNNL_ARG_WEIGHTS, laid_out(W, forward.weights_desc(), layer.workspace, room)},
        {DNNL_ARG_DST, memory(forward.dst_desc(), map)}};
    if (layer.bias.defined()) arguments.insert({DNNL_ARG_BIAS, memory(forward.bias_desc(), layer.bias)});
    ready.forward.run(std::move(arguments));
    value = layer.pool > 1 ? pooled(map, layer.pool, layer.workspace) : map;
    if (layer.pool == 1) map.reset();
  }
  if (!at::GradMode::is_enabled()) return value;
  const std::shared_ptr<ConvolutionNode> node(new ConvolutionNode, torch::autograd::deleteNode);
  node->set_next_edges(std::move(edges));
  node->weight_version = layer.weight._version();
  node->key = key;
  node->layer = std::move(layer);
  node->input = std::move(input);
  node->map = std::move(map);
  at::Tensor result = value.detach();
  if (node->map.defined() || key.slope != 1) {  // else nothing depends on what it is
    node->value = value.detach();
    node->value_version = node->value._version();
  }
  torch::autograd::create_gradient_edge(result, node);
  return result;
}

std::function<void()> bare_convolution(const std::vector<std::int64_t>& input, const std::vector<std::int64_t>& weight,
                                       std::int64_t stride, std::int64_t padding, bool below) {
  const auto sizes = [](const std::vector<std::int64_t>& v) { return Sizes{v.at(0), v.at(1), v.at(2), v.at(3)}; };
  const Primitives& all = primitives({sizes(input), sizes(weight), stride, padding, 1, false, false});
  const auto filled = [](const Memory::desc& description) {
    Memory room(description, onednn_engine());
    std::fill_n(static_cast<float*>(room.get_data_handle()), description.get_size() / sizeof(float), 0.1F);
    return room;
  };
  using Arguments = std::unordered_map<int, Memory>;
  const auto& [f, d, w] = std::tie(all.forward.description, all.data.description, all.weights.description);
  const Arguments forward = {{DNNL_ARG_SRC, filled(f.src_desc())},
                             {DNNL_ARG_WEIGHTS, filled(f.weights_desc())},
                             {DNNL_ARG_DST, filled(f.dst_desc())}};
  const Arguments data = {{DNNL_ARG_DIFF_SRC, filled(d.diff_src_desc())},
                          {DNNL_ARG_WEIGHTS, filled(d.weights_desc())},
                          {DNNL_ARG_DIFF_DST, filled(d.diff_dst_desc())}};
  const Arguments weights = {{DNNL_ARG_SRC, filled(w.src_desc())},
                             {DNNL_ARG_DIFF_WEIGHTS, filled(w.diff_weights_desc())},
                             {DNNL_ARG_DIFF_DST, filled(w.diff_dst_desc())}};
  return [=, &all] {
    all.forward.run(forward);
    if (below) all.data.run(data);
    all.weights.run(weights);
  };
}
#else
bool fusable(const Convolution&, const at::Tensor&) { return false; }
at::Tensor convolution(at::Tensor, Convolution) { TORCH_CHECK(false, "convolution: built without oneDNN 2"); }
std::function<void()> bare_convolution(const std::vector<std::int64_t>&, const std::vector<std::int64_t>&, std::int64_t,
                                       std::int64_t, bool) {
  return {};
}
#endif

at::Tensor unblocked(const at::Tensor& x) {
  if (x.dim() != 5) return x;
  return x.permute({0, 1, 4, 2, 3}).reshape({x.size(0), x.size(1) * x.size(4), x.size(2), x.size(3)});
}

}  // namespace grapes::kernels
