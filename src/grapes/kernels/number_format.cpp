#include "grapes/kernels/number_format.h"

#include "grapes/base/error.h"
#include "grapes/base/random.h"
#include "grapes/base/text.h"
#include "grapes/kernels/row_sums.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace grapes::kernels {
namespace {

using Kind = NumberFormat::Kind;
using Scale = NumberFormat::Scale;

NumberFormat floating(int exponent_bits, int fraction, double high) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  return {Kind::floating, fraction, 1 - bias, 1 + exponent_bits + fraction, -high, high, Scale::none, false};
}

struct Named {
  std::string name, other;
  NumberFormat format;
};
const std::vector<Named>& floating_formats() {
  static const std::vector<Named> rows = {{"bf16", "bfloat16", floating(8, 7, std::ldexp(255.0, 120))},
                                          {"fp16", "float16", floating(5, 10, 65504)},
                                          {"e4m3", "fp8-e4m3", floating(4, 3, 448)},
                                          {"e5m2", "fp8-e5m2", floating(5, 2, 57344)}};
  return rows;
}

/// Parses the name. @return exact for float32, a format of 0 bits for an unknown name
NumberFormat named(const std::string& name) {
  if (name == "float32") return {};
  for (const Named& row : floating_formats())
    if (name == row.name || name == row.other) return row.format;
  NumberFormat none;
  none.bits = 0;
  if (name.starts_with("int")) {
    const auto bits = to_integer(name.substr(3));
    if (!bits || *bits < 2 || *bits > 16) return none;
    const double most = std::ldexp(1.0, static_cast<int>(*bits) - 1) - 1;
    return {Kind::integer, 0, 0, static_cast<int>(*bits), -most, most, Scale::tensor, false};
  }
  if (const std::size_t dot = name.find('.'); name.starts_with("q") && dot != std::string::npos) {
    const auto whole = to_integer(name.substr(1, dot - 1)), fraction = to_integer(name.substr(dot + 1));
    if (!whole || !fraction || *whole < 1 || *fraction < 0 || *whole + *fraction < 2 || *whole + *fraction > 25)
      return none;
    const double most = std::ldexp(1.0, static_cast<int>(*whole) - 1);
    const int n = static_cast<int>(*fraction);
    return {Kind::fixed, n,    0, static_cast<int>(*whole + *fraction), -most, most - std::ldexp(1.0, -n),
            Scale::none, false};
  }
  return none;
}

std::string name_of(const NumberFormat& format) {
  if (!format) return "float32";
  if (format.kind == Kind::integer) return "int" + std::to_string(format.bits);
  if (format.kind == Kind::fixed)
    return "q" + std::to_string(format.bits - format.fraction) + "." + std::to_string(format.fraction);
  for (const Named& row : floating_formats())
    if (row.format.bits == format.bits && row.format.fraction == format.fraction) return row.name;
  TORCH_CHECK_VALUE(false, "a floating number format of ", format.bits, " bits with ", format.fraction,
                    " bits of fraction has no name");
}

/// A random number in [0, 1) per position, with 24 bits.
double chance(std::uint64_t key, std::int64_t place) {
  return static_cast<double>(splitmix(key + splitmix_step * static_cast<std::uint64_t>(place)) >> 40) * 0x1p-24;
}

/// Rounds to the nearest integer, ties to even, for |x| < 2^51. It compiles to two additions; nearbyint would be a
/// call.
double whole(double x) {
  constexpr double magic = 0x1.8p52;
  return (x + magic) - magic;
}

/// Returns the largest power of two that is at most |x|; 0 for subnormals.
double power_of_two_in(double x) {
  std::uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits &= 0x7ff0000000000000ULL;
  double power;
  std::memcpy(&power, &bits, sizeof power);
  return power;
}

