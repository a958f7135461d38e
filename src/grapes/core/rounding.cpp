#include "grapes/core/rounding.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace grapes {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct StraightThrough : torch::autograd::Function<StraightThrough> {
  static at::Tensor forward(AutogradContext*, const at::Tensor&, const at::Tensor& value) {
    return value.view_as(value);
  }
  static variable_list backward(AutogradContext*, variable_list errors) { return {errors[0], {}}; }
};

}  // namespace

at::Tensor round_value(const at::Tensor& x, const kernels::NumberFormat& format, std::int64_t axis, std::uint64_t key) {
  if (!format) return x;
  const at::Tensor value = kernels::rounded(x, format, axis, key);
  return x.requires_grad() && at::GradMode::is_enabled() ? StraightThrough::apply(x, value) : value;
}

at::Tensor round_error(const at::Tensor& z, const kernels::NumberFormat& format, std::int64_t axis, std::uint64_t key) {
  if (!format || !z.requires_grad()) return z;
  const at::Tensor y = z.view_as(z);
  y.register_hook([format, axis, key](const at::Tensor& error) { return kernels::rounded(error, format, axis, key); });
  return y;
}

}  // namespace grapes
