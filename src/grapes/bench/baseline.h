#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace grapes::bench {

/// Size of a linear layer's products in a step: the forward product rows × in × out, the weight's gradient, and, if the
/// layer below receives an error, that error.
struct ProductShape {
  std::int64_t rows, in, out;
  bool below;
};
/// The matrix products of a step alone.
struct Products {
  std::function<void()> run;
  std::string by;  ///< the libraries that compute them: "Grapes", "Grapes and OpenBLAS"
};
/// Returns the baseline of a network of linear layers, on existing memory. Each product is tried with every library in
/// kernels::gemms(), with the present number of threads, and uses the fastest.
Products products(const std::vector<ProductShape>& layers, at::ScalarType dtype);

/// Returns normally distributed numbers, the same in every run.
at::Tensor numbers(at::IntArrayRef shape, const std::string& name, at::ScalarType dtype = at::kFloat);

/// Returns the dtype in which a precision stores numbers: float64 or float32.
at::ScalarType dtype_of(const std::string& precision);

}  // namespace grapes::bench
