#pragma once

#include "grapes/nir/graph.h"

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::nir {

/// A row per node, for people.
struct Row {
  std::string name, type;
  std::string in, out;          ///< shapes, "?" if unknown
  std::vector<std::string> to;  ///< successors
  std::int64_t numbers = 0;     ///< number of its parameters, without whole numbers
};
/// Returns the nodes in the order of the data flow, from the Inputs on; nodes that are not reached come last.
std::vector<Row> outline(const Graph& graph);

}  // namespace grapes::nir
