#include "grapes/core/responsibility.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <cmath>
#include <vector>

namespace grapes {
namespace {

/// Sum of magnitudes over every axis but `dim`.
at::Tensor sum_but(const at::Tensor& weight, int64_t dim) {
  std::vector<int64_t> others;
  for (int64_t axis = 0; axis < weight.dim(); ++axis)
    if (axis != dim) others.push_back(axis);
  const at::Tensor magnitude = weight.detach().abs();
  return others.empty() ? magnitude : magnitude.sum(others);
}

}  // namespace

at::Tensor responsibility(const at::Tensor& weight, const OptionalTensor& recurrent, int64_t dim,
                          const OptionalTensor& mask) {
  const at::NoGradGuard no_grad;
  TORCH_CHECK(weight.is_floating_point(), "responsibility: weight must be floating point; got ", weight.scalar_type());
  TORCH_CHECK(dim >= 0 && dim < weight.dim(), "responsibility: dim must be an axis of the weight; got ", dim,
              " for shape ", weight.sizes());
  at::Tensor masked = weight;
  if (mask.has_value() && mask->defined()) {
    TORCH_CHECK(mask->dim() == 1 && mask->size(0) == weight.size(0), "responsibility: mask must be [", weight.size(0),
                "], one number per row of the weight; got ", mask->sizes());
    std::vector<int64_t> shape(static_cast<size_t>(weight.dim()), 1);
    shape[0] = weight.size(0);
    masked = weight.detach() * mask->to(weight.scalar_type()).view(shape);
  }
  at::Tensor r = sum_but(masked, dim);
  if (recurrent.has_value() && recurrent->defined()) {
    TORCH_CHECK(recurrent->dim() > dim && recurrent->size(dim) == weight.size(dim),
                "responsibility: recurrent weight must have ", weight.size(dim), " nodes along axis ", dim, "; got ",
                recurrent->sizes());
    r = r + sum_but(*recurrent, dim);
  }
  return r;
}

at::Tensor factor(const at::Tensor& weight, const OptionalTensor& recurrent, int64_t dim, const OptionalTensor& mask,
                  double gain, double low, double high) {
  const at::NoGradGuard no_grad;
  TORCH_CHECK(gain > 0 && std::isfinite(gain), "factor: gain must be a finite number above 0; got ", gain);
  TORCH_CHECK(low >= 0 && low <= high, "factor: the clip range must satisfy 0 <= low <= high; got [", low, ", ", high,
              "]");
  const at::Tensor r = responsibility(weight, recurrent, dim, mask);
  if (r.numel() == 0) return r;
  const double largest = r.max().item<double>();  // a sum of magnitudes is finite only if every weight is
  TORCH_CHECK_VALUE(std::isfinite(largest), "factor: every weight must be finite; got a responsibility of ", largest);
  if (largest == 0) return at::ones_like(r);
  return r.mul(gain).div(largest).clamp(low, high);
}

}  // namespace grapes
