#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace grapes::data {

/// What is asked of an example: its class, values, or bits that are on or off at every step of a sequence.
enum class ProblemKind { classification, regression, prediction };

/// Some examples: inputs [batch, ...] float32; targets [batch] int64 class numbers, or [batch, outputs] float32 values.
/// Sequences: inputs [batch, time, ...], shorter ones filled up with zeros; of a prediction targets [batch, time,
/// outputs] float32.
struct Batch {
  at::Tensor inputs;
  at::Tensor targets;
  at::Tensor present = {};  ///< of sequences: [batch, time] bool, steps that are there
};

/// What every example of a data set has in common.
struct DatasetInfo {
  ProblemKind problem = ProblemKind::classification;
  std::vector<std::int64_t>
      input_shape;  ///< of one example (of a sequence: of one step), e.g. {1, 28, 28} (channels, rows, columns) or {13}
  std::int64_t outputs = 0;              ///< number of classes, or of regression targets
  std::vector<std::string> classes;      ///< a name per class; of the targets for regression
  bool sequence = false;                 ///< examples are sequences
  std::vector<std::string> inputs = {};  ///< of a table: a name per input, "age" or, one-hot, "city=Oslo"; else none
};

/// Examples by number. Decorators (subset, normalized, augmented) wrap one data set in another.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual std::int64_t size() const = 0;
  virtual const DatasetInfo& info() const = 0;
  /// The examples with these numbers, in this order. Thread-safe: several training runs share one data set.
  /// @param rows   [batch] int64, each in 0 ... size()-1
  /// @param seed   for augmentation: the same (rows, seed) give the same batch; plain data sets ignore it
  virtual Batch get(const at::Tensor& rows, std::uint64_t seed = 0) const = 0;
  /// All targets, for class counts and splits: [n] int64 or [n, outputs] float32; [n, 0] for a prediction, whose
  /// targets are those of steps. Costs no inputs.
  virtual at::Tensor targets() const = 0;
};

using DatasetPtr = std::shared_ptr<const Dataset>;

/// A data set made of another: the same examples, but for what is overridden.
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

/// In memory as it was read (bytes stay bytes) and converted while batching: input = float(raw) * scale.
/// @param inputs   [n, ...] uint8 or float32
/// @param targets  [n] int64 or [n, outputs] float32
DatasetPtr memory(at::Tensor inputs, at::Tensor targets, DatasetInfo info, float scale = 1);

/// Sequences in memory, one after the other. Shorter ones of a batch are filled up with zeros.
/// @param inputs   [steps of all, ...] uint8 or float32
/// @param targets  [n] int64 class numbers; of a prediction [steps of all, outputs] uint8
/// @param lengths  [n] int64, the steps of each
DatasetPtr sequences(at::Tensor inputs, at::Tensor targets, const at::Tensor& lengths, DatasetInfo info);

/// The examples `rows` [m] int64 of another data set.
DatasetPtr subset(DatasetPtr whole, at::Tensor rows);

}  // namespace grapes::data
