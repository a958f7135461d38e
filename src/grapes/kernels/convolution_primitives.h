#pragma once

// A layer's three convolutions as oneDNN has them; only for .cpp files that are compiled with it.
#include "grapes/kernels/onednn.h"

#ifdef GRAPES_ONEDNN
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <unordered_map>

namespace grapes::kernels {

using Sizes = std::array<std::int64_t, 4>;
using Memory = dnnl::memory;
using Tag = Memory::format_tag;
constexpr std::int64_t block = 16;

struct ConvolutionKey {
  Sizes input, weight;
  std::int64_t stride, padding;
  float slope;         // of the activation below 0; 1: none
  bool bias, rounded;  // rounded: factors are bfloat16, sums float32
  auto operator<=>(const ConvolutionKey&) const = default;
};

Memory::desc describe(const Sizes& sizes, Tag tag, Memory::data_type type = Memory::data_type::f32);
/// How a map lies in memory: in blocks of 16 channels, or, a picture's, one channel after the other.
inline Tag tag_of(std::int64_t channels) { return channels % block == 0 ? Tag::nChw16c : Tag::nchw; }

/// One of a layer's three convolutions, made ready: finding out how takes longer than a small convolution.
template <class Primitive>
struct Ready {
  typename Primitive::primitive_desc description;
  Primitive primitive;

  void run(std::unordered_map<int, Memory> arguments) const;
};

/// All three, by Winograd's minimal filtering where oneDNN has it (3 × 3, channels in sixteens), else directly.
struct ConvolutionPrimitives {
  Ready<dnnl::convolution_forward> forward;
  Ready<dnnl::convolution_backward_data> data;
  Ready<dnnl::convolution_backward_weights> weights;
  Sizes output;

  /// For some shapes oneDNN has but a definition to be read, a hundred times as slow as anything else.
  /// @param below  whether something below wants its error
  bool fast(bool below) const;
  /// Bytes that the hungriest of them works in.
  std::size_t scratch() const;
};
/// This thread's own.
const ConvolutionPrimitives& primitives(const ConvolutionKey& key);

/// How many examples are best done at once: Winograd's filtering works in two and a quarter times what its maps take.
std::int64_t at_once(const ConvolutionKey& key);

/// do_part(first example, how many, what does them) for the whole batch.
template <class DoPart>
void each_part(ConvolutionKey key, DoPart do_part) {
  const std::int64_t batch = key.input[0], most = at_once(key);
  for (std::int64_t begin = 0; begin < batch; begin += most) {
    key.input[0] = std::min(most, batch - begin);
    do_part(begin, key.input[0], primitives(key));
  }
}

}  // namespace grapes::kernels
#endif
