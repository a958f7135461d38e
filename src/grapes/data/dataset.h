#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace grapes::data {

/// Kind of targets: a class, values, or bits at every time step of a sequence.
enum class ProblemKind { classification, regression, prediction };

/// Some examples. Inputs are [batch, ...] float32; targets are [batch] int64 class numbers or [batch, outputs] float32
/// values. Sequences: inputs are [batch, time, ...], with shorter ones padded by zeros; targets of a prediction are
/// [batch, time, outputs] float32.
struct Batch {
  at::Tensor inputs;
  at::Tensor targets;
  at::Tensor present = {};  ///< of sequences: [batch, time] bool, false for padding
};

/// Properties that all examples of a data set share.
struct DatasetInfo {
  ProblemKind problem = ProblemKind::classification;
  std::vector<std::int64_t> input_shape;  ///< of one example, or of one time step of a sequence: {1, 28, 28} (channels,
                                          ///< rows, columns) or {13}
  std::int64_t outputs = 0;               ///< number of classes, or of regression targets
  std::vector<std::string> classes;       ///< a name per class, or per regression target
  bool sequence = false;                  ///< examples are sequences
  std::vector<std::string> inputs = {};   ///< of a table: a name per input, "age" or one-hot "city=Oslo"; else empty
  std::vector<float> fill = {};           ///< of a table whose missing values are filled: what replaces one, per input
  /// Of a regression whose targets are standardized: mean and standard deviation of each over the training examples.
  /// The network computes (target - mean) / deviation; data sets, predictions and errors keep the targets' own units.
  std::vector<double> target_mean = {}, target_deviation = {};
};

/// Examples by number. Decorators (subset, normalized, augmented) wrap another data set.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual std::int64_t size() const = 0;
  virtual const DatasetInfo& info() const = 0;
  /// Returns the examples with these numbers, in this order. Thread-safe: training runs share data sets.
  /// @param rows   [batch] int64, each in 0 ... size()-1
  /// @param seed   for augmentation: the same (rows, seed) give the same batch; other data sets ignore it
  virtual Batch get(const at::Tensor& rows, std::uint64_t seed = 0) const = 0;
  /// Returns all targets, for class counts and splits: [n] int64 or [n, outputs] float32. For a prediction it is [n,
  /// 0], because targets belong to time steps. Inputs are not read.
  virtual at::Tensor targets() const = 0;
};

using DatasetPtr = std::shared_ptr<const Dataset>;

/// Base of data sets that wrap another one. Methods that are not overridden are those of the wrapped one.
class Decorator : public Dataset {
 public:
  explicit Decorator(DatasetPtr source) : source_(std::move(source)), info_(source_->info()) {}
  std::int64_t size() const override { return source_->size(); }
  const DatasetInfo& info() const final { return info_; }
  at::Tensor targets() const override { return source_->targets(); }

 protected:
  const DatasetPtr source_;
  DatasetInfo info_;
};

/// Holds the data in memory as it was read (bytes stay bytes). A batch is converted: input = float(raw) * scale. Only
/// the examples of a batch are read, so the inputs may lie in a mapped file.
/// @param inputs   [n, ...] of any type of number
/// @param targets  [n] int64 or [n, outputs] float32
DatasetPtr memory(at::Tensor inputs, at::Tensor targets, DatasetInfo info, float scale = 1);

/// Holds sequences in memory, one after the other. In a batch shorter ones are padded by zeros.
/// @param inputs   [total steps, ...] uint8 or float32
/// @param targets  [n] int64 class numbers; of a prediction [total steps, outputs] uint8
/// @param lengths  [n] int64, number of steps of each sequence
DatasetPtr sequences(at::Tensor inputs, at::Tensor targets, const at::Tensor& lengths, DatasetInfo info);

/// Selects the examples `rows` [m] int64 of another data set.
DatasetPtr subset(DatasetPtr whole, at::Tensor rows);

}  // namespace grapes::data
