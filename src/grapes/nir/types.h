#pragma once

#include "grapes/nir/graph.h"

#include <limits>
#include <optional>
#include <string>
#include <vector>

/// The node types of NIR 1.0: their parameters, and their effect on shapes.
namespace grapes::nir {

/// A parameter of a node.
struct Parameter {
  enum class Kind {
    population,  ///< a number per neuron: all parameters of a node have the population's shape
    weights,     ///< numbers with `axes` axes
    counts,      ///< whole numbers: `axes` of them, or one for all axes
    padding,     ///< the same, or "same" or "valid"
    shape,       ///< whole numbers, one per axis
  };
  std::string name;
  Kind kind;
  int axes = 1;
  double above = -std::numeric_limits<double>::infinity();  ///< lower limit of every number, exclusive
  bool required = true;
};

/// The output shape for an input shape, or an error message.
struct Flow {
  Shape out;
  std::string fault;
};

/// A type of node.
struct Type {
  std::string name;
  std::string summary;  ///< equation, as in NIR
  std::vector<Parameter> parameters;
  bool remembers;                                   ///< has a state, so it may close a loop
  std::optional<Shape> (*takes)(const Node& node);  ///< the shape of its input, if its parameters determine it
  Flow (*gives)(const Node& node, const Shape& in);
};
/// Functions of a row expect the parameters that the row declares.
const std::vector<Type>& types();
/// Returns the row, or null.
const Type* type_of(const Node& node);

/// Returns whole numbers of a parameter that may be given once for all axes. @param otherwise  default value
std::vector<std::int64_t> per_axis(const Node& node, const std::string& name, std::size_t axes,
                                   std::int64_t otherwise = 0);

}  // namespace grapes::nir
