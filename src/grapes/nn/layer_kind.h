#pragma once

#include "grapes/kernels/workspace.h"
#include "grapes/nn/activation.h"
#include "grapes/nn/analog_options.h"
#include "grapes/nn/layer.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

/// Table of layer kinds, used in the stages of a model.
namespace grapes::nn {

/// What a network passes to a new layer.
struct LayerSetting {
  at::Tensor weight;             ///< W, [unit, input], initialized; a leaf
  at::Tensor bias;               ///< [unit], or undefined
  const Activation* activation;  ///< null: none
  double dropout;                ///< probability that a unit of the value is dropped
  bool bf16;                     ///< training: operands of products are rounded to bfloat16
  bool sums;                     ///< factors need the row sums of W at every step
  const AnalogOptions& analog;
  std::uint64_t seed;  ///< seed of random numbers that the layer draws itself
  kernels::WorkspacePtr workspace;
};
using MakeLayer = std::unique_ptr<Layer>(const LayerSetting& setting);

/// A row of layer_kinds(): maps [batch, input] to [batch, unit]. The base class Layer implements factors, routes and
/// rounding. The property tests run for every row.
struct LayerKind {
  std::string name;
  std::string summary;  ///< equation, for people
  bool bf16;            ///< whether it supports LayerSetting::bf16
  MakeLayer* make;
};
const std::vector<LayerKind>& layer_kinds();

// Each is defined in the file of its class.
MakeLayer linear_layer;
MakeLayer crossbar_layer;

}  // namespace grapes::nn
