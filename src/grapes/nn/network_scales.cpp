// Networks whose units are unlike, and whose weights are removed.
#include "grapes/nn/network.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <tuple>
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

void Network::prune() {
  const at::NoGradGuard no_grad;
  if (options_.prune == 1) return;
  for (const Part& part : parts_) {
    const at::Tensor magnitude = part.layer->weight.detach().abs().flatten();
    const auto kept = std::max<std::int64_t>(std::llround(options_.prune * static_cast<double>(magnitude.numel())), 1);
    const at::Tensor order = std::get<1>(at::sort(magnitude, /*stable=*/true, /*dim=*/0, /*descending=*/true));
    const at::Tensor mask = at::zeros_like(magnitude).index_fill_(0, order.narrow(0, 0, kept), 1);
    part.layer->weight_mask.mul_(mask.view_as(part.layer->weight_mask));
  }
  apply_masks();
}

void Network::apply_masks() {
  const at::NoGradGuard no_grad;
  for (const Part& part : parts_)
    if (part.layer->weight_mask.defined()) part.layer->weight.mul_(part.layer->weight_mask);
}

}  // namespace grapes::nn
