#pragma once

#include "grapes/nir/graph.h"

#include <filesystem>

namespace grapes::nir {

/// A graph from a NIR file, which is HDF5: /version, /node/edges [edge, 2], and per node a group /node/nodes/NAME with
/// its type and parameters as data sets. That it is sound is for check() to say.
/// @throws DataError that names the file and what is wrong: missing, no HDF5, cut off or damaged, no NIR graph, a node
/// without a
///         type, a graph within a graph, a data set of another kind than numbers and text
Graph read(const std::filesystem::path& file);

/// Written atomically; the same graph gives the same bytes. Floating-point numbers keep their precision.
/// @throws DataError if it cannot be written
void write(const std::filesystem::path& file, const Graph& graph);

}  // namespace grapes::nir
