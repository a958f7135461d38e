#pragma once

#include "grapes/data/collection.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace grapes::data {

/// Targets that are numbers. One column of whole numbers, at most 100 of them different and each on average twice
/// there, is read as classes; everything else as regression. Classes are numbered in the order of their values. Fills
/// train.targets and the info's kind of problem, outputs and classes; leaves a note where it had to guess.
/// @param values  [n, columns] float64, finite
/// @param names   of the columns
/// @param asked   "auto", "classes" or "numbers"
/// @throws DataError if what was asked for cannot be
void number_targets(Collection& collection, const at::Tensor& values, const std::vector<std::string>& names,
                    const std::string& asked);

/// Targets that are texts: classes, numbered in alphabetical order. @throws DataError as above
void text_targets(Collection& collection, const std::vector<std::string>& labels, const std::string& asked);

}  // namespace grapes::data
