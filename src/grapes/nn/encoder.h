#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::nn {

/// How a picture is shown to a spiking network.
struct Encoding {
  std::string encoder = "bernoulli";  ///< a row of encoders()
  std::int64_t steps = 20;
  double peak_rate = 0.3;  ///< bernoulli: probability that an input of 1 spikes in a step (Woźniak et al. 2020: 6/20)
};

/// @param x  [batch, in] float32 or float64, in 0 ... 1; what is outside is clamped
/// @return   [steps, batch, in], of the dtype of x
struct EncoderRow {
  std::string name;
  std::string summary;
  at::Tensor (*encode)(const at::Tensor& x, const Encoding& encoding, std::uint64_t seed);
};
const std::vector<EncoderRow>& encoders();

/// @param seed  of this presentation; the same seed and example number give the same spikes
at::Tensor encode(const at::Tensor& x, const Encoding& encoding, std::uint64_t seed);

}  // namespace grapes::nn
