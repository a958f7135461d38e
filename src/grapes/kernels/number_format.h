#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

/// Number formats of hardware. Tensors are float32 or float64, and values are rounded to numbers of the format.
namespace grapes::kernels {

/// A set of numbers.
///   floating (fp16, bf16, e4m3, e5m2): ± 1.f · 2^e with subnormals; larger numbers are set to the largest
///   fixed (qM.N): k / 2^N in two's complement of M + N bits, of which the sign is one of the M; saturates
///   integer (int2 ... int16): k · s, |k| <= 2^(bits-1) - 1, with a scale s
/// A scale is a power of two, a shift in hardware. It is the smallest for which the largest absolute value fits. A
/// tensor of representable numbers therefore stays representable when the scale changes.
struct NumberFormat {
  enum class Kind { exact, floating, fixed, integer };
  enum class Scale { none, tensor, channel };
  Kind kind = Kind::exact;  ///< exact: float32 or float64 without rounding
  int fraction = 0;         ///< floating: bits of f; fixed: N; integer: 0
  int lowest_exponent = 0;  ///< floating: of the smallest normal number
  int bits = 32;            ///< of one number
  double low = 0, high = 0;
  Scale scale = Scale::none;
  bool stochastic = false;  ///< rounds up with a probability equal to the remainder; else to the nearest, ties to even

  explicit operator bool() const { return kind != Kind::exact; }
  NumberFormat nearest() const;  ///< the same format without stochastic rounding
  bool operator==(const NumberFormat&) const = default;
};

/// Parses NAME[:stochastic][:tensor|:channel|:unscaled]. NAME is float32, bf16 (bfloat16), fp16 (float16), e4m3
/// (fp8-e4m3), e5m2 (fp8-e5m2), int2 ... int16, or qM.N with M >= 1 and M + N <= 25. By default integers have one scale
/// per tensor, and other formats have none. The largest number of e4m3 is 448, of e5m2 57344 (Micikevicius et al. 2022,
/// arXiv 2209.05433).
/// @throws UsageError with `what` in the message
NumberFormat number_format(const std::string& text, const std::string& what);
/// Writes the first of a format's names, and its scale if it is not the default.
std::string to_string(const NumberFormat& format);

/// Returns the scales of x, float64, [] or one per channel, which broadcast over x: the smallest 2^e for which the
/// largest magnitude fits the format, and 1 for zero, NaN and infinity and for formats without scales.
/// @param axis  axis of the channels
at::Tensor scales(const at::Tensor& x, const NumberFormat& format, std::int64_t axis);

/// Rounds every element of x to a number of the format. NaN stays NaN.
/// @param axis  axis of the channels, for a scale per channel
/// @param key   key of the random numbers, one per element by its position; only used if the format is stochastic
/// @return x's shape, without a gradient; x itself if the format is exact
at::Tensor rounded(const at::Tensor& x, const NumberFormat& format, std::int64_t axis, std::uint64_t key);
namespace plain {
/// With tensor operations only, on any device.
at::Tensor rounded(const at::Tensor& x, const NumberFormat& format, std::int64_t axis, std::uint64_t key);
}  // namespace plain

/// How a parameter is stored: formats of its value and of its updates, with a key for each batch.
struct Storage {
  NumberFormat value, update;
  std::uint64_t key = 0;
};

}  // namespace grapes::kernels
