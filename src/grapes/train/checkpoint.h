#pragma once

#include "grapes/train/safetensors.h"
#include "grapes/train/state.h"

#include <string>

namespace grapes::train {

/// A checkpoint is one safetensors file: parameters and buffers under their own names, "optimizer.*" and "gradient.*"
/// for resuming, and in its metadata "format" = "grapes-checkpoint/1", "config" (TOML), "dataset" (JSON: problem,
/// shape, classes), "progress" (JSON), "schedule" (JSON). Floating-point numbers are written so that they read back to
/// the same double.
Tensors pack(const TrainState& state);
/// The weights alone: parameters and buffers.
Tensors pack_weights(const nn::Network& model);
/// Copies everything back, the progress too; the model must have the same parameters.
/// @throws DataError naming the file and the first key that is missing, unexpected or of another shape
void unpack(const Tensors& content, TrainState& state, const std::string& file);
/// Only parameters and buffers. With `strict` false, buffers may be missing.
void load_weights(const Tensors& content, nn::Network& model, const std::string& file, bool strict = true);

}  // namespace grapes::train
