#pragma once

#include "grapes/nir/graph.h"

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::nir {

/// A graph for people, a row a node.
struct Row {
  std::string name, type;
  std::string in, out;          ///< shapes, "?" where they cannot be told
  std::vector<std::string> to;  ///< where its edges lead
  std::int64_t numbers = 0;     ///< of its parameters that are no whole numbers
};
/// In the order in which data goes through, from the Inputs on; last the nodes that none of it reaches.
std::vector<Row> outline(const Graph& graph);

}  // namespace grapes::nir
