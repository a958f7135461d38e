#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

/// Graphs of the Neuromorphic Intermediate Representation (NIR; Pedersen et al. 2024, doi 10.1038/s41467-024-52259-9)
/// as plain values. nir/file.h reads and writes them, nir/types.h says which nodes there are, nir/check.h what is
/// wrong.
namespace grapes::nir {

using Shape = std::vector<std::int64_t>;

/// Numbers or text of some shape, row-major; {} is the shape of a single value.
struct Array {
  using Values =
      std::variant<std::vector<double>, std::vector<float>, std::vector<std::int64_t>, std::vector<std::string>>;
  Shape shape;
  Values values;

  bool is_text() const { return std::holds_alternative<std::vector<std::string>>(values); }
  bool is_whole() const { return std::holds_alternative<std::vector<std::int64_t>>(values); }
  bool operator==(const Array&) const = default;
};
using Fields = std::map<std::string, Array>;

/// A node: what it is and its parameters, by the names of NIR. Metadata means nothing to NIR.
struct Node {
  std::string type;
  Fields fields;
  Fields metadata;
  bool operator==(const Node&) const = default;
};

/// A directed graph. What leaves a node is added to what arrives at the nodes that its edges lead to.
struct Graph {
  std::string version = "1.0.7";  ///< of NIR
  std::map<std::string, Node> nodes;
  std::vector<std::pair<std::string, std::string>> edges;  ///< from, to
  Fields metadata;
  bool operator==(const Graph&) const = default;
};

Array text(std::string value);
Array number(double value);
Array whole(std::int64_t value);
/// One axis.
Array wholes(std::vector<std::int64_t> values);

/// All numbers as double; of text none.
std::vector<double> numbers(const Array& array);
/// All whole numbers; of anything else none.
std::vector<std::int64_t> whole_numbers(const Array& array);
/// The one text there is; of anything else "".
std::string text_of(const Array& array);

std::int64_t count(const Shape& shape);
/// "[2, 3]", or "a single value" for {}.
std::string shape_text(const Shape& shape);

}  // namespace grapes::nir
