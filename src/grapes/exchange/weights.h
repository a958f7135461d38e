#pragma once

#include "grapes/data/dataset.h"
#include "grapes/nn/network.h"
#include "grapes/train/safetensors.h"

#include <string>
#include <utility>
#include <vector>

/// Networks of others: the same tensors under the names that PyTorch gives them. A tensor's name is its module's and,
/// after the last dot, what it is there: "features.0.weight".
namespace grapes::exchange {

/// The model's modules, in the order of its parameters: "layers.0", "layers.1", ...
std::vector<std::string> modules_of(const nn::Network& model);

/// The names that a model's layers have in a torch.nn.Sequential: "0", "2", "4" with an activation after each but the
/// last, "0", "3", "6" with a dropout after that; "0", "1", "2" of spiking layers, as torch_grapes.nn.Snu is a whole
/// one.
std::vector<std::string> sequential_names(const nn::Network& model, const nn::Options& options);

/// The model's parameters under other names; its buffers (feedback weights) too, if asked for.
/// @param names  of its modules, one each, in order
/// @throws UsageError if they are too few, too many, or two alike
train::Tensors export_weights(const nn::Network& model, const std::vector<std::string>& names, bool buffers);

/// The modules of a file that have a floating-point "weight" of two axes or more, numbers in names counted as numbers:
/// "0", "2", "10".
std::vector<std::string> weighted_modules(const train::Tensors& content);

/// The same for a chain of dense layers.
/// @throws DataError that names the file, if there is none, one is no matrix or does not take what the one before gives
std::vector<std::string> guess_modules(const train::Tensors& content, const std::string& file);

/// What a file's dense layers say of their network.
struct DenseChain {
  nn::Model model;
  std::int64_t inputs, outputs;
};
/// @param names  of the file's modules, from input to output
/// @throws DataError that names the file and a module without a matrix
DenseChain dense_chain(const train::Tensors& content, const std::vector<std::string>& names, const std::string& file);
/// Whether any of the modules has a bias.
bool has_biases(const train::Tensors& content, const std::vector<std::string>& names);

/// A data set of which nothing is known but its sizes: classes by number.
data::DatasetInfo numbered_classes(std::vector<std::int64_t> input_shape, std::int64_t outputs);

/// What became of the names.
struct Match {
  std::vector<std::pair<std::string, std::string>> loaded;  ///< in the file -> in the model
  std::vector<std::string> missing;     ///< in the file's terms: wanted and not there. Buffers are never wanted.
  std::vector<std::string> unexpected;  ///< there and not wanted
  std::vector<std::string> misshapen;   ///< "0.weight is [5, 4], must be [5, 3]"
  bool whole() const { return missing.empty() && unexpected.empty() && misshapen.empty(); }
  /// "missing: 0.bias; unexpected: 4.weight", or "" if it is whole.
  std::string faults() const;
};
/// Copies everything that fits into the model; any dtype.
/// @param names  of the file's modules, one for each of the model's, in order. @throws UsageError as above
Match import_weights(const train::Tensors& content, nn::Network& model, const std::vector<std::string>& names);

}  // namespace grapes::exchange
