#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

/// Models of ONNX (Open Neural Network Exchange) as plain values. onnx/file.h reads and writes them.
namespace grapes::onnx {

using Shape = std::vector<std::int64_t>;

/// Numbers with a name and a shape, row-major; {} is the shape of a single value. Whole numbers and truth values of all
/// widths are int64.
struct Tensor {
  using Values = std::variant<std::vector<float>, std::vector<double>, std::vector<std::int64_t>>;
  std::string name;
  Shape shape;
  Values values;
  bool operator==(const Tensor&) const = default;
};

using Attribute = std::variant<std::int64_t, float, std::string, Tensor, std::vector<std::int64_t>, std::vector<float>>;

/// An operator: its type and domain, the names of the values that it takes and gives, and its attributes. An optional
/// input that is not given has an empty name.
struct Node {
  std::string name, type;
  std::string domain = {};  ///< "" for ONNX's own operators
  std::vector<std::string> inputs, outputs;
  std::map<std::string, Attribute> attributes = {};
  bool operator==(const Node&) const = default;
};

/// An input or output of a graph. The size of an axis is -1 if the file does not fix it, like that of the batch.
struct Value {
  std::string name;
  Shape shape;
  bool operator==(const Value&) const = default;
};

/// Nodes in an order in which every value is computed before it is used. Initializers are the constants.
struct Graph {
  std::string name;
  std::vector<Value> inputs, outputs;
  std::vector<Tensor> initializers;
  std::vector<Node> nodes;
  bool operator==(const Graph&) const = default;
};

struct Model {
  std::int64_t format = 7;  ///< version of the file format, which ONNX calls IR version
  std::string producer, producer_version;
  std::map<std::string, std::int64_t> operators;  ///< domain -> version of its operators
  std::map<std::string, std::string> metadata;
  Graph graph;
  bool operator==(const Model&) const = default;
};

/// Returns the number of elements, or nothing if an axis is of unknown size or there are 2^31 elements or more.
std::optional<std::int64_t> elements(const Shape& shape);
/// Returns "[2, 3]", with ? for an axis of unknown size.
std::string shape_text(const Shape& shape);

}  // namespace grapes::onnx
