#include "grapes/kernels/row_sums.h"

#include "grapes/kernels/instruction_set.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/core/grad_mode.h>

namespace grapes::kernels {
namespace {

void sum_rows(const at::Tensor& W, const at::Tensor& sums) {
  const std::int64_t rows = W.size(0), columns = rows == 0 ? 0 : W.numel() / rows;
  AT_DISPATCH_FLOATING_TYPES(W.scalar_type(), "abs_sums", [&] {
    loops<scalar_t>().abs_sums(W.data_ptr<scalar_t>(), rows, columns, sums.data_ptr<scalar_t>());
  });
}

}  // namespace

bool fusable(const at::Tensor& tensor) {
  return tensor.defined() && tensor.device().is_cpu() && tensor.is_contiguous() &&
         (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble);
}

at::Tensor plain::abs_sums(const at::Tensor& W) {
  const at::NoGradGuard no_grad;
  return W.dim() == 1 ? W.abs() : W.abs().flatten(1).sum(1);
}

at::Tensor abs_sums(const at::Tensor& W) {
  if (!fusable(W)) return plain::abs_sums(W);
  const at::NoGradGuard no_grad;
  at::Tensor sums = at::empty({W.size(0)}, W.options());
  sum_rows(W, sums);
  return sums;
}

const at::Tensor& RowSums::of(const at::Tensor& W) {
  if (weight_ != W.unsafeGetTensorImpl() || version_ != W._version()) {
    if (fusable(W))
      sum_rows(W, room(W));
    else
      sums_ = plain::abs_sums(W);
    keep(W);
  }
  return sums_;
}

const at::Tensor& RowSums::room(const at::Tensor& W) {
  if (!sums_.defined() || sums_.size(0) != W.size(0) || sums_.scalar_type() != W.scalar_type() ||
      sums_.device() != W.device())
    sums_ = at::empty({W.size(0)}, W.options().requires_grad(false));
  return sums_;
}

void RowSums::keep(const at::Tensor& W) {
  weight_ = W.unsafeGetTensorImpl();
  version_ = W._version();
}

}  // namespace grapes::kernels
