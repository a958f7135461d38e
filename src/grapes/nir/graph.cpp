#include "grapes/nir/graph.h"

#include "grapes/base/text.h"

#include <functional>
#include <numeric>
#include <type_traits>

namespace grapes::nir {

Array text(std::string value) { return {{}, std::vector<std::string>{std::move(value)}}; }
Array number(double value) { return {{}, std::vector<double>{value}}; }
Array whole(std::int64_t value) { return {{}, std::vector<std::int64_t>{value}}; }
Array wholes(std::vector<std::int64_t> values) {
  const auto n = static_cast<std::int64_t>(values.size());
  return {{n}, std::move(values)};
}

std::vector<double> numbers(const Array& array) {
  return std::visit(
      [](const auto& values) -> std::vector<double> {
        using Value = typename std::decay_t<decltype(values)>::value_type;
        if constexpr (std::is_same_v<Value, std::string>)
          return {};
        else
          return {values.begin(), values.end()};
      },
      array.values);
}

std::vector<std::int64_t> whole_numbers(const Array& array) {
  const auto* values = std::get_if<std::vector<std::int64_t>>(&array.values);
  return values != nullptr ? *values : std::vector<std::int64_t>();
}

std::string text_of(const Array& array) {
  const auto* values = std::get_if<std::vector<std::string>>(&array.values);
  return values != nullptr && values->size() == 1 ? values->front() : "";
}

std::int64_t count(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

std::string shape_text(const Shape& shape) {
  if (shape.empty()) return "a single value";
  std::vector<std::string> sizes;
  for (const std::int64_t size : shape) sizes.push_back(std::to_string(size));
  return "[" + join(sizes, ", ") + "]";
}

}  // namespace grapes::nir
