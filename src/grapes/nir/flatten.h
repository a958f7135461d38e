#pragma once

#include "grapes/nir/graph.h"

#include <string>

namespace grapes::nir {

/// Puts the nodes of a graph that is a node `name` of another into that one, as "name/inner", and joins the edges: what
/// led to it leads to whatever its Input leads to, what came from it comes from whatever leads to its Output; these two
/// are gone. So snnTorch writes neurons that hear themselves.
/// @return what cannot be, or ""
std::string take_in(Graph& outer, const std::string& name, const Graph& inner);

}  // namespace grapes::nir
