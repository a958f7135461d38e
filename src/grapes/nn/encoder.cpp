#include "grapes/nn/encoder.h"

#include "grapes/base/random.h"
#include "grapes/base/table.h"
#include "grapes/kernels/spikes.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include <algorithm>
#include <cmath>

namespace grapes::nn {
namespace {

/// Each example has a stream of its own, of which inputs above 0 take 16 bits a step: probabilities are multiples of
/// 2^-16.
at::Tensor bernoulli(const at::Tensor& x, const Encoding& encoding, std::uint64_t seed) {
  const std::int64_t batch = x.size(0), in = x.size(1), words = kernels::words_for(in), steps = encoding.steps;
  at::Tensor packed = at::empty({steps, batch, words}, at::kInt);
  std::vector<std::uint32_t> spikes(static_cast<std::size_t>(steps * words));  // of one example
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "bernoulli", [&] {
    const scalar_t* value = x.data_ptr<scalar_t>();
    for (std::int64_t b = 0; b < batch; ++b) {
      std::fill(spikes.begin(), spikes.end(), 0);
      Random random(stream_seed(seed, "spikes", static_cast<std::uint64_t>(b)));
      for (std::int64_t i = 0; i < in; ++i) {
        if (!(value[b * in + i] > 0)) continue;
        const double p = std::clamp(static_cast<double>(value[b * in + i]), 0.0, 1.0) * encoding.peak_rate;
        const auto below = static_cast<std::uint64_t>(std::lround(p * 0x1p16));
        if (below == 0) continue;
        const kernels::BitPlace place = kernels::place_of(i);
        std::uint32_t* word = spikes.data() + place.word;
        for (std::int64_t t = 0; t < steps; t += 4) {
          std::uint64_t bits = random();
          // No branch on a draw: it would be guessed wrong.
          for (std::int64_t k = t; k < std::min(t + 4, steps); ++k, bits >>= 16)
            word[k * words] |= static_cast<std::uint32_t>((bits & 0xffff) < below) << place.bit;
        }
      }
      auto* to = reinterpret_cast<std::uint32_t*>(packed.data_ptr<std::int32_t>()) + b * words;
      for (std::int64_t t = 0; t < steps; ++t) std::copy_n(spikes.data() + t * words, words, to + t * batch * words);
    }
  });
  return packed;
}

at::Tensor latency(const at::Tensor& x, const Encoding& encoding, std::uint64_t) {
  const at::Tensor value = x.clamp(0, 1);
  const at::Tensor when = ((1 - value) * static_cast<double>(encoding.steps - 1)).round();
  const at::Tensor steps = at::arange(encoding.steps, x.options()).view({-1, 1, 1});
  return kernels::pack(((steps == when) & (value > 0)).to(x.scalar_type()));
}

at::Tensor direct(const at::Tensor& x, const Encoding& encoding, std::uint64_t) {
  return x.expand({encoding.steps, x.size(0), x.size(1)}).contiguous();
}

}  // namespace

const std::vector<EncoderRow>& encoders() {
  static const std::vector<EncoderRow> rows = {
      {"bernoulli", "rate code: at every step a spike with probability x · peak rate, drawn anew for each presentation",
       true, bernoulli},
      {"latency", "time to first spike: one spike at step (1 - x)(steps - 1), rounded; none for x = 0", true, latency},
      {"direct", "x itself as the input of every step", false, direct},
  };
  return rows;
}

at::Tensor encode(const at::Tensor& x, const Encoding& encoding, std::uint64_t seed, bool packed) {
  const EncoderRow& row = find_row(encoders(), "encoder", encoding.encoder);
  const at::Tensor shown = row.encode(x.contiguous(), encoding, seed);
  return row.spikes && !packed ? kernels::unpack(shown, x.size(1), x.scalar_type()) : shown;
}

}  // namespace grapes::nn
