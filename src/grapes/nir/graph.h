#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

/// Graphs of the Neuromorphic Intermediate Representation (NIR; Pedersen et al. 2024, doi 10.1038/s41467-024-52259-9)
/// as plain values. nir/file.h reads and writes them, nir/types.h has the table of nodes, nir/check.h validates them.
namespace grapes::nir {

using Shape = std::vector<std::int64_t>;

/// Numbers or text with a shape, row-major; {} is the shape of a single value.
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

/// A node: its type and its parameters, with NIR's names. NIR ignores the metadata.
struct Node {
  std::string type;
  Fields fields;
  Fields metadata;
  bool operator==(const Node&) const = default;
};

/// A directed graph. The output of a node is added to the inputs of its successors.
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
/// Returns an array with one axis.
Array wholes(std::vector<std::int64_t> values);

/// Returns all numbers as double; empty for text.
std::vector<double> numbers(const Array& array);
/// Returns all whole numbers; empty for anything else.
std::vector<std::int64_t> whole_numbers(const Array& array);
/// Returns a single text; "" for anything else.
std::string text_of(const Array& array);

std::int64_t count(const Shape& shape);
/// Returns "[2, 3]", or "a single value" for {}.
std::string shape_text(const Shape& shape);

}  // namespace grapes::nir
