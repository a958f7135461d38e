#pragma once

#include "grapes/credit/route.h"
#include "grapes/nn/activation.h"
#include "grapes/nn/init.h"
#include "grapes/nn/models.h"
#include "grapes/nn/neuron.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

/// The plan of a network: everything that is known before its weights are drawn.
namespace grapes::nn {

struct LayerKind;
struct Options;
struct Readout;

/// Size of one example between two stages. A vector has one row and one column.
struct Map {
  std::int64_t channels = 1, rows = 1, columns = 1;
  std::int64_t positions() const { return rows * columns; }
  std::int64_t values() const { return channels * positions(); }
  bool operator==(const Map&) const = default;
};

struct StagePlan {
  Map in, out;
  Map before_pooling;                ///< the same as `out` without pooling
  const LayerKind* kind = nullptr;   ///< dense layers
  const Readout* readout = nullptr;  ///< output layers of spiking neurons
};

struct Plan {
  at::TensorOptions placed;  ///< dtype and device of every weight
  credit::Rule rule;         ///< as returned by credit::resolved()
  const credit::Route* route = nullptr;
  const Activation* activation = nullptr;
  const Initializer *init = nullptr, *feedback_init = nullptr;
  SnuOptions neurons;             ///< of spiking networks
  std::vector<StagePlan> stages;  ///< in the order of the network's stages
};

/// Checks the options and derives all that does not depend on the seed. A network that can be planned can be made.
/// @throws UsageError for an invalid option, or stages that do not fit the examples; c10::ValueError for an invalid
///   rule or neuron
Plan plan(const Options& options, const Stages& stages, const Signature& signature);

}  // namespace grapes::nn
