#pragma once

#include "grapes/data/dataset.h"
#include "grapes/nn/network.h"
#include "grapes/train/safetensors.h"

#include <string>
#include <utility>
#include <vector>

/// Exchanges weights with PyTorch. A tensor's name is that of its module and, after the last dot, of the parameter:
/// "features.0.weight".
namespace grapes::exchange {

/// Returns the model's modules in the order of its parameters: "layers.0", "layers.1", ...
std::vector<std::string> modules_of(const nn::Network& model);

/// Returns the names of a model's layers in a torch.nn.Sequential: "0", "2", "4" with an activation after each layer
/// except the last; "0", "3", "6" with dropout after the activations; "0", "1", "2" for spiking layers, because
/// torch_grapes.nn.Snu is a complete layer.
std::vector<std::string> sequential_names(const nn::Network& model, const nn::Options& options);

/// Returns the model's parameters under other names, and optionally its buffers (feedback weights).
/// @param names  one per module, in order
/// @throws UsageError if their number is wrong, or two are equal
train::Tensors export_weights(const nn::Network& model, const std::vector<std::string>& names, bool buffers);

/// Returns the modules of a file that have a floating-point "weight" with at least two axes. Numbers in names are
/// sorted as numbers: "0", "2", "10".
std::vector<std::string> weighted_modules(const train::Tensors& content);

/// The same for a chain of linear layers.
/// @throws DataError with the file, if there is no layer, a weight is not a matrix, or the sizes of layers do not match
std::vector<std::string> guess_modules(const train::Tensors& content, const std::string& file);

/// The sizes of a network of linear layers in a file.
struct DenseChain {
  nn::Model model;
  std::int64_t inputs, outputs;
};
/// @param names  modules of the file, from input to output
/// @throws DataError with the file and a module without a matrix
DenseChain dense_chain(const train::Tensors& content, const std::vector<std::string>& names, const std::string& file);
/// Whether any of the modules has a bias.
bool has_biases(const train::Tensors& content, const std::vector<std::string>& names);

/// Describes a data set of which only the sizes are known: classes by number.
data::DatasetInfo numbered_classes(std::vector<std::int64_t> input_shape, std::int64_t outputs);

/// The result of matching names.
struct Match {
  std::vector<std::pair<std::string, std::string>> loaded;  ///< in the file -> in the model
  std::vector<std::string> missing;     ///< names in the file that are expected and missing; buffers are optional
  std::vector<std::string> unexpected;  ///< names in the file that are not expected
  std::vector<std::string> misshapen;   ///< "0.weight is [5, 4], must be [5, 3]"
  bool whole() const { return missing.empty() && unexpected.empty() && misshapen.empty(); }
  /// Returns "missing: 0.bias; unexpected: 4.weight", or "" if everything matches.
  std::string faults() const;
};
/// Copies all tensors that match to the model, from any dtype.
/// @param names  modules of the file, one per module of the model, in order @throws UsageError as above
Match import_weights(const train::Tensors& content, nn::Network& model, const std::vector<std::string>& names);

}  // namespace grapes::exchange
