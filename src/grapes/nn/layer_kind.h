#pragma once

#include "grapes/kernels/workspace.h"
#include "grapes/nn/activation.h"
#include "grapes/nn/analog_options.h"
#include "grapes/nn/layer.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

/// Layers by name, for the stages of a model.
namespace grapes::nn {

/// What a network has for a layer that it makes.
struct LayerSetting {
  at::Tensor weight;             ///< W, [unit, input], drawn: a leaf
  at::Tensor bias;               ///< [unit], or undefined
  const Activation* activation;  ///< null: none
  double dropout;                ///< probability to drop a unit of the value
  bool bf16;                     ///< products in training take their factors rounded to bfloat16
  bool sums;                     ///< factors want the row sums of W at every step
  const AnalogOptions& analog;
  std::uint64_t seed;  ///< of what the layer draws itself
  kernels::WorkspacePtr workspace;
};
using MakeLayer = std::unique_ptr<Layer>(const LayerSetting& setting);

/// A row of layer_kinds(): from [batch, input] to [batch, unit]. Factors, routes, rounding and the factors' options
/// come with Layer; the law tests take every row.
struct LayerKind {
  std::string name;
  std::string summary;  ///< its equation
  bool bf16;            ///< whether it knows LayerSetting::bf16
  MakeLayer* make;
};
const std::vector<LayerKind>& layer_kinds();

// Each in the file of its class.
MakeLayer linear_layer;
MakeLayer crossbar_layer;

}  // namespace grapes::nn
