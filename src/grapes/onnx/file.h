#pragma once

#include "grapes/onnx/graph.h"

#include <filesystem>

namespace grapes::onnx {

/// Reads a model from an ONNX file. Tensors may lie in other files of the same folder, as torch.onnx.export writes
/// them. Graphs inside of nodes, sparse tensors and functions are not read.
/// @throws DataError with the file and the reason: missing, damaged, not an ONNX model, a tensor of a type other than
///   numbers, with another number of bytes than its shape needs, or in a file outside of the folder
Model read(const std::filesystem::path& file);

/// Writes the file atomically. The same model gives the same bytes.
/// @throws DataError if it cannot be written
void write(const std::filesystem::path& file, const Model& model);

}  // namespace grapes::onnx
