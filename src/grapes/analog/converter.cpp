#include "grapes/analog/converter.h"

#include "grapes/analog/pulse.h"
#include "grapes/base/random.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

namespace grapes::analog {
namespace {

/// One read with inputs v / a. @return input of the ADC, [batch, out]
at::Tensor analog_sums(const Array& array, const at::Tensor& v, const at::Tensor& a, const Converter& converter,
                       std::uint64_t key) {
  const at::Tensor inputs = quantize(v / a, converter.dac_bits, 1);
  at::Tensor sums = at::matmul(inputs, array.G.t());
  const double sd = converter.output_noise * array.range;
  if (array.variance.defined()) {
    const at::Tensor variance = at::matmul(inputs.square(), array.variance.t()) + sd * sd;
    sums += variance.sqrt_().mul_(normal_tensor(key, sums.size(0), sums.size(1)));
  } else if (sd > 0) {
    sums.add_(normal_tensor(key, sums.size(0), sums.size(1)), sd);
  }
  return sums;
}

}  // namespace

void check(const Converter& c) {
  for (const auto& [name, bits] : {std::pair("dac_bits", c.dac_bits), std::pair("adc_bits", c.adc_bits)})
    TORCH_CHECK_VALUE(bits == 0 || (bits >= 2 && bits <= 24), "converter: ", name,
                      " must be 2 to 24, or 0 for no rounding; got ", bits);
  for (const auto& [name, bound] : {std::pair("input_bound", c.input_bound), std::pair("output_bound", c.output_bound)})
    TORCH_CHECK_VALUE(bound > 0, "converter: ", name, " must be above 0; got ", bound);
  TORCH_CHECK_VALUE(c.output_noise >= 0 && std::isfinite(c.output_noise),
                    "converter: output_noise must be at least 0; got ", c.output_noise);
  TORCH_CHECK_VALUE(c.adc_bits == 0 || std::isfinite(c.output_bound), "converter: an ADC of ", c.adc_bits,
                    " bits needs a finite output_bound");
}

at::Tensor quantize(const at::Tensor& values, int bits, double bound) {
  if (bits == 0) return std::isinf(bound) ? values : values.clamp(-bound, bound);
  TORCH_CHECK_VALUE(std::isfinite(bound), "quantize: ", bits, " bits need a finite bound; got ", bound);
  const double levels = std::ldexp(1.0, bits - 1) - 1;
  return (values * (levels / bound)).round_().clamp_(-levels, levels).mul_(bound / levels);
}

at::Tensor read(const Array& array, const at::Tensor& v, const Converter& converter, std::uint64_t key) {
  constexpr int most_reads = 12;
  const double bound = converter.output_bound * array.range;
  at::Tensor a = converter.noise_management ? v.abs().amax(1, true) : at::full({v.size(0), 1}, converter.input_bound);
  a.masked_fill_(a == 0, 1);
  at::Tensor sums = analog_sums(array, v, a, converter, key);
  for (std::uint64_t again = 1; converter.bound_management && again < most_reads; ++again) {
    const at::Tensor met = (sums.abs().amax(1) >= bound).nonzero().squeeze(1);
    if (met.numel() == 0) break;
    a.index_put_({met}, a.index({met}) * 2);
    const at::Tensor anew =
        analog_sums(array, v.index({met}), a.index({met}), converter, stream_seed(key, "again", again));
    sums.index_put_({met}, anew);
  }
  return quantize(sums, converter.adc_bits, bound).mul_(a);
}

at::Tensor normal_tensor(std::uint64_t key, std::int64_t rows, std::int64_t columns) {
  at::Tensor result = at::empty({rows, columns}, at::kFloat);
  for (std::int64_t row = 0; row < rows; ++row)
    normals(key, static_cast<std::uint32_t>(row), columns, result.data_ptr<float>() + row * columns);
  return result;
}

}  // namespace grapes::analog
