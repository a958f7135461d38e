#pragma once

#include "grapes/data/open.h"
#include "grapes/experiment/checkpoint.h"
#include "grapes/nir/graph.h"

#include <memory>
#include <string>
#include <vector>

/// Checkpoints of spiking networks as graphs of NIR, and back.
namespace grapes::exchange {

/// The graph of a checkpoint. Its metadata hold what NIR has no place for, so that checkpoint_of() makes the same
/// checkpoint again: the configuration ("config", TOML), the data set ("dataset", JSON), how inputs are normalized
/// ("input_shift", "input_scale"), what was replaced ("approximations").
struct Export {
  nir::Graph graph;
  std::vector<std::string> replaced;  ///< a sentence for each thing that NIR cannot express
};
/// @param dt           s, of a step
/// @param approximate  what NIR cannot express is replaced by what is nearest to it, else refused
/// @throws UsageError  as net_of() and to_nir() do
Export graph_of(const experiment::Loaded& loaded, double dt, bool approximate);

/// A checkpoint to be saved.
struct Import {
  experiment::Config config;
  data::DatasetInfo info;
  data::Normalization normalization;
  std::unique_ptr<nn::Network> model;
};
/// Of a graph that graph_of() made. @param file  for messages
/// @throws DataError that names the file and what is missing in its metadata or no longer goes with its nodes
Import checkpoint_of(const nir::Graph& graph, const std::string& file);

/// Of another program's graph, whose step is `dt` seconds.
/// @param config  of everything that a graph does not say
/// @param splits  the data it is for; null: its classes are numbers
/// @throws DataError  for a graph that no model of ours computes, or that takes or gives something else than the data
Import checkpoint_of(const nir::Graph& graph, double dt, experiment::Config config, const data::Splits* splits,
                     const std::string& file);

}  // namespace grapes::exchange
