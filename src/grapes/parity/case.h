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

/// The L matrices of a network after an update, by the number of the update.
using Snapshots = std::map<std::int64_t, std::vector<at::Tensor>>;

/// A recorded run of the authors' program: where it started, what it was shown, and what came out. All in float64.
struct Case {
  std::string name;
  nn::Options network;  ///< with the options below, what makes `grapes train` do what their program did
  optim::Options optimizer;
  train::Options training;
  std::string output;                ///< softmax, or a row of nn::activations()
  std::vector<std::int64_t> layers;  ///< node counts, inputs first
  at::Tensor inputs;                 ///< [sample, input], in the order of training
  at::Tensor labels;                 ///< [sample] int64
  std::vector<at::Tensor> weights;   ///< at the start
  std::vector<at::Tensor> feedback;  ///< of the layers that have one
  std::vector<at::Tensor> masks;     ///< per hidden layer [sample in training order, node]; or none
  at::Tensor outputs;                ///< [sample in training order, output]; or undefined
  struct Factor {
    std::int64_t sample;  ///< in training order, of the first of its batch
    std::size_t layer;    ///< from 0
    bool columns;         ///< of the columns of the layer's weight; else of its nodes
    at::Tensor values;
  };
  std::vector<Factor> factors;
  Snapshots weights_after;
};

/// Reads a file of format "grapes-golden/1".
/// @throws DataError naming the file and the field that is missing or wrong
Case read(const std::filesystem::path& file);

/// As a case's weights_after.
nlohmann::json to_json(const Snapshots& snapshots);

}  // namespace grapes::parity
