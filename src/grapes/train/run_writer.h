#pragma once

#include "grapes/record/record.h"
#include "grapes/train/safetensors.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace grapes::train {

/// Writes the record of a run during training. Without a record it does nothing.
struct RunWriter {
  record::Writer* record = nullptr;
  bool checkpoints = true;
  std::map<std::string, std::string> metadata = {};  ///< of every checkpoint: "config", "dataset"
  std::map<std::string, at::Tensor> tensors = {};    ///< of every checkpoint: "input.shift", "input.scale"

  /// Appends a row of metrics, logs its losses and scores, and updates the status.
  /// @param place  start of the line in the log: "epoch 3/10"
  void row(const record::Json& row, const std::string& place) const;
  bool writes_checkpoints() const { return record != nullptr && checkpoints; }
  /// Writes checkpoints/NAME.safetensors.
  void checkpoint(const std::string& name, Tensors content) const;
  /// Writes the final status.
  void finish(const record::Status& status) const;
};

/// Progress of training. It is reported at most a few times per second within an epoch, and once for every row of
/// metrics.
struct ProgressEvent {
  std::int64_t epoch = 0, epochs = 0;  ///< the current epoch, from 1
  std::int64_t batch = 0, batches = 0;
  double loss = 0, score = 0;  ///< running mean of this epoch, on training examples
  double samples_per_second = 0;
  const record::Json* finished = nullptr;  ///< the row, if an epoch is complete (epoch 0: before training)
};
using ProgressCallback = std::function<void(const ProgressEvent&)>;

}  // namespace grapes::train
