#include "grapes/core/feedback.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace grapes {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Feedback : torch::autograd::Function<Feedback> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& y, const at::Tensor& /*x*/,
                            const at::Tensor& B) {
    context->save_for_backward({B});
    return y.view_as(y);
  }
  static variable_list backward(AutogradContext* context, variable_list errors) {
    if (!errors[0].defined()) return {{}, {}, {}};
    return {errors[0], at::mm(errors[0], context->get_saved_variables()[0].t()), {}};
  }
};

}  // namespace

at::Tensor feedback(const at::Tensor& y, const at::Tensor& x, const at::Tensor& B) {
  TORCH_CHECK(y.dim() == 2 && x.dim() == 2 && y.size(0) == x.size(0),
              "feedback: y and x must be [batch, node] of one batch; got ", y.sizes(), " and ", x.sizes());
  TORCH_CHECK(B.dim() == 2 && B.size(0) == x.size(1) && B.size(1) == y.size(1), "feedback: B must be [", x.size(1),
              ", ", y.size(1), "] (nodes of x, nodes of y); got ", B.sizes());
  TORCH_CHECK(B.scalar_type() == y.scalar_type() && B.device() == y.device(),
              "feedback: B must have the dtype and device of y, ", y.scalar_type(), " on ", y.device(), "; got ",
              B.scalar_type(), " on ", B.device());
  return Feedback::apply(y, x, B.detach());
}

}  // namespace grapes
