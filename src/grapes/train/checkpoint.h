#pragma once

#include "grapes/train/safetensors.h"
#include "grapes/train/state.h"

#include <string>

namespace grapes::train {

/// Packs a checkpoint, which is one safetensors file. It contains parameters and buffers under their own names, and
/// "optimizer.*" and "gradient.*" for resuming. Its metadata has "format" = "grapes-checkpoint/1", "config" (TOML),
/// "dataset" (JSON: problem, shape, classes), "progress" (JSON) and "schedule" (JSON). Floating-point numbers are
/// written so that they parse to the same double.
Tensors pack(const TrainState& state);
/// Packs the weights only: parameters and buffers.
Tensors pack_weights(const nn::Network& model);
/// Loads everything, including the progress. The model must have the same parameters.
/// @throws DataError with the file and the first key that is missing, unexpected or of another shape
void unpack(const Tensors& content, TrainState& state, const std::string& file);
/// Renames the weights of a network with fewer hidden layers, so that load_weights() with `strict` false gives a grown
/// network its first hidden layers and its output layer. The layers between them keep their values.
/// @throws DataError if the network in the file does not have fewer layers, or none
Tensors grown(const Tensors& content, const nn::Network& model, const std::string& file);
/// Loads parameters and buffers only. With `strict` false, buffers may be missing.
void load_weights(const Tensors& content, nn::Network& model, const std::string& file, bool strict = true);

}  // namespace grapes::train
