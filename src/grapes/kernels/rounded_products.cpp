#include "grapes/kernels/convolution.h"
#include "grapes/kernels/dense.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace grapes::kernels::plain {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Rounds an operand. On a CPU the result is float32 with bfloat16 values, so sums are not rounded; elsewhere it is
/// bfloat16.
at::Tensor rounded(const at::Tensor& x) {
  const at::Tensor r = x.to(at::kBFloat16);
  return x.is_cpu() ? r.to(x.scalar_type()) : r;
}
at::Tensor as_sum(const at::Tensor& product) { return product.to(at::kFloat); }
at::Tensor times(const at::Tensor& x, const at::Tensor& m) { return m.defined() ? x * m : x; }

/// Arguments without a gradient. Any may be undefined, which autograd does not allow for an argument of its own.
struct Constants {
  at::Tensor rows, columns, through;
};

struct RoundedProducts : torch::autograd::Function<RoundedProducts> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& h, const at::Tensor& W,
                            const Constants& constants) {
    context->save_for_backward({h, constants.rows, constants.columns, constants.through});
    return as_sum(at::linear(rounded(h), rounded(W)));
  }
  static variable_list backward(AutogradContext* context, variable_list errors) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &h = saved[0], &rows = saved[1], &columns = saved[2], &through = saved[3];
    variable_list result(3);
    if (!errors[0].defined()) return result;
    if (through.defined()) result[0] = as_sum(at::mm(rounded(errors[0]), rounded(through)));
    result[1] = as_sum(at::mm(rounded(times(errors[0], rows)).t(), rounded(times(h, columns))));
    return result;
  }
};

struct RoundedConvolution : torch::autograd::Function<RoundedConvolution> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& h, const at::Tensor& W,
                            const Constants& constants, std::int64_t stride, std::int64_t padding) {
    context->save_for_backward({h, W, constants.rows, constants.columns, constants.through});
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    const std::vector<std::int64_t> steps(2, stride), around(2, padding);
    return as_sum(at::conv2d(rounded(h), rounded(W), {}, steps, around));
  }
  static variable_list backward(AutogradContext* context, variable_list errors) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &h = saved[0], &W = saved[1], &rows = saved[2], &columns = saved[3], &through = saved[4];
    variable_list result(5);
    if (!errors[0].defined()) return result;
    const std::vector<std::int64_t> steps(2, context->saved_data["stride"].toInt()),
        around(2, context->saved_data["padding"].toInt()), one(2, 1), none(2, 0);
    const auto [down, own, unused] = at::convolution_backward(
        rounded(errors[0]), rounded(h), rounded(through.defined() ? through : W), at::OptionalIntArrayRef(), steps,
        around, one, false, none, 1, {through.defined(), true, false});
    if (through.defined()) result[0] = as_sum(down);
    result[1] = as_sum(own);
    if (rows.defined()) result[1] = result[1] * rows.view({-1, 1, 1, 1});
    if (columns.defined()) result[1] = result[1] * columns.view({1, -1, 1, 1});
    return result;
  }
};

/// The matrix that carries the error to h; undefined if h receives none.
at::Tensor through(const ErrorPath& path, const at::Tensor& weight) {
  if (path.to == ErrorPath::To::none) return {};
  return path.to == ErrorPath::To::weights ? weight.detach() : path.matrix;
}

}  // namespace

at::Tensor rounded_convolution(const at::Tensor& h, const Convolution& layer) {
  return RoundedConvolution::apply(h, layer.weight,
                                   Constants{layer.rows, layer.columns, through(layer.path, layer.weight)},
                                   layer.stride, layer.padding);
}

at::Tensor rounded_products(const at::Tensor& h, const Dense& layer) {
  at::Tensor across = through(layer.path, layer.weight);
  if (layer.path.to == ErrorPath::To::matrix) across = across.t();
  return RoundedProducts::apply(h, layer.weight, Constants{layer.rows, layer.columns, across});
}

}  // namespace grapes::kernels::plain
