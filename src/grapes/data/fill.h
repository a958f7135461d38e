#pragma once

#include "grapes/data/dataset.h"
#include "grapes/data/table.h"

#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

/// Statistics of training examples: replacements for missing values, and the scale of targets.
namespace grapes::data {

/// Returns what replaces a missing input (NaN) of a table, per input: the mean, the median or the most common value of
/// the examples that have one. The inputs of one text column ("city=Oslo", "city=Rome") get its most common text.
/// @throws DataError for an input that is missing in all examples
std::vector<float> fill_of(const Dataset& train, Missing how);

/// Replaces NaN in inputs [n, inputs].
at::Tensor filled(const at::Tensor& inputs, const std::vector<float>& fill);
DatasetPtr filled(DatasetPtr source, std::vector<float> fill);

/// Returns mean and standard deviation of each target [n, outputs], 1 where all are the same.
std::pair<std::vector<double>, std::vector<double>> scale_of_targets(const at::Tensor& targets);

}  // namespace grapes::data
