#include "grapes/exchange/onnx_input.h"

#include "grapes/base/error.h"
#include "grapes/onnx/graph.h"

#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>
#include <c10/util/accumulate.h>

namespace grapes::exchange {
namespace {

/// Returns the constant of a step in a shape that broadcasts over an example.
at::Tensor fitted(const OnnxInput::Step& step, const std::vector<std::int64_t>& example) {
  const at::Tensor c = step.constant.to(at::kDouble);
  const bool row = c.dim() == 1 || (c.dim() == 2 && c.size(0) == 1);
  if (row && c.numel() == c10::multiply_integers(example)) return c.reshape(example);  // after a Flatten
  const bool batch = c.dim() == static_cast<std::int64_t>(example.size()) + 1 && c.size(0) == 1;
  if (batch) return fitted({step.where, step.product, c.squeeze(0)}, example);
  if (!at::is_expandable_to(c.sizes(), example))
    throw DataError(step.where + " has a constant of the shape " + onnx::shape_text(step.constant.sizes().vec()) +
                    ", which does not fit an example, " + onnx::shape_text(example));
  return c;
}

}  // namespace

data::Normalization OnnxInput::normalization(const std::vector<std::int64_t>& example) const {
  if (steps.empty()) return {};
  at::Tensor shift = at::zeros({}, at::kDouble), scale = at::ones({}, at::kDouble);
  for (const Step& step : steps) {
    const at::Tensor c = fitted(step, example);
    if (step.product)
      scale = scale * c;
    else
      shift = shift - c / scale;
  }
  const std::vector<at::Tensor> both = at::broadcast_tensors({shift.to(at::kFloat), scale.to(at::kFloat)});
  for (const at::Tensor& one : both)
    if (!one.isfinite().all().item<bool>())
      throw DataError(steps.back().where + " makes the normalization of the inputs infinite or NaN; expected " +
                      "finite constants, and no factor of 0 before a sum");
  return {both[0].contiguous(), both[1].contiguous()};
}

}  // namespace grapes::exchange
