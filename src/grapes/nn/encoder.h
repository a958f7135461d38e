#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::nn {

/// How an image is encoded for a spiking network.
struct Encoding {
  std::string encoder = "bernoulli";  ///< a name in encoders()
  std::int64_t steps = 20;
  double peak_rate = 0.3;  ///< bernoulli: probability that an input of 1 spikes in a step (Woźniak et al. 2020: 6/20)
  /// bernoulli: when the spikes of a training image are drawn; those for evaluation are always the same.
  enum class Draws { every_time, once } draws = Draws::every_time;
};

struct EncoderRow {
  std::string name;
  std::string summary;
  bool spikes;  ///< outputs zeros and ones, packed by kernels::pack; else dense numbers
  at::Tensor (*encode)(const at::Tensor& x, const Encoding& encoding, std::uint64_t seed, const at::Tensor& streams);
};
const std::vector<EncoderRow>& encoders();

/// @param x       [batch, in] float32 or float64, clamped to [0, 1]
/// @param seed    the same seed and stream give the same spikes
/// @param packed  spikes may be returned packed by kernels::pack: int32 [steps, batch, words]
/// @param streams  int64 [batch], the number of each example's random stream; undefined: 0, 1, ...
/// @return        [steps, batch, in], dtype of x
at::Tensor encode(const at::Tensor& x, const Encoding& encoding, std::uint64_t seed, bool packed = false,
                  const at::Tensor& streams = {});

}  // namespace grapes::nn
