#pragma once

#include "grapes/nir/graph.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace grapes::nir {

/// An error in a graph: its place, what was found and what was expected.
struct Fault {
  std::string node;   ///< name of the node; "" for the graph as a whole
  std::string field;  ///< name of the parameter, or ""
  std::string text;

  std::string line() const;  ///< "node 'lif', tau: must be above 0; got -1"
};

/// Returns all errors that make a graph invalid under NIR 1.0 or impossible to compute: a version other than 0.x or
/// 1.x; an unknown type; parameters that are missing, unknown, of the wrong kind or shape, out of range or not finite;
/// parameters of a population with different shapes, or a single value instead of one per neuron; edges with unknown
/// ends, duplicate edges, edges into an Input or out of an Output; a missing Input or Output; nodes that no input
/// reaches or that lead to no output; shapes that do not match along an edge; a loop without a node that has a state.
std::vector<Fault> check(const Graph& graph);

/// Input and output shape of a node, without the batch, if they are known.
struct Ends {
  std::optional<Shape> in, out;
};
/// Returns the shapes by node. In a valid graph, they are known for all nodes that an input reaches.
std::map<std::string, Ends> shapes(const Graph& graph);

}  // namespace grapes::nir
