#pragma once

#include "grapes/nir/graph.h"

#include <string>

namespace grapes::nir {

/// Inserts the nodes of a graph `inner`, which is a node `name` of `outer`, into `outer` as "name/inner", and connects
/// the edges: edges to `name` lead to the successors of its Input, edges from it come from the predecessors of its
/// Output. Its Input and Output are removed. snnTorch writes recurrent neurons in this form.
/// @return an error message, or ""
std::string take_in(Graph& outer, const std::string& name, const Graph& inner);

}  // namespace grapes::nir
