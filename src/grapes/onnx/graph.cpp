#include "grapes/onnx/graph.h"

#include <limits>

namespace grapes::onnx {

std::optional<std::int64_t> elements(const Shape& shape) {
  std::int64_t all = 1;
  for (const std::int64_t size : shape) {
    if (size < 0 || (size > 0 && all > std::numeric_limits<std::int32_t>::max() / size)) return std::nullopt;
    all *= size;
  }
  return all;
}

std::string shape_text(const Shape& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape)
    text += (text.size() > 1 ? ", " : "") + (size < 0 ? std::string("?") : std::to_string(size));
  return text + "]";
}

}  // namespace grapes::onnx
