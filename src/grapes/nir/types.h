#pragma once

#include "grapes/nir/graph.h"

#include <limits>
#include <optional>
#include <string>
#include <vector>

/// The nodes that NIR 1.0 has: their parameters, and what they do to shapes.
namespace grapes::nir {

/// A parameter of a node.
struct Parameter {
  enum class Kind {
    population,  ///< a number per neuron: the shape is the population's, and all of a node have the same
    weights,     ///< numbers with `axes` axes
    counts,      ///< whole numbers: `axes` of them, or one for all
    padding,     ///< the same, or "same" or "valid"
    shape,       ///< whole numbers, as many as there are axes
  };
  std::string name;
  Kind kind;
  int axes = 1;
  double above = -std::numeric_limits<double>::infinity();  ///< every number is
  bool required = true;
};

/// What a node makes of an input's shape, or why it cannot be.
struct Flow {
  Shape out;
  std::string fault;
};

/// A type of node.
struct Type {
  std::string name;
  std::string summary;  ///< its equation, as NIR gives it
  std::vector<Parameter> parameters;
  bool remembers;                                   ///< has a state: may stand in a loop
  std::optional<Shape> (*takes)(const Node& node);  ///< the shape of its input, if its parameters say it
  Flow (*gives)(const Node& node, const Shape& in);
};
/// The functions of a row expect the parameters that the row asks for.
const std::vector<Type>& types();
/// The row, or null.
const Type* type_of(const Node& node);

/// Whole numbers of a parameter that may be given once for all axes. @param otherwise  if the parameter is not there
std::vector<std::int64_t> per_axis(const Node& node, const std::string& name, std::size_t axes,
                                   std::int64_t otherwise = 0);

}  // namespace grapes::nir
