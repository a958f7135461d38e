#pragma once

#include "grapes/exchange/checkpoint.h"
#include "grapes/onnx/graph.h"

#include <string>

/// Converts checkpoints to ONNX models and back.
namespace grapes::exchange {

/// Converts a checkpoint to a model that takes inputs as they are in the data, [batch, ...], and returns what
/// `grapes predict` prints: probabilities, or values in the targets' own units, [batch, outputs]. All numbers are
/// float32.
///
/// | of the checkpoint             | operators                                                               |
/// | normalization of the inputs   | Sub, Mul                                                                |
/// | dense layer                   | Flatten, Gemm                                                           |
/// | convolution                   | Conv                                                                    |
/// | batch normalization           | BatchNormalization with the running statistics                          |
/// | activation                    | Relu, LeakyRelu, Tanh, Sigmoid; scaled_tanh: Mul, Tanh, Mul             |
/// | pooling                       | MaxPool, AveragePool, GlobalMaxPool, GlobalAveragePool                  |
/// | residual sum                  | Add                                                                     |
/// | output function, target scale | Softmax or an activation; Mul, Add                                      |
/// | numbers in qM.N or intN       | QONNX's Quant, before every use                                         |
/// | numbers in floating formats   | QONNX's FloatQuant                                                      |
///
/// Its metadata contain the configuration ("config", TOML) and the data set ("dataset", JSON), which from_onnx() reads.
/// @param logits  leave out the output function and the scale of the targets
/// @throws UsageError with the layer, for spiking neurons, crossbars, activations whose scale follows the batch, and
///   dropout in evaluation
onnx::Model to_onnx(const experiment::Loaded& loaded, bool logits = false);

/// Returns the configuration in the metadata of a model from to_onnx(), or else the defaults of a network of another
/// program. @param file  for messages @throws DataError with the file
experiment::Config config_of(const onnx::Model& model, const std::string& file);

/// Converts a model whose graph is a chain of the operators above, with residual sums; see docs/onnx.md for what else
/// is read. The graph determines the network; a normalization of dense layers, factors and offsets become part of the
/// weights before them.
/// @param config  everything that the graph does not contain
/// @param splits  the data for the network; null: those in the metadata, else numbered classes or targets
/// @throws DataError with the node and its operator, for a graph that no model of Grapes computes, or whose inputs or
///   outputs do not match the data
Import from_onnx(const onnx::Model& model, experiment::Config config, const data::Splits* splits,
                 const std::string& file);

}  // namespace grapes::exchange
