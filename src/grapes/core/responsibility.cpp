#include "grapes/core/responsibility.h"

#include "grapes/kernels/row_sums.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace grapes {
namespace {

/// Sum of magnitudes over every axis but `dim`.
at::Tensor sum_but(const at::Tensor& weight, int64_t dim) {
  if (dim == 0) return kernels::abs_sums(weight.detach());
  std::vector<int64_t> others;
  for (int64_t axis = 0; axis < weight.dim(); ++axis)
    if (axis != dim) others.push_back(axis);
  const at::Tensor magnitude = weight.detach().abs();
  return others.empty() ? magnitude : magnitude.sum(others);
}

/// The number of weights that are not 0, or 1 if there is none.
at::Tensor count_but(const at::Tensor& weight, const OptionalTensor& recurrent, int64_t dim) {
  const auto count = [&](const at::Tensor& W) { return sum_but(W.detach().ne(0).to(W.scalar_type()), dim); };
  at::Tensor all = count(weight);
  if (recurrent.has_value() && recurrent->defined()) all = all + count(*recurrent);
  return all.clamp_min_(1);
}

void require_finite(double largest) {
  TORCH_CHECK_VALUE(std::isfinite(largest), "factor: every weight must be finite; got a responsibility of ", largest);
}

/// Computes the factor in one loop. For a few hundred numbers, the overhead of five tensor operations would dominate.
at::Tensor on_cpu(const at::Tensor& r, double gain, double low, double high) {
  at::Tensor m = at::empty_like(r);
  AT_DISPATCH_FLOATING_TYPES(r.scalar_type(), "factor", [&] {
    const auto* from = r.data_ptr<scalar_t>();
    auto* into = m.data_ptr<scalar_t>();
    scalar_t largest = 0;
    for (int64_t n = 0; n < r.numel(); ++n)
      if (from[n] > largest || std::isnan(from[n])) largest = std::isnan(largest) ? largest : from[n];
    require_finite(static_cast<double>(largest));
    const auto least = static_cast<scalar_t>(low), most = static_cast<scalar_t>(high);
    for (int64_t n = 0; n < r.numel(); ++n)
      into[n] =
          largest == 0 ? scalar_t(1) : std::min(std::max(from[n] * static_cast<scalar_t>(gain) / largest, least), most);
  });
  return m;
}

}  // namespace

at::Tensor responsibility(const at::Tensor& weight, const OptionalTensor& recurrent, int64_t dim,
                          const OptionalTensor& mask, bool mean) {
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
                "responsibility: recurrent weight must have ", weight.size(dim), " units along axis ", dim, "; got ",
                recurrent->sizes());
    r = r + sum_but(*recurrent, dim);
  }
  return mean ? r / count_but(weight, recurrent, dim) : r;
}

at::Tensor factor(const at::Tensor& weight, const OptionalTensor& recurrent, int64_t dim, const OptionalTensor& mask,
                  double gain, double low, double high) {
  return factor_from(responsibility(weight, recurrent, dim, mask), gain, low, high);
}

at::Tensor factor_from(const at::Tensor& r, double gain, double low, double high) {
  const at::NoGradGuard no_grad;
  TORCH_CHECK(gain > 0 && std::isfinite(gain), "factor: gain must be a finite number above 0; got ", gain);
  TORCH_CHECK(low >= 0 && low <= high, "factor: the clip range must satisfy 0 <= low <= high; got [", low, ", ", high,
              "]");
  if (r.numel() == 0) return r;
  if (kernels::fusable(r)) return on_cpu(r, gain, low, high);
  const double largest = r.max().item<double>();  // a sum of magnitudes is finite only if every weight is finite
  require_finite(largest);
  if (largest == 0) return at::ones_like(r);
  return r.mul(gain).div(largest).clamp(low, high);
}

}  // namespace grapes
