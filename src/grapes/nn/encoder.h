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

struct EncoderRow {
  std::string name;
  std::string summary;
  bool spikes;  ///< gives zeros and ones: packed, as kernels::pack does; else numbers
  at::Tensor (*encode)(const at::Tensor& x, const Encoding& encoding, std::uint64_t seed);
};
const std::vector<EncoderRow>& encoders();

/// @param x       [batch, in] float32 or float64, in 0 ... 1; what is outside is clamped
/// @param seed    of this presentation; the same seed and example number give the same spikes
/// @param packed  spikes may come as kernels::pack packs them: int32 [steps, batch, words]
/// @return        [steps, batch, in], of the dtype of x
at::Tensor encode(const at::Tensor& x, const Encoding& encoding, std::uint64_t seed, bool packed = false);

}  // namespace grapes::nn
