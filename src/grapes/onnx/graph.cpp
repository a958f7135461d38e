#include "grapes/onnx/graph.h"

#include <algorithm>

namespace grapes::onnx {

std::vector<double> numbers(const Tensor& tensor) {
  return std::visit([](const auto& values) { return std::vector<double>(values.begin(), values.end()); },
                    tensor.values);
}

std::vector<std::int64_t> whole_numbers(const Tensor& tensor) {
  const auto* whole = std::get_if<std::vector<std::int64_t>>(&tensor.values);
  return whole != nullptr ? *whole : std::vector<std::int64_t>();
}

std::int64_t count(const Shape& shape) {
  std::int64_t all = 1;
  for (const std::int64_t size : shape) all *= std::max<std::int64_t>(size, size == 0 ? 0 : 1);
  return all;
}

std::string shape_text(const Shape& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape)
    text += (text.size() > 1 ? ", " : "") + (size < 0 ? std::string("?") : std::to_string(size));
  return text + "]";
}

}  // namespace grapes::onnx
