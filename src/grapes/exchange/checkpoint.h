#pragma once

#include "grapes/data/open.h"
#include "grapes/exchange/nir.h"
#include "grapes/experiment/checkpoint.h"
#include "grapes/nir/graph.h"

#include <memory>
#include <string>
#include <vector>

/// Converts checkpoints of spiking networks to NIR graphs and back.
namespace grapes::exchange {

/// The graph of a checkpoint. Its metadata contain what NIR cannot express, so that checkpoint_of() can restore the
/// checkpoint: the configuration ("config", TOML), the data set ("dataset", JSON), the normalization of inputs
/// ("input_shift", "input_scale"), and what was replaced ("approximations").
struct Export {
  nir::Graph graph;
  std::vector<std::string> replaced;  ///< a sentence for each property that NIR cannot express
};
/// @param dt           time step, s
/// @param approximate  replace what NIR cannot express by the nearest equivalent; false: throw
/// @throws UsageError  as net_of() and to_nir() do
Export graph_of(const experiment::Loaded& loaded, double dt, bool approximate);

/// A checkpoint that can be saved.
struct Import {
  experiment::Config config;
  data::DatasetInfo info;
  data::Normalization normalization;
  std::unique_ptr<nn::Network> model;
};
/// Restores the checkpoint of a graph from graph_of(). @param file  for messages
/// @throws DataError with the file and what is missing in its metadata or contradicts its nodes
Import checkpoint_of(const nir::Graph& graph, const std::string& file);

/// Converts another program's graph, with a time step of `dt` seconds.
/// @param config  everything that a graph does not contain
/// @param splits  the data for the network; null: classes are numbers
/// @throws DataError  for a graph that no model supports, or whose inputs or outputs do not match the data
Import checkpoint_of(const nir::Graph& graph, double dt, const Reading& reading, experiment::Config config,
                     const data::Splits* splits, const std::string& file);

}  // namespace grapes::exchange
