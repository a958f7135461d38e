// Networks whose units are unlike.
#include "grapes/nn/network.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace grapes::nn {
namespace {

/// Multiplies by c along an axis. @param c  [unit]; a unit may have several columns, one for each position of its map
void multiply(at::Tensor W, at::Tensor c, std::int64_t axis) {
  c = c.repeat_interleave(W.size(axis) / c.size(0));
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(W.dim()), 1);
  sizes[static_cast<std::size_t>(axis)] = c.size(0);
  W.mul_(c.to(W.options()).view(sizes));
}

}  // namespace

void Network::rescale() {
  const at::NoGradGuard no_grad;
  for (std::size_t l = 0; l < hidden(); ++l) {
    Layer &below = *parts_[l].layer, &above = *parts_[l + 1].layer;
    Random random(stream_seed(seed_, "unit-scales", l + 1));
    at::Tensor c = at::empty({below.weight.size(0)}, at::kDouble);
    for (double& one : std::span(c.data_ptr<double>(), static_cast<std::size_t>(c.numel())))
      one = std::exp(options_.unit_scales * random.normal());
    multiply(below.weight, c, 0);
    if (below.bias.defined()) multiply(below.bias, c, 0);
    multiply(above.weight, 1 / c, 1);
  }
}

}  // namespace grapes::nn
