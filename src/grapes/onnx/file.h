#pragma once

#include "grapes/onnx/graph.h"

#include <filesystem>

namespace grapes::onnx {

/// Reads a model from an ONNX file. Tensors may be in other files of the same folder, as torch.onnx.export writes
/// them. Graphs inside nodes, sparse tensors and functions are not read.
/// @throws DataError with the file and the reason: missing, damaged, not an ONNX model, a tensor of a type other than
///   numbers, with a number of bytes that does not match its shape, or in a file outside the folder
Model read(const std::filesystem::path& file);

/// Writes the file atomically. The same model gives the same bytes.
/// @throws DataError if it cannot be written
void write(const std::filesystem::path& file, const Model& model);

}  // namespace grapes::onnx
