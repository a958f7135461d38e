#include "grapes/core/feedback.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <tuple>
#include <vector>

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
    return {errors[0], at::matmul(errors[0], context->get_saved_variables()[0].t()), {}};
  }
};

struct FeedbackConvolution : torch::autograd::Function<FeedbackConvolution> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& y, const at::Tensor& x, const at::Tensor& B,
                            at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups) {
    context->save_for_backward({B});
    context->saved_data["x"] = x.sizes().vec();
    context->saved_data["stride"] = stride.vec();
    context->saved_data["padding"] = padding.vec();
    context->saved_data["dilation"] = dilation.vec();
    context->saved_data["groups"] = groups;
    return y.view_as(y);
  }
  static variable_list backward(AutogradContext* context, variable_list errors) {
    if (!errors[0].defined()) return {{}, {}, {}, {}, {}, {}, {}};
    const auto ints = [context](const char* name) { return context->saved_data[name].toIntVector(); };
    const std::vector<int64_t> x = ints("x"), none(x.size() - 2, 0);
    // Only the shape of x matters here.
    const at::Tensor shape = at::empty({1}, errors[0].options()).expand(x);
    const at::Tensor to_x = std::get<0>(at::convolution_backward(
        errors[0], shape, context->get_saved_variables()[0], c10::nullopt, ints("stride"), ints("padding"),
        ints("dilation"), false, none, context->saved_data["groups"].toInt(), {true, false, false}));
    return {errors[0], to_x, {}, {}, {}, {}, {}};
  }
};

struct Mirror : torch::autograd::Function<Mirror> {
  static at::Tensor forward(AutogradContext*, const at::Tensor& W, const at::Tensor& /*B*/) { return W.view_as(W); }
  static variable_list backward(AutogradContext*, variable_list gradients) {
    const at::Tensor& gradient = gradients[0];
    if (!gradient.defined()) return {{}, {}};
    return {gradient, gradient.dim() == 2 ? gradient.t() : gradient};
  }
};

}  // namespace

at::Tensor feedback(const at::Tensor& y, const at::Tensor& x, const at::Tensor& B) {
  TORCH_CHECK(y.dim() >= 2 && x.dim() == y.dim() && y.sizes().slice(0, y.dim() - 1) == x.sizes().slice(0, x.dim() - 1),
              "feedback: y and x must be [batch, unit] with the same batch; got ", y.sizes(), " and ", x.sizes());
  TORCH_CHECK(B.dim() == 2 && B.size(0) == x.size(-1) && B.size(1) == y.size(-1), "feedback: B must be [", x.size(-1),
              ", ", y.size(-1), "] (units of x, units of y); got ", B.sizes());
  TORCH_CHECK(B.scalar_type() == y.scalar_type() && B.device() == y.device(),
              "feedback: B must have the dtype and device of y, ", y.scalar_type(), " on ", y.device(), "; got ",
              B.scalar_type(), " on ", B.device());
  return Feedback::apply(y, x, B.detach());
}

at::Tensor feedback_convolution(const at::Tensor& y, const at::Tensor& x, const at::Tensor& B, at::IntArrayRef stride,
                                at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups) {
  const int64_t axes = B.dim() - 2;
  TORCH_CHECK(axes >= 1 && x.dim() == B.dim() && y.dim() == B.dim() && x.size(0) == y.size(0),
              "feedback_convolution: y and x must be [batch, channel, ...] with the same batch and the rank of B; got ",
              y.sizes(), ", ", x.sizes(), " and B ", B.sizes());
  TORCH_CHECK(groups >= 1 && B.size(0) == y.size(1) && B.size(1) * groups == x.size(1),
              "feedback_convolution: B must be [", y.size(1), ", ", x.size(1), " / groups, ...]; got ", B.sizes(),
              " with ", groups, " groups");
  const auto fits = [axes](at::IntArrayRef option) { return static_cast<int64_t>(option.size()) == axes; };
  TORCH_CHECK(fits(stride) && fits(padding) && fits(dilation),
              "feedback_convolution: stride, padding and dilation must have ", axes, " numbers each; got ", stride,
              ", ", padding, " and ", dilation);
  for (int64_t k = 0; k < axes; ++k) {
    const auto i = static_cast<size_t>(k);
    const int64_t expected = (x.size(k + 2) + 2 * padding[i] - dilation[i] * (B.size(k + 2) - 1) - 1) / stride[i] + 1;
    TORCH_CHECK(y.size(k + 2) == expected, "feedback_convolution: y must have size ", expected, " along axis ", k + 2,
                ", the output size of this convolution of x; got ", y.sizes());
  }
  TORCH_CHECK(B.scalar_type() == y.scalar_type() && B.device() == y.device(),
              "feedback_convolution: B must have the dtype and device of y, ", y.scalar_type(), " on ", y.device(),
              "; got ", B.scalar_type(), " on ", B.device());
  return FeedbackConvolution::apply(y, x, B.detach(), stride, padding, dilation, groups);
}

at::Tensor mirror(const at::Tensor& W, const at::Tensor& B) {
  const std::vector<int64_t> shape = W.dim() == 2 ? std::vector<int64_t>{W.size(1), W.size(0)} : W.sizes().vec();
  TORCH_CHECK(B.sizes() == shape, "mirror: B must be ", shape, ", for a weight of shape ", W.sizes(), "; got ",
              B.sizes());
  TORCH_CHECK(B.scalar_type() == W.scalar_type() && B.device() == W.device(),
              "mirror: B must have the dtype and device of W, ", W.scalar_type(), " on ", W.device(), "; got ",
              B.scalar_type(), " on ", B.device());
  return Mirror::apply(W, B);
}

}  // namespace grapes
