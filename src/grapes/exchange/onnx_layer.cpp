#include "grapes/exchange/onnx_layer.h"

#include "grapes/base/error.h"
#include "grapes/kernels/normalization.h"

#include <ATen/ATen.h>

#include <vector>

namespace grapes::exchange {

void OnnxLayer::add(const at::Tensor& offset) { bias = bias.defined() ? bias + offset : offset; }

void OnnxLayer::multiply(const at::Tensor& factor) {
  // Grapes would round W again, after the multiplication.
  if (weights)
    throw DataError(where + " rounds its weights to " + to_string(weights) +
                    ", and its outputs are multiplied or normalized before the activation; expected one or the other");
  std::vector<std::int64_t> rows(static_cast<std::size_t>(weight.dim()), 1);
  rows[0] = -1;
  weight = weight * factor.reshape(rows);
  if (bias.defined()) bias = bias * factor;
}

void OnnxLayer::fold() {
  if (!scale.defined()) return;
  const at::Tensor factor = scale / (variance + kernels::norm_epsilon).sqrt();
  multiply(factor);
  add(shift - mean * factor);
  scale = shift = mean = variance = at::Tensor();
}

}  // namespace grapes::exchange
