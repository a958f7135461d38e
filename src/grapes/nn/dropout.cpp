#include "grapes/nn/dropout.h"

#include "grapes/base/random.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include <cmath>

namespace grapes::nn {

at::Tensor dropout_mask(std::uint64_t seed, std::int64_t step, std::size_t layer, std::int64_t batch,
                        std::int64_t nodes, double p, at::ScalarType dtype) {
  Random random(stream_seed(seed, "dropout", static_cast<std::uint64_t>(step), layer));
  const auto threshold = static_cast<std::uint64_t>(std::llround((1 - p) * 0x1p32));  // of 32 random bits
  at::Tensor mask = at::empty({batch, nodes}, dtype);
  AT_DISPATCH_FLOATING_TYPES(dtype, "dropout_mask", [&] {
    auto* values = mask.data_ptr<scalar_t>();
    const auto kept = static_cast<scalar_t>(1 / (1 - p));
    const std::int64_t count = mask.numel();
    for (std::int64_t i = 0; i < count; i += 2) {  // one draw serves two nodes
      const std::uint64_t bits = random();
      values[i] = (bits >> 32) < threshold ? kept : scalar_t(0);
      if (i + 1 < count) values[i + 1] = (bits & 0xffffffffULL) < threshold ? kept : scalar_t(0);
    }
  });
  return mask;
}

}  // namespace grapes::nn
