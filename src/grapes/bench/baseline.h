#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace grapes::bench {

/// A dense layer of a step: rows × in times in × out forward, its weight's gradient, and, if there is a layer below
/// that wants it, the error that goes there.
struct ProductShape {
  std::int64_t rows, in, out;
  bool below;
};
/// The bare matrix products of a step: the baseline of a network of dense layers. By the same BLAS, on memory that is
/// there already, without anything around them.
std::function<void()> products(const std::vector<ProductShape>& layers, at::ScalarType dtype);

/// Normal numbers that are the same in every run.
at::Tensor numbers(at::IntArrayRef shape, const std::string& name, at::ScalarType dtype = at::kFloat);

/// What the numbers of a precision are stored as: float64, or else float32.
at::ScalarType dtype_of(const std::string& precision);

}  // namespace grapes::bench
