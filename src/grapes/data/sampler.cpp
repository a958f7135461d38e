#include "grapes/data/sampler.h"

#include "grapes/base/random.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>

namespace grapes::data {

at::Tensor shuffled_order(std::int64_t n, std::uint64_t seed, std::int64_t epoch) {
  Random random(stream_seed(seed, "order", static_cast<std::uint64_t>(epoch)));
  return at::tensor(permutation(n, random), at::kLong);
}

at::Tensor file_order(std::int64_t n) { return at::arange(n, at::kLong); }

}  // namespace grapes::data
