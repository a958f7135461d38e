#include "grapes/kernels/convolution_primitives.h"

#ifdef GRAPES_ONEDNN
#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <string_view>
#include <tuple>

namespace grapes::kernels {
namespace {

using Key = ConvolutionKey;
using Primitives = ConvolutionPrimitives;

/// A batch is processed in parts whose scratch memory is at most this. Larger parts are not faster.
constexpr double most_scratch = 32 << 20;

/// Scratch memory of a thread. Its primitives run one after the other and share it.
at::Tensor& scratch(std::size_t bytes) {
  thread_local at::Tensor room;
  if (!room.defined() || room.nbytes() < bytes) room = at::empty({static_cast<std::int64_t>(bytes)}, at::kByte);
  return room;
}

template <class Primitive>
Ready<Primitive> ready(const typename Primitive::primitive_desc& description) {
  return {description, Primitive(description)};
}

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
    append_eltwise(after, dnnl::algorithm::eltwise_relu, key.slope, 0);
    activated.set_post_ops(after);
  }
  using Forward = dnnl::convolution_forward;
  using Data = dnnl::convolution_backward_data;
  using Weights = dnnl::convolution_backward_weights;
  const auto forward = [&](const dnnl::primitive_attr& attributes, const auto&... bias) {
    return described<Forward>(attributes, dnnl::prop_kind::forward_training, how, x(factor), W(factor), bias..., y(sum),
                              stride, padding, padding);
  };
  all.forward = ready<Forward>(key.bias ? forward(activated, b) : forward(activated));
  const Forward::primitive_desc plain = forward(bare);
  all.data =
      ready<Data>(described_backward<Data>(plain, bare, how, x(sum), W(factor), y(factor), stride, padding, padding));
  all.weights = ready<Weights>(
      described_backward<Weights>(plain, bare, how, x(factor), W(sum), y(factor), stride, padding, padding));
  return all;
}

}  // namespace

std::int64_t channel_block() {
  static const std::int64_t block = [] {
    const dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
    return isa >= dnnl::cpu_isa::avx512_core ? 16 : isa >= dnnl::cpu_isa::avx2 ? 8 : 0;
  }();
  return block;
}

Tag tag_of(std::int64_t channels) {
  const std::int64_t block = channel_block();
  if (block == 0 || channels % block != 0) return Tag::nchw;
  return block == 16 ? Tag::nChw16c : Tag::nChw8c;
}

Memory::desc describe(const Sizes& sizes, Tag tag, Memory::data_type type) {
  return {{sizes[0], sizes[1], sizes[2], sizes[3]}, type, tag};
}

template <class Primitive>
void Ready<Primitive>::run(std::unordered_map<int, Memory> arguments) const {
  const Memory::desc needed = description.scratchpad_desc();
  if (needed.get_size() > 0)
    arguments.insert({DNNL_ARG_SCRATCHPAD, {needed, onednn_engine(), scratch(needed.get_size()).data_ptr()}});
  primitive.execute(onednn_stream(), arguments);
  onednn_stream().wait();
}
template struct Ready<dnnl::convolution_forward>;
template struct Ready<dnnl::convolution_backward_data>;
template struct Ready<dnnl::convolution_backward_weights>;

bool Primitives::fast(bool below) const {
  const auto is_definition = [](const auto& ready) {
    return std::string_view(ready.description.impl_info_str()).starts_with("ref");
  };
  return !is_definition(forward) && !is_definition(weights) && !(below && is_definition(data));
}

std::size_t Primitives::scratch() const {
  return std::max({forward.description.scratchpad_desc().get_size(), data.description.scratchpad_desc().get_size(),
                   weights.description.scratchpad_desc().get_size()});
}

const Primitives& primitives(const Key& key) {
  thread_local std::map<Key, Primitives> ready;
  auto found = ready.find(key);
  if (found != ready.end()) return found->second;
  const bool blocks = tag_of(key.input[1]) != Tag::nchw && tag_of(key.weight[0]) != Tag::nchw;
  if (key.winograd && !key.rounded && key.weight[2] == 3 && key.stride == 1 && blocks) try {
      return ready.emplace(key, make(key, dnnl::algorithm::convolution_winograd)).first->second;
    } catch (const dnnl::error&) {  // not available for this shape or processor
    }
  return ready.emplace(key, make(key, dnnl::algorithm::convolution_direct)).first->second;
}

std::int64_t at_once(const Key& key) {
  thread_local std::map<Key, std::int64_t> known;
  const auto found = known.find(key);
  if (found != known.end()) return found->second;
  const std::int64_t batch = key.input[0];
  const auto whole = static_cast<double>(primitives(key).scratch());
  std::int64_t count = batch;
  if (whole > most_scratch && batch > 1) {
    Key one = key;
    one.input[0] = 1;
    const auto least = static_cast<double>(primitives(one).scratch());  // mostly for the weights
    const auto parts = static_cast<std::int64_t>(std::ceil((whole - least) / most_scratch));
    count = (batch + parts - 1) / std::max<std::int64_t>(1, parts);
  }
  return known.emplace(key, count).first->second;
}

std::function<void()> bare_primitives(const std::vector<std::int64_t>& input, const std::vector<std::int64_t>& weight,
                                      std::int64_t stride, std::int64_t padding, bool below) {
  const auto sizes = [](const std::vector<std::int64_t>& v) { return Sizes{v.at(0), v.at(1), v.at(2), v.at(3)}; };
  const Key key{sizes(input), sizes(weight), stride, padding, 1, false, false};
  const Primitives& all = primitives(key);
  if (!all.fast(below)) return {};
  const auto filled = [](const Memory::desc& description) {
    Memory room(description, onednn_engine());
    std::fill_n(static_cast<float*>(room.get_data_handle()), description.get_size() / sizeof(float), 0.1F);
    return room;
  };
  using Arguments = std::unordered_map<int, Memory>;
  const auto [f, d, w] = std::tie(all.forward.description, all.data.description, all.weights.description);
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

}  // namespace grapes::kernels
#endif
