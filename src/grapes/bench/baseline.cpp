#include "grapes/bench/baseline.h"

#include "grapes/base/random.h"
#include "grapes/kernels/gemm.h"

#include <ATen/ATen.h>

#include <memory>

namespace grapes::bench {
namespace {

template <class T>
std::function<void()> products_of(const std::vector<ProductShape>& shapes, at::ScalarType dtype) {
  struct Layer {
    at::Tensor h, W, a, delta, below, gradient;
  };
  auto layers = std::make_shared<std::vector<Layer>>();
  for (const ProductShape& s : shapes)
    layers->push_back({numbers({s.rows, s.in}, "h", dtype), numbers({s.out, s.in}, "W", dtype),
                       at::empty({s.rows, s.out}, dtype), numbers({s.rows, s.out}, "delta", dtype),
                       s.below ? at::empty({s.rows, s.in}, dtype) : at::Tensor(), at::empty({s.out, s.in}, dtype)});
  return [layers] {
    const auto matrix = [](const at::Tensor& t) {
      return kernels::Matrix<T>{t.data_ptr<T>(), t.size(0), t.size(1), t.size(1)};
    };
    const auto read = [](const at::Tensor& t) {
      return kernels::Matrix<const T>{t.data_ptr<T>(), t.size(0), t.size(1), t.size(1)};
    };
    for (const Layer& layer : *layers)
      kernels::gemm<T>(1, read(layer.h), kernels::transposed(read(layer.W)), 0, matrix(layer.a));
    for (std::size_t l = layers->size(); l-- > 0;) {
      const Layer& layer = (*layers)[l];
      if (layer.below.defined()) kernels::gemm<T>(1, read(layer.delta), read(layer.W), 0, matrix(layer.below));
      kernels::gemm<T>(1, kernels::transposed(read(layer.delta)), read(layer.h), 0, matrix(layer.gradient));
    }
  };
}

}  // namespace

std::function<void()> products(const std::vector<ProductShape>& layers, at::ScalarType dtype) {
  return dtype == at::kDouble ? products_of<double>(layers, dtype) : products_of<float>(layers, dtype);
}

at::Tensor numbers(at::IntArrayRef shape, const std::string& name, at::ScalarType dtype) {
  Random random(stream_seed(1, name));
  at::Tensor values = at::empty(shape, at::kDouble);
  for (std::int64_t i = 0; i < values.numel(); ++i) values.data_ptr<double>()[i] = random.normal();
  return values.to(dtype);
}

at::ScalarType dtype_of(const std::string& precision) { return precision == "float64" ? at::kDouble : at::kFloat; }

}  // namespace grapes::bench
