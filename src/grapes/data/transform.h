#pragma once

#include "grapes/data/dataset.h"
#include "grapes/data/normalize.h"

#include <cstdint>
#include <string>
#include <vector>

/// Transformed data sets: padding, and the tasks of continual learning.
namespace grapes::data {

/// Pads images with zeros to side × side pixels, centered. With an odd difference, the extra row or column is at the
/// bottom or at the right.
/// @param images  [..., rows, columns]
/// @param name    of the data set, for messages
/// @throws UsageError for the setting "pad" if an image is larger
at::Tensor padded(const at::Tensor& images, std::int64_t side, const std::string& name);
DatasetPtr padded(DatasetPtr source, std::int64_t side, const std::string& name);

/// Samples images at positions, bilinear, 0 outside. A whole-number position gives its pixel bit for bit. The result
/// for an image does not depend on its batch.
/// @param images     [batch, channels, rows, columns] float32
/// @param positions  [batch or 1, rows, columns, 2] float32, contiguous: x to the right and y down, in pixels from the
///   upper left pixel
/// @return           [batch, channels, rows and columns of the positions]
at::Tensor sampled(const at::Tensor& images, const at::Tensor& positions);

/// Permutes the inputs of every example: x'[i] = x[order[i]] over the flattened example, or over each time step of a
/// sequence.
/// @param order  [inputs] int64, a permutation of 0 ... inputs - 1. @throws c10::Error if it is not a permutation
DatasetPtr permuted(DatasetPtr source, at::Tensor order);

/// Rotates images counterclockwise about their center c, bilinear. The pixel at c + (x, y), x to the right and y down,
/// takes the value at c + (x cos a - y sin a, x sin a + y cos a). Pixels from outside the image take the normalized
/// value of 0.
/// @param degrees  a: one for all examples, or [examples], one each
/// @throws UsageError unless the examples are images with one background value per channel
DatasetPtr rotated(DatasetPtr source, double degrees, const Normalization& normalization);
DatasetPtr rotated(DatasetPtr source, const at::Tensor& degrees, const Normalization& normalization);

/// Selects the examples of some classes. Class k of the new data set is answers[k] of the source.
/// @param classes  classes to keep, which must be among `answers`
DatasetPtr of_classes(const DatasetPtr& source, const std::vector<std::int64_t>& classes,
                      const std::vector<std::int64_t>& answers);

}  // namespace grapes::data
