#include "grapes/nn/sharded_linear.h"

#include "grapes/nn/summed.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/nn/init.h>

#include <algorithm>
#include <cmath>

namespace grapes::nn {

ShardedLinearImpl::ShardedLinearImpl(const torch::nn::LinearOptions& options, Split split, Processes processes)
    : Sharded(credit::Shard::of(split, std::move(processes),
                                split == Split::rows ? options.out_features() : options.in_features())),
      options_(options) {
  reset();
}

void ShardedLinearImpl::reset() {
  const credit::Shard& shard = this->shard();
  const std::int64_t in = options_.in_features(), out = options_.out_features();
  const bool rows = shard.split == Split::rows;
  weight = register_parameter("weight", rows ? at::empty({shard.count, in}) : at::empty({out, shard.count}));
  bias = register_parameter("bias", options_.bias() ? at::empty({rows ? shard.count : out}) : at::Tensor(),
                            options_.bias());
  // Every process draws all weights, as torch::nn::Linear does, and keeps its own: then the generators of all processes
  // stay in the same state. A block of rows needs no more memory than a part.
  const at::NoGradGuard no_grad;
  const std::int64_t block = std::max<std::int64_t>(out / shard.processes.size, 1);
  for (std::int64_t row = 0; row < out; row += block) {
    const at::Tensor drawn = at::empty({std::min(block, out - row), in});
    torch::nn::init::kaiming_uniform_(drawn, std::sqrt(5.0));
    if (!rows) {
      weight.narrow(0, row, drawn.size(0)).copy_(shard.part(drawn, 1));
      continue;
    }
    const std::int64_t begin = std::max(row, shard.first),
                       end = std::min(row + drawn.size(0), shard.first + shard.count);
    if (begin < end)
      weight.narrow(0, begin - shard.first, end - begin).copy_(drawn.narrow(0, begin - row, end - begin));
  }
  if (!bias.defined()) return;
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  const at::Tensor drawn = at::empty({out});
  torch::nn::init::uniform_(drawn, -bound, bound);
  bias.copy_(shard.own_units(drawn));
}

at::Tensor ShardedLinearImpl::forward(const at::Tensor& x) {
  const credit::Shard& shard = this->shard();
  const std::int64_t in = options_.in_features(), out = options_.out_features();
  TORCH_CHECK(x.dim() > 0 && x.size(-1) == in, "grapes::nn::ShardedLinear: x must be [..., ", in, "]; got ", x.sizes());
  const Sum& sum = shard.processes.sum;
  at::Tensor h = summed(x.reshape({-1, in}), sum, false, true);
  if (shard.split == Split::columns) h = shard.part(h, 1);
  at::Tensor z = at::linear(h, weight, bias);
  // By columns, all processes have b and need its gradient, but only one adds its value to the sum.
  if (shard.split == Split::columns && bias.defined() && shard.processes.rank > 0) z = z - bias.detach();
  if (shard.split == Split::rows) z = shard.padded(z);
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.back() = out;
  return summed(z, sum, true, false).view(sizes);
}

void ShardedLinearImpl::take(const at::Tensor& W, const at::Tensor& b) {
  const std::int64_t in = options_.in_features(), out = options_.out_features();
  TORCH_CHECK(W.sizes() == at::IntArrayRef({out, in}), "grapes::nn::ShardedLinear: W must be [", out, ", ", in,
              "]; got ", W.sizes());
  TORCH_CHECK(b.defined() == bias.defined() && (!b.defined() || b.sizes() == at::IntArrayRef({out})),
              "grapes::nn::ShardedLinear: b must be ",
              bias.defined() ? "[out]" : "undefined, because the layer has none");
  const at::NoGradGuard no_grad;
  weight.copy_(shard().part(W, shard().split == Split::rows ? 0 : 1));
  if (b.defined()) bias.copy_(shard().own_units(b));
}

}  // namespace grapes::nn
