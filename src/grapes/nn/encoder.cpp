#include "grapes/nn/encoder.h"

#include "grapes/base/random.h"
#include "grapes/base/table.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include <algorithm>
#include <cmath>

namespace grapes::nn {
namespace {

/// Each example has a stream of its own, of which inputs above 0 take 16 bits a step: probabilities are multiples of
/// 2^-16.
at::Tensor bernoulli(const at::Tensor& x, const Encoding& encoding, std::uint64_t seed) {
  const std::int64_t batch = x.size(0), in = x.size(1), plane = batch * in;
  at::Tensor spikes = at::zeros({encoding.steps, batch, in}, x.options());
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "bernoulli", [&] {
    const scalar_t* value = x.data_ptr<scalar_t>();
    for (std::int64_t b = 0; b < batch; ++b) {
      Random random(stream_seed(seed, "spikes", static_cast<std::uint64_t>(b)));
      for (std::int64_t i = 0; i < in; ++i) {
        const double p = std::clamp(static_cast<double>(value[b * in + i]), 0.0, 1.0) * encoding.peak_rate;
        const auto below = static_cast<std::uint64_t>(std::lround(p * 0x1p16));
        if (below == 0) continue;
        scalar_t* spike = spikes.data_ptr<scalar_t>() + b * in + i;
        for (std::int64_t t = 0; t < encoding.steps; t += 4) {
          std::uint64_t bits = random();
          for (std::int64_t k = t; k < std::min(t + 4, encoding.steps); ++k, bits >>= 16)
            spike[k * plane] = (bits & 0xffff) < below ? scalar_t(1) : scalar_t(0);
        }
      }
    }
  });
  return spikes;
}

at::Tensor latency(const at::Tensor& x, const Encoding& encoding, std::uint64_t) {
  const at::Tensor value = x.clamp(0, 1);
  const at::Tensor when = ((1 - value) * static_cast<double>(encoding.steps - 1)).round();
  const at::Tensor steps = at::arange(encoding.steps, x.options()).view({-1, 1, 1});
  return ((steps == when) & (value > 0)).to(x.scalar_type());
}

at::Tensor direct(const at::Tensor& x, const Encoding& encoding, std::uint64_t) {
  return x.expand({encoding.steps, x.size(0), x.size(1)}).contiguous();
}

}  // namespace

const std::vector<EncoderRow>& encoders() {
  static const std::vector<EncoderRow> rows = {
      {"bernoulli", "rate code: at every step a spike with probability x · peak rate, drawn anew for each presentation",
       bernoulli},
      {"latency", "time to first spike: one spike at step (1 - x)(steps - 1), rounded; none for x = 0", latency},
      {"direct", "x itself as the input of every step", direct},
  };
  return rows;
}

at::Tensor encode(const at::Tensor& x, const Encoding& encoding, std::uint64_t seed) {
  return find_row(encoders(), "encoder", encoding.encoder).encode(x.contiguous(), encoding, seed);
}

}  // namespace grapes::nn
