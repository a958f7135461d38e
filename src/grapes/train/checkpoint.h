#pragma once

#include "grapes/train/safetensors.h"
#include "grapes/train/trainer.h"

#include <filesystem>
#include <string>

namespace grapes::train {

/// A checkpoint is one safetensors file: parameters and buffers under their own names, "optimizer.*" and "gradient.*"
/// for resuming, and in its metadata "format" = "grapes-checkpoint/1", "config" (TOML), "dataset" (JSON: problem,
/// shape, classes), "position" (JSON), "schedule" (JSON). Floating-point numbers are written so that they read back to
/// the same double.
Tensors pack(const Subject& subject, const Position& position);
/// Copies everything back; the model must have the same parameters. @throws DataError naming the file and the first key
/// that is missing, unexpected or of another shape
Position unpack(const Tensors& content, Subject subject, const std::string& file);
/// Only parameters and buffers (evaluation, --init). With `strict` false, buffers may be missing.
void load_weights(const Tensors& content, nn::Network& model, const std::string& file, bool strict = true);

}  // namespace grapes::train