template <bool Floating, bool Stochastic, class T>
void round_row(const T* x, T* y, std::int64_t count, std::int64_t place, double scale, const NumberFormat& format,
               std::uint64_t key) {
  const double unit = std::ldexp(1.0, -format.fraction), lowest = std::ldexp(1.0, format.lowest_exponent);
  const double inverse = 1 / scale, low = format.low, high = format.high;
  for (std::int64_t i = 0; i < count; ++i) {
    // All are powers of two, so only the rounding itself loses bits.
    double value = static_cast<double>(x[i]) * inverse;
    value = value < low ? low : value > high ? high : value;  // NaN passes through
    double step = unit;
    if constexpr (Floating) step *= std::max(power_of_two_in(value), lowest);
    double steps = value / step;
    if constexpr (Stochastic) {
      const double below = std::floor(steps);
      steps = below + (chance(key, place + i) < steps - below ? 1 : 0);
    } else {
      steps = whole(steps);
    }
    const double result = steps * step;
    y[i] = static_cast<T>((result > high ? high : result) * scale);
  }
}

template <class T>
void round_row(const T* x, T* y, std::int64_t count, std::int64_t place, double scale, const NumberFormat& format,
               std::uint64_t key) {
  if (format.kind == Kind::floating)
    format.stochastic ? round_row<true, true>(x, y, count, place, scale, format, key)
                      : round_row<true, false>(x, y, count, place, scale, format, key);
  else
    format.stochastic ? round_row<false, true>(x, y, count, place, scale, format, key)
                      : round_row<false, false>(x, y, count, place, scale, format, key);
}

template <class T>
double largest_magnitude(const T* x, std::int64_t count) {
  T most = 0;
  for (std::int64_t i = 0; i < count; ++i) most = std::max(most, std::abs(x[i]));
  return static_cast<double>(most);
}

/// The scale of numbers of which the largest magnitude is `most`, see scales().
double scale_for(double most, const NumberFormat& format) {
  if (!(most > 0) || !std::isfinite(most)) return 1;
  int exponent = 0;
  const double part = std::frexp(most / format.high, &exponent);
  return std::ldexp(1.0, part == 0.5 ? exponent - 1 : exponent);
}

}  // namespace

NumberFormat NumberFormat::nearest() const {
  NumberFormat same = *this;
  same.stochastic = false;
  return same;
}

NumberFormat number_format(const std::string& text, const std::string& what) {
  const auto refuse = [&] {
    throw UsageError(
        what + ": '" + text +
        "' is not a number format; expected NAME[:stochastic][:tensor|:channel|:unscaled], NAME one of float32, bf16, "
        "fp16, e4m3, e5m2, int2 ... int16, qM.N with M >= 1 and M + N <= 25");
  };
  const std::vector<std::string> words = split(text, ':');
  if (words.empty()) refuse();
  NumberFormat format = named(words[0]);
  if (format.bits == 0) refuse();
  bool scaled = false;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] != "stochastic" && std::exchange(scaled, true)) refuse();
    if (!format) throw UsageError(what + ": '" + text + "': float32 cannot be rounded or scaled");
    if (words[i] == "stochastic")
      format.stochastic = true;
    else if (words[i] == "tensor")
      format.scale = Scale::tensor;
    else if (words[i] == "channel")
      format.scale = Scale::channel;
    else if (words[i] == "unscaled" && format.kind != Kind::integer)
      format.scale = Scale::none;
    else
      refuse();
  }
  return format;
}

std::string to_string(const NumberFormat& format) {
  std::string text = name_of(format);
  if (format.stochastic) text += ":stochastic";
  if (format.scale == named(text.substr(0, text.find(':'))).scale) return text;
  return text + (format.scale == Scale::tensor ? ":tensor" : format.scale == Scale::channel ? ":channel" : ":unscaled");
}

