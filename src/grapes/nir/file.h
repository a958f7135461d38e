#pragma once

#include "grapes/nir/graph.h"

#include <filesystem>

namespace grapes::nir {

/// Reads a graph from a NIR file, which is HDF5: /version, /node/edges [edge, 2], and per node a group /node/nodes/NAME
/// with its type and parameters as data sets. Use check() to validate the graph.
/// @throws DataError with the file and the reason: missing, not HDF5, truncated or damaged, not a NIR graph, a node
///   without a type, or a data set with neither numbers nor text
Graph read(const std::filesystem::path& file);

/// Writes the file atomically. The same graph gives the same bytes. Floating-point numbers keep their precision.
/// @throws DataError if it cannot be written
void write(const std::filesystem::path& file, const Graph& graph);

}  // namespace grapes::nir
