#pragma once

// oneDNN's primitives for the three convolutions of a layer. Include it only in .cpp files that are compiled with
// oneDNN.
#include "grapes/kernels/convolution.h"
#include "grapes/kernels/onednn.h"

#ifdef GRAPES_ONEDNN
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

namespace grapes::kernels {

using Sizes = std::array<std::int64_t, 4>;
using Memory = dnnl::memory;
using Tag = Memory::format_tag;
/// Channels in a block of a map, as oneDNN's fastest convolutions need them: 16 with AVX-512, 8 with AVX2, else 0.
std::int64_t channel_block();

struct ConvolutionKey {
  Sizes input, weight;
  std::int64_t stride, padding;
  float slope;         // of the activation below 0; 1: none
  bool bias, rounded;  // rounded: operands are bfloat16, sums float32
  bool winograd = winograd_allowed();
  auto operator<=>(const ConvolutionKey&) const = default;
};

Memory::desc describe(const Sizes& sizes, Tag tag, Memory::data_type type = Memory::data_type::f32);
/// Layout of a map: in blocks of channels, or by channel for an image.
Tag tag_of(std::int64_t channels);

/// One of a layer's three convolutions, ready to run. Creating it takes longer than a small convolution.
template <class Primitive>
struct Ready {
  typename Primitive::primitive_desc description;
  Primitive primitive;

  void run(std::unordered_map<int, Memory> arguments) const;
};

/// All three convolutions, by Winograd's algorithm if oneDNN supports it (3 × 3, channels a multiple of 16), else
/// direct.
struct ConvolutionPrimitives {
  Ready<dnnl::convolution_forward> forward;
  Ready<dnnl::convolution_backward_data> data;
  Ready<dnnl::convolution_backward_weights> weights;
  Sizes output;

  /// Whether the implementations are optimized. For some shapes oneDNN has only its reference, which is a hundred times
  /// slower.
  /// @param below  whether the layer below receives an error
  bool fast(bool below) const;
  /// Returns the scratch memory of the most demanding one, in bytes.
  std::size_t scratch() const;
};
/// Returns the primitives of this thread.
const ConvolutionPrimitives& primitives(const ConvolutionKey& key);

/// Returns how many examples to process at a time. Winograd's algorithm needs 2.25 times the memory of its maps.
std::int64_t at_once(const ConvolutionKey& key);

/// Calls do_part(first example, number of examples, primitives) until the whole batch is done.
template <class DoPart>
void each_part(ConvolutionKey key, DoPart do_part) {
  const std::int64_t batch = key.input[0], most = at_once(key);
  for (std::int64_t begin = 0; begin < batch; begin += most) {
    key.input[0] = std::min(most, batch - begin);
    do_part(begin, key.input[0], primitives(key));
  }
}

/// bare_convolution() by these primitives; empty if they are not fast.
std::function<void()> bare_primitives(const std::vector<std::int64_t>& input, const std::vector<std::int64_t>& weight,
                                      std::int64_t stride, std::int64_t padding, bool below);

}  // namespace grapes::kernels
#endif
