#include "grapes/nn/pool.h"

#include "grapes/kernels/convolution.h"

#include <ATen/ATen.h>

#include <utility>

namespace grapes::nn {

at::Tensor pool(at::Tensor x, Pooling how, std::int64_t side, const kernels::WorkspacePtr& workspace) {
  if (side == 0) {
    const std::int64_t batch = x.size(0);
    const at::Tensor all = how == Pooling::largest   ? x.amax({2, 3})
                           : how == Pooling::average ? x.mean(at::IntArrayRef({2, 3}))
                                                     : x.sum(at::IntArrayRef({2, 3}));
    return all.view({batch, -1, 1, 1});
  }
  if (workspace && kernels::poolable(x)) return kernels::pooling(std::move(x), how, side, workspace);
  x = kernels::unblocked(x);
  if (how == Pooling::largest) return at::max_pool2d(x, {side, side});
  const at::Tensor mean = at::avg_pool2d(x, {side, side});
  return how == Pooling::sum ? mean * static_cast<double>(side * side) : mean;
}

at::Tensor chosen_by(const at::Tensor& x, const at::Tensor& map, std::int64_t side) {
  if (side == 1) return x;
  const std::vector<std::int64_t> square = side == 0 ? map.sizes().slice(2).vec() : std::vector<std::int64_t>(2, side);
  const at::Tensor places = std::get<1>(at::max_pool2d_with_indices(map, square));
  return x.flatten(2).gather(2, places.flatten(2)).view(places.sizes());
}

}  // namespace grapes::nn
