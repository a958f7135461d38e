#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace grapes::analog {

/// Rounds to the nearest of 2^bits - 1 levels from -bound to bound, ties to even, and clips at the bounds. bits = 0:
/// only clips.
at::Tensor quantize(const at::Tensor& values, int bits, double bound);

/// The converters between numbers and an array: DAC, noise, ADC. An input v to the array G gives
///   y = a · ADC( G DAC(v / a) + noise ),   |v / a| <= 1,   |ADC| <= output_bound · range
/// The defaults are those of aihwkit's PresetIOParameters; 20 and 0.1 correspond to 12 and 0.06 of Gokmen and Vlasov
/// 2016 for a range of 0.6. Gokmen et al. 2017 introduce both kinds of management.
struct Converter {
  int dac_bits = 7;              ///< 0: exact
  int adc_bits = 9;              ///< 0: exact
  double input_bound = 1;        ///< a, if noise management is off
  double output_bound = 20;      ///< in units of the devices' range
  double output_noise = 0.1;     ///< standard deviation of the noise of each output, in units of the devices' range
  bool noise_management = true;  ///< a = max|v| of each example, so that small inputs do not vanish in the noise
  bool bound_management = true;  ///< an example whose output reaches the bound is read again with a doubled
  bool operator==(const Converter&) const = default;
};

/// Checks the values. @throws c10::ValueError with the name of the invalid one
void check(const Converter& converter);

/// What the converter reads, once per example.
struct Array {
  at::Tensor G;         ///< [out, in]
  at::Tensor variance;  ///< variance of one read of each device, [out, in]; undefined: 0
  double range = 1;     ///< unit of the converter's output bound and noise
};

/// Reads the array with new noise for every device and example. Only the noise's sum over the inputs matters, so the
/// sum is drawn.
/// @param v    [batch, in], float32
/// @param key  key of the random numbers
/// @return [batch, out], in units of G times v
at::Tensor read(const Array& array, const at::Tensor& v, const Converter& converter, std::uint64_t key);

/// Draws from N(0,1), [rows, columns], float32. A pure function of the key.
at::Tensor normal_tensor(std::uint64_t key, std::int64_t rows, std::int64_t columns);

}  // namespace grapes::analog
