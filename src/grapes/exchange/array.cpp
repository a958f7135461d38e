#include "grapes/exchange/array.h"

#include <ATen/ATen.h>

namespace grapes::exchange {
namespace {

template <class Value>
std::vector<Value> values_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous().flatten();
  return {flat.data_ptr<Value>(), flat.data_ptr<Value>() + flat.numel()};
}

}  // namespace

nir::Array array_of(const at::Tensor& tensor) {
  const at::Tensor here = tensor.detach().to(at::kCPU);
  if (here.scalar_type() == at::kFloat) return {here.sizes().vec(), values_of<float>(here)};
  return {here.sizes().vec(), values_of<double>(here.to(at::kDouble))};
}

at::Tensor tensor_of(const nir::Array& array) {
  if (const auto* values = std::get_if<std::vector<float>>(&array.values))
    return at::tensor(*values, at::kFloat).reshape(array.shape);
  return at::tensor(nir::numbers(array), at::kDouble).reshape(array.shape);
}

}  // namespace grapes::exchange
