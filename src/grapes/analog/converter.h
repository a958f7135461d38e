#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace grapes::analog {

/// To the nearest of 2^bits - 1 levels from -bound to bound, both included, and no further; a half to the even level.
/// bits = 0: only the bound.
at::Tensor quantize(const at::Tensor& values, int bits, double bound);

/// What stands between numbers and an array: DAC, noise, ADC. An input v gives, for the array G,
///   y = a · ADC( G DAC(v / a) + noise ),   |v / a| <= 1,   |ADC| <= output_bound · range
/// The defaults are those of aihwkit's PresetIOParameters; 20 and 0.1 are the 12 and 0.06 of Gokmen and Vlasov 2016 for
/// a range of 0.6. Gokmen et al. 2017 name both kinds of management.
struct Converter {
  int dac_bits = 7;              ///< 0: exact
  int adc_bits = 9;              ///< 0: exact
  double input_bound = 1;        ///< a without noise management
  double output_bound = 20;      ///< of the devices' range
  double output_noise = 0.1;     ///< s.d. of the noise of each output, of the devices' range
  bool noise_management = true;  ///< a = max|v| of each sample, so that small inputs do not drown
  bool bound_management = true;  ///< a sample that meets the output bound is read again with a doubled
};

/// @throws c10::ValueError that names the number that cannot be
void check(const Converter& converter);

/// What is read, once for each sample.
struct Array {
  at::Tensor G;         ///< [out, in]
  at::Tensor variance;  ///< of one read of each device, [out, in]; undefined: 0
  double range = 1;     ///< unit of the converter's output bound and noise
};

/// Fresh noise for every device and sample; since only its sum over the inputs is seen, the sum is what is drawn.
/// @param v  [batch, in], float32
/// @param key  names the draws
/// @return [batch, out], in units of G times v
at::Tensor read(const Array& array, const at::Tensor& v, const Converter& converter, std::uint64_t key);

/// N(0,1), [rows, columns], a pure function of the key. float32
at::Tensor normal_tensor(std::uint64_t key, std::int64_t rows, std::int64_t columns);

}  // namespace grapes::analog
