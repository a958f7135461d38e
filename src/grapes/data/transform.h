#pragma once

#include "grapes/data/dataset.h"
#include "grapes/data/normalize.h"

#include <cstdint>
#include <vector>

/// Data sets seen otherwise: what the tasks of continual learning are made of.
namespace grapes::data {

/// Every example's inputs in another order: x'[i] = x[order[i]] over the flattened example; of a sequence, every
/// step's.
/// @param order  [inputs] int64, a permutation of 0 ... inputs - 1. @throws c10::Error if it is none
DatasetPtr permuted(DatasetPtr source, at::Tensor order);

/// Pictures turned counterclockwise about their middle, bilinear: with c the middle, the pixel at c + (x, y), x to the
/// right and y down, takes the value at c + (x cos a - y sin a, x sin a + y cos a). What comes in from outside is a 0
/// of the source, normalized. @param degrees  a
/// @throws UsageError unless the examples are pictures with one background per channel
DatasetPtr rotated(DatasetPtr source, double degrees, const Normalization& normalization);

/// The examples of some classes of a source that has classes. Class k of the new data set is answers[k] of the source.
/// @param classes  whose examples are kept; each of them one of the `answers`
DatasetPtr of_classes(const DatasetPtr& source, const std::vector<std::int64_t>& classes,
                      const std::vector<std::int64_t>& answers);

}  // namespace grapes::data
