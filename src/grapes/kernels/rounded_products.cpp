#include "grapes/kernels/dense.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace grapes::kernels::plain {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor to_bfloat16(const at::Tensor& x) { return x.to(at::kBFloat16).to(x.scalar_type()); }
at::Tensor times(const at::Tensor& x, const at::Tensor& m) { return m.defined() ? x * m : x; }

/// What is not differentiated; any of them may be undefined, which an argument of its own may not.
struct Constants {
  at::Tensor rows, columns, through;
};

struct RoundedProducts : torch::autograd::Function<RoundedProducts> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& h, const at::Tensor& W,
                            const Constants& constants) {
    context->save_for_backward({h, constants.rows, constants.columns, constants.through});
    return at::linear(to_bfloat16(h), to_bfloat16(W));
  }
  static variable_list backward(AutogradContext* context, variable_list errors) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &h = saved[0], &rows = saved[1], &columns = saved[2], &through = saved[3];
    variable_list result(3);
    if (!errors[0].defined()) return result;
    if (through.defined()) result[0] = at::mm(to_bfloat16(errors[0]), to_bfloat16(through));
    result[1] = at::mm(to_bfloat16(times(errors[0], rows)).t(), to_bfloat16(times(h, columns)));
    return result;
  }
};

}  // namespace

at::Tensor rounded_products(const at::Tensor& h, const Dense& layer) {
  at::Tensor through;
  if (layer.transport.to == Transport::To::weights) through = layer.weight.detach();
  if (layer.transport.to == Transport::To::matrix) through = layer.transport.matrix.t();
  return RoundedProducts::apply(h, layer.weight, Constants{layer.rows, layer.columns, through});
}

}  // namespace grapes::kernels::plain