at::Tensor scales(const at::Tensor& x, const NumberFormat& format, std::int64_t axis) {
  const at::NoGradGuard no_grad;
  const at::Tensor value = x.detach().to(at::kDouble);
  if (format.scale == Scale::none || x.numel() == 0) return at::ones({}, value.options());
  std::vector<std::int64_t> others;
  for (std::int64_t d = 0; d < x.dim(); ++d)
    if (d != axis) others.push_back(d);
  constexpr double inf = std::numeric_limits<double>::infinity();
  const at::Tensor sizes = at::nan_to_num(value.abs(), 0.0, inf, inf);
  const at::Tensor most = format.scale == Scale::tensor ? sizes.max()
                          : others.empty()              ? sizes
                                                        : sizes.amax(others, true);
  at::Tensor scale = at::exp2(at::ceil(at::log2(most / format.high)));
  // log2 may be inexact if the ratio is a power of two, so check the definition.
  scale = at::where((scale / 2) * format.high >= most, scale / 2, scale);
  scale = at::where(scale * format.high < most, scale * 2, scale);
  return at::where(most.gt(0).logical_and(at::isfinite(most)), scale, at::ones_like(scale));
}

at::Tensor rounded(const at::Tensor& x, const NumberFormat& format, std::int64_t axis, std::uint64_t key) {
  if (!format) return x;
  const at::NoGradGuard no_grad;
  const at::Tensor from = x.detach().contiguous();
  if (!fusable(from) || from.numel() == 0) return plain::rounded(x, format, axis, key);
  const at::Tensor to = at::empty_like(from);
  const bool channels = format.scale == Scale::channel;
  TORCH_CHECK(!channels || axis < from.dim(), "rounded: there is no axis ", axis, " for channels in ", from.sizes());
  // [outer, channel, inner], with one channel if there is no scale per channel.
  const std::int64_t count = channels ? from.size(axis) : 1;
  std::int64_t inner = 1;
  for (std::int64_t d = axis + 1; channels && d < from.dim(); ++d) inner *= from.size(d);
  if (!channels) inner = from.numel();
  const std::int64_t rows = from.numel() / inner;
  AT_DISPATCH_FLOATING_TYPES(from.scalar_type(), "rounded", [&] {
    const auto* in = from.data_ptr<scalar_t>();
    auto* out = to.data_ptr<scalar_t>();
    std::vector<double> most(static_cast<std::size_t>(count), 0);
    if (format.scale != Scale::none)
      for (std::int64_t row = 0; row < rows; ++row) {
        double& one = most[static_cast<std::size_t>(row % count)];
        one = std::max(one, largest_magnitude(in + row * inner, inner));
      }
    for (std::int64_t row = 0; row < rows; ++row) {
      const double scale =
          format.scale == Scale::none ? 1 : scale_for(most[static_cast<std::size_t>(row % count)], format);
      round_row(in + row * inner, out + row * inner, inner, row * inner, scale, format, key);
    }
  });
  return to;
}

namespace plain {

at::Tensor rounded(const at::Tensor& x, const NumberFormat& format, std::int64_t axis, std::uint64_t key) {
  if (!format) return x;
  const at::NoGradGuard no_grad;
  const at::Tensor value = x.detach().to(at::kDouble);
  const at::Tensor scale = scales(x, format, axis);
  const at::Tensor inside = (value / scale).clamp(format.low, format.high);
  at::Tensor step = at::full_like(inside, std::ldexp(1.0, -format.fraction));
  if (format.kind == Kind::floating) {
    at::Tensor mantissa, exponent;
    std::tie(mantissa, exponent) = at::frexp(inside);
    // frexp's fraction lies in [1/2, 1): 1.f · 2^(e-1).
    step = step * at::exp2((exponent - 1).to(at::kDouble).clamp_min(format.lowest_exponent));
  }
  at::Tensor steps = inside / step;
  if (format.stochastic) {
    at::Tensor drawn = at::empty(x.sizes(), at::kDouble);
    for (std::int64_t i = 0; i < x.numel(); ++i) drawn.data_ptr<double>()[i] = chance(key, i);
    const at::Tensor below = steps.floor();
    steps = below + drawn.to(x.device()).lt(steps - below).to(at::kDouble);
  } else {
    steps = steps.round();
  }
  return ((steps * step).clamp_max(format.high) * scale).to(x.scalar_type());
}

}  // namespace plain
}  // namespace grapes::kernels
