#pragma once

#include "grapes/data/dataset.h"

#include <string>
#include <vector>

namespace grapes::data {

/// x ← (x − shift) · scale, each input by its own numbers. shift and scale broadcast over an example's shape;
/// undefined: x stays as it is.
struct Normalization {
  at::Tensor shift;
  at::Tensor scale;

  /// @param inputs  [batch, ...] float32, overwritten
  at::Tensor operator()(at::Tensor inputs) const;
  /// The way back, to look at them.
  at::Tensor undo(at::Tensor inputs) const;
};

/// A row of the table of normalizations.
struct NormalizationKind {
  std::string name;
  std::string summary;
  /// Learn it from the training examples. `bytes`: they are known to lie in 0 ... 1, whatever these few show.
  /// @throws UsageError for examples that it is not for
  Normalization (*fit)(const Dataset& train, bool bytes);
};
const std::vector<NormalizationKind>& normalizations();

DatasetPtr normalized(DatasetPtr source, Normalization normalization);

}  // namespace grapes::data
