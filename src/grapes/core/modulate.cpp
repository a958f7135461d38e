#include "grapes/core/modulate.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

namespace grapes {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Inserts axes of size 1 into m so that it broadcasts along `dim` of z, and along the batch if m has that axis.
at::Tensor broadcast(const at::Tensor& m, int64_t axes, int64_t dim) {
  std::vector<int64_t> shape(static_cast<size_t>(axes), 1);
  if (m.dim() == 2) shape[0] = m.size(0);
  shape[static_cast<size_t>(dim)] = m.size(-1);
  return m.view(shape);
}

struct Modulate : torch::autograd::Function<Modulate> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& z, const at::Tensor& m, int64_t dim) {
    context->save_for_backward({m});
    context->saved_data["dim"] = dim;
    return z.view_as(z);
  }
  static variable_list backward(AutogradContext* context, variable_list errors) {
    if (!errors[0].defined()) return {{}, {}, {}};
    const at::Tensor m = context->get_saved_variables()[0];
    return {errors[0] * broadcast(m, errors[0].dim(), context->saved_data["dim"].toInt()), {}, {}};
  }
};

}  // namespace

at::Tensor modulate(const at::Tensor& z, const at::Tensor& m, int64_t dim) {
  TORCH_CHECK(z.is_floating_point(), "modulate: z must be floating point; got ", z.scalar_type());
  TORCH_CHECK(dim >= 0 && dim < z.dim(), "modulate: dim must be an axis of z; got ", dim, " for shape ", z.sizes());
  TORCH_CHECK(m.dim() == 1 || (m.dim() == 2 && dim == 1),
              "modulate: factor must be [unit], or [batch, unit] for dim 1; got ", m.sizes(), " for dim ", dim);
  TORCH_CHECK(m.size(-1) == z.size(dim), "modulate: factor must have ", z.size(dim), " units, the size of axis ", dim,
              " of z; got ", m.sizes());
  TORCH_CHECK(m.dim() == 1 || m.size(0) == z.size(0), "modulate: factor must have ", z.size(0),
              " rows, one per example; got ", m.sizes());
  TORCH_CHECK(m.scalar_type() == z.scalar_type() && m.device() == z.device(),
              "modulate: factor must have the dtype and device of z, ", z.scalar_type(), " on ", z.device(), "; got ",
              m.scalar_type(), " on ", m.device());
  return Modulate::apply(z, m.detach(), dim);
}

}  // namespace grapes
