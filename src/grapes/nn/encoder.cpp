#include "grapes/nn/encoder.h"

#include "grapes/base/table.h"
#include "grapes/kernels/spikes.h"

#include <ATen/ATen.h>

namespace grapes::nn {
namespace {

at::Tensor bernoulli(const at::Tensor& x, const Encoding& encoding, std::uint64_t seed, const at::Tensor& streams) {
  return kernels::draw_spikes(x, encoding.steps, encoding.peak_rate, seed, streams);
}

at::Tensor latency(const at::Tensor& x, const Encoding& encoding, std::uint64_t, const at::Tensor&) {
  const at::Tensor value = x.clamp(0, 1);
  const at::Tensor when = ((1 - value) * static_cast<double>(encoding.steps - 1)).round();
  const at::Tensor steps = at::arange(encoding.steps, x.options()).view({-1, 1, 1});
  return kernels::pack(((steps == when) & (value > 0)).to(x.scalar_type()));
}

at::Tensor direct(const at::Tensor& x, const Encoding& encoding, std::uint64_t, const at::Tensor&) {
  return x.expand({encoding.steps, x.size(0), x.size(1)}).contiguous();
}

}  // namespace

const std::vector<EncoderRow>& encoders() {
  static const std::vector<EncoderRow> rows = {
      {"bernoulli", "rate code: at every time step a spike with probability x · peak-rate, drawn as encoder-draws says",
       true, bernoulli},
      {"latency", "time to first spike: one spike at time step (1 - x)(time-steps - 1), rounded; none for x = 0", true,
       latency},
      {"direct", "x itself is the input at every time step", false, direct},
  };
  return rows;
}

at::Tensor encode(const at::Tensor& x, const Encoding& encoding, std::uint64_t seed, bool packed,
                  const at::Tensor& streams) {
  const EncoderRow& row = find_row(encoders(), "encoder", encoding.encoder);
  const at::Tensor shown =
      row.encode(x.contiguous(), encoding, seed, streams.defined() ? streams : at::arange(x.size(0), at::kLong));
  return row.spikes && !packed ? kernels::unpack(shown, x.size(1), x.scalar_type()) : shown;
}

}  // namespace grapes::nn
