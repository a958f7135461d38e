#pragma once

#include "grapes/nir/graph.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace grapes::nir {

/// What is wrong, where, and what was expected.
struct Fault {
  std::string node;   ///< its name; "" of the graph as a whole
  std::string field;  ///< its parameter, or ""
  std::string text;

  std::string line() const;  ///< "node 'lif', tau: must be above 0; got -1"
};

/// Everything that keeps a graph from being what NIR 1.0 calls one, or from being computed:
/// a version that is not 0.x or 1.x; a type that does not exist; parameters that are missing, unknown, of the wrong
/// kind or shape, or not in range or finite; parameters of a population of different shapes, or a single value in place
/// of one per neuron; edges from or to nowhere, twice, into an Input or out of an Output; no Input or Output; nodes
/// that no input reaches, or that lead to no output; shapes that do not fit along an edge; a loop without a node that
/// remembers.
std::vector<Fault> check(const Graph& graph);

/// The shapes of what comes into a node and of what leaves it, without a batch; as far as they can be told.
struct Ends {
  std::optional<Shape> in, out;
};
/// By node. Of a sound graph all that an input reaches are there.
std::map<std::string, Ends> shapes(const Graph& graph);

}  // namespace grapes::nir
