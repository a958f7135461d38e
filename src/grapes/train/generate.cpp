#include "grapes/train/generate.h"

#include "grapes/base/random.h"

#include <ATen/ATen.h>

namespace grapes::train {

Generated go_on(nn::Network& model, const at::Tensor& prime, std::int64_t steps, double temperature,
                std::uint64_t seed) {
  TORCH_CHECK(prime.dim() == 2 && prime.size(0) > 0 && temperature > 0,
              "go_on: a step at least, and a temperature above 0");
  const at::NoGradGuard no_grad;
  Generated all{prime.clone(), prime.clone()};
  Random random(stream_seed(seed, "generate"));
  for (std::int64_t t = 0; t < steps; ++t) {
    // From the beginning each time: a piece is short, and a network need not know how to stop and go on.
    const at::Tensor logits = model.forward(all.roll.unsqueeze(0), {})[0][-1];
    const at::Tensor p = (logits / temperature).sigmoid().to(all.roll.scalar_type()).contiguous();
    at::Tensor next = at::zeros_like(p);
    for (std::int64_t n = 0; n < p.size(0); ++n)
      if (random.uniform() < p[n].item<double>()) next[n] = 1;
    all.roll = at::cat({all.roll, next.unsqueeze(0)});
    all.probabilities = at::cat({all.probabilities, p.unsqueeze(0)});
  }
  return all;
}

}  // namespace grapes::train
