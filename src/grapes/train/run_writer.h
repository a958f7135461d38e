#pragma once

#include "grapes/record/record.h"
#include "grapes/train/safetensors.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace grapes::train {

/// What a run writes while it trains; without a record, nothing.
struct RunWriter {
  record::Writer* record = nullptr;
  bool checkpoints = true;
  std::map<std::string, std::string> metadata = {};  ///< for every checkpoint: "config", "dataset"
  std::map<std::string, at::Tensor> tensors = {};    ///< for every checkpoint: "input.shift", "input.scale"

  /// Appends a row of metrics, logs its losses and scores, and writes that the run is still going.
  /// @param place  what the line of the log begins with: "epoch 3/10"
  void row(const record::Json& row, const std::string& place) const;
  bool writes_checkpoints() const { return record != nullptr && checkpoints; }
  /// Writes checkpoints/NAME.safetensors.
  void checkpoint(const std::string& name, Tensors content) const;
  /// Writes how the run ended.
  void finish(const record::Status& status) const;
};

/// Where training is: told a few times a second at most in the middle of an epoch, and once for every row of metrics.
struct ProgressEvent {
  std::int64_t epoch = 0, epochs = 0;  ///< the epoch in progress, from 1
  std::int64_t batch = 0, batches = 0;
  double loss = 0, score = 0;  ///< running mean of this epoch, on training examples
  double samples_per_second = 0;
  const record::Json* finished = nullptr;  ///< the row, where one is complete (epoch 0: before training)
};
using ProgressCallback = std::function<void(const ProgressEvent&)>;

}  // namespace grapes::train
