#pragma once

#include "grapes/data/dataset.h"
#include "grapes/data/normalize.h"

#include <cstdint>
#include <string>
#include <vector>

/// Data sets seen otherwise: padded, and what the tasks of continual learning are made of.
namespace grapes::data {

/// Images in the middle of side × side pixels, zeros around them. Where it is uneven, the odd row or column is below or
/// to the right.
/// @param images  [..., rows, columns]
/// @param name    of the data set, for messages
/// @throws UsageError of the field "pad" if an image is larger
at::Tensor padded(const at::Tensor& images, std::int64_t side, const std::string& name);
DatasetPtr padded(DatasetPtr source, std::int64_t side, const std::string& name);

/// Images at positions, bilinear, 0 outside. A whole position gives its pixel bit for bit, and what an image gives does
/// not depend on the batch it is in.
/// @param images     [batch, channels, rows, columns] float32
/// @param positions  [batch or 1, rows, columns, 2] float32, contiguous: x to the right and y down, in pixels from the
///                   upper left one
/// @return           [batch, channels, rows and columns of the positions]
at::Tensor sampled(const at::Tensor& images, const at::Tensor& positions);

/// Every example's inputs in another order: x'[i] = x[order[i]] over the flattened example; of a sequence, every
/// step's.
/// @param order  [inputs] int64, a permutation of 0 ... inputs - 1. @throws c10::Error if it is none
DatasetPtr permuted(DatasetPtr source, at::Tensor order);

/// Images turned counterclockwise about their middle, bilinear: with c the middle, the pixel at c + (x, y), x to the
/// right and y down, takes the value at c + (x cos a - y sin a, x sin a + y cos a). What comes in from outside is a 0
/// of the source, normalized. @param degrees  a
/// @throws UsageError unless the examples are images with one background per channel
DatasetPtr rotated(DatasetPtr source, double degrees, const Normalization& normalization);

/// The examples of some classes of a source that has classes. Class k of the new data set is answers[k] of the source.
/// @param classes  whose examples are kept; each of them one of the `answers`
DatasetPtr of_classes(const DatasetPtr& source, const std::vector<std::int64_t>& classes,
                      const std::vector<std::int64_t>& answers);

}  // namespace grapes::data
