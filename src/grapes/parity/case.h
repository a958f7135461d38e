#pragma once

#include "grapes/nn/network.h"
#include "grapes/optim/optimizer.h"
#include "grapes/train/trainer.h"

#include <ATen/core/Tensor.h>
#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace grapes::parity {

/// The L matrices of a network after updates, by the number of the update.
using Snapshots = std::map<std::int64_t, std::vector<at::Tensor>>;

/// A recorded run of the authors' program: its initial weights, its examples and its results. All in float64.
struct Case {
  std::string name;
  nn::Options network;  ///< with the options below: settings with which `grapes train` does the same
  optim::Options optimizer;
  train::Options training;
  std::string output;                ///< softmax, or a name in nn::activations()
  std::vector<std::int64_t> layers;  ///< numbers of units, inputs first
  at::Tensor inputs;                 ///< [sample, input], in the order of training
  at::Tensor labels;                 ///< [sample] int64
  std::vector<at::Tensor> weights;   ///< initial weights
  std::vector<at::Tensor> feedback;  ///< of the layers that have one
  std::vector<at::Tensor> masks;     ///< per hidden layer [example in training order, unit]; or empty
  at::Tensor outputs;                ///< [example in training order, output]; or undefined
  struct Factor {
    std::int64_t sample;  ///< in training order, first example of its batch
    std::size_t layer;    ///< from 0
    bool columns;         ///< of the columns of the layer's weight; else of its units
    at::Tensor values;
  };
  std::vector<Factor> factors;
  Snapshots weights_after;
};

/// Reads a file of format "grapes-golden/1".
/// @throws DataError with the file and the field that is missing or invalid
Case read(const std::filesystem::path& file);

/// Converts to the form of a case's weights_after.
nlohmann::json to_json(const Snapshots& snapshots);

}  // namespace grapes::parity
