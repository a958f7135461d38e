#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

/// Number formats of hardware, on tensors of float32 or float64: a value is moved to the nearest one the format has.
namespace grapes::kernels {

/// A set of numbers.
///   floating (fp16, bf16, e4m3, e5m2): ± 1.f · 2^e with subnormals; what is too large becomes the largest
///   fixed (qM.N): k / 2^N in two's complement of M + N bits, the sign among the M; saturates
///   integer (int2 ... int16): k · s, |k| <= 2^(bits-1) - 1, s a scale
/// A scale is a power of two, a shift on a chip, the smallest with which the largest magnitude fits; so a tensor that
/// is on its grid stays there when the scale moves.
struct NumberFormat {
  enum class Kind { exact, floating, fixed, integer };
  enum class Scale { none, tensor, channel };
  Kind kind = Kind::exact;  ///< exact: float32 or float64, as it comes
  int fraction = 0;         ///< floating: bits of f; fixed: N; integer: 0
  int lowest_exponent = 0;  ///< floating: of the smallest normal number
  int bits = 32;            ///< of one number
  double low = 0, high = 0;
  Scale scale = Scale::none;
  bool stochastic = false;  ///< up with the probability of what is cut off, in place of to the nearest (ties to even)

  explicit operator bool() const { return kind != Kind::exact; }
  NumberFormat nearest() const;  ///< the same without chance
  bool operator==(const NumberFormat&) const = default;
};

/// NAME[:stochastic][:tensor|:channel|:unscaled], NAME float32, bf16 (bfloat16), fp16 (float16), e4m3 (fp8-e4m3), e5m2
/// (fp8-e5m2), int2 ... int16, qM.N with M >= 1 and M + N <= 32. Integers have a scale per tensor, others none, unless
/// it is said. e4m3's largest number is 448, e5m2's 57344 (Micikevicius et al. 2022, arXiv 2209.05433).
/// @throws UsageError that names `what`
NumberFormat number_format(const std::string& text, const std::string& what);

/// Every number of x moved to one the format has; not a number stays what it is.
/// @param axis  of the channels, for a scale of each
/// @param key   of the random numbers, one per element by its place; only where the format is stochastic
/// @return of x's shape, no gradient; x itself if the format is exact
at::Tensor rounded(const at::Tensor& x, const NumberFormat& format, std::int64_t axis, std::uint64_t key);
namespace plain {
/// Of tensor operations only; wherever x is.
at::Tensor rounded(const at::Tensor& x, const NumberFormat& format, std::int64_t axis, std::uint64_t key);
}  // namespace plain

/// How a parameter is held: what its value and what is added to it are rounded to, with a key of this batch.
struct Storage {
  NumberFormat value, update;
  std::uint64_t key = 0;
};

}  // namespace grapes::kernels
