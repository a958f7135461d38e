#pragma once

#include "grapes/data/dataset.h"

#include <string>
#include <vector>

namespace grapes::data {

/// x ← (x − shift) · scale. shift and scale broadcast over an example's shape. Both are defined, or neither; then x is
/// unchanged.
struct Normalization {
  at::Tensor shift;
  at::Tensor scale;

  /// @param inputs  [batch, ...] float32, overwritten
  at::Tensor operator()(at::Tensor inputs) const;
  /// The inverse, for display.
  at::Tensor undo(at::Tensor inputs) const;
};

/// A row of the table of normalizations.
struct NormalizationKind {
  std::string name;
  std::string summary;
  /// Learns the normalization from the training examples. `bytes`: their values are known to lie in 0 ... 1.
  /// @throws UsageError for examples that it does not support
  Normalization (*fit)(const Dataset& train, bool bytes);
};
const std::vector<NormalizationKind>& normalizations();

/// Returns x ← (x − mean) / deviation for images. @param mean, deviation  one number, or one per channel
/// @throws UsageError for the setting with a wrong number of numbers, or for examples that are not images
Normalization given_normalization(const std::vector<double>& mean, const std::vector<double>& deviation,
                                  const DatasetInfo& info);

/// Chooses a normalization by the training examples: unit for bytes from 0 to at least 128, sequences and what is 0 or
/// 1; pixels for many whole numbers from 0 to 255; channel for images that are not within 0 ... 1; standard for other
/// numbers.
const NormalizationKind& automatic_normalization(const Dataset& train, bool bytes);

DatasetPtr normalized(DatasetPtr source, Normalization normalization);

}  // namespace grapes::data
