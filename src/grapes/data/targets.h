#pragma once

#include "grapes/data/dataset.h"

#include <string>
#include <vector>

namespace grapes::data {

/// What the targets of a person's own data are taken for; automatic: by what they look like.
enum class TargetReading { automatic, classes, numbers };

/// Targets of a person's own data, and what they were taken for.
struct Targets {
  ProblemKind problem;
  at::Tensor values;               ///< [n] int64 class numbers, or [n, columns] float32
  std::vector<std::string> names;  ///< of the classes, or of the columns
  std::string note = {};           ///< where the kind of problem was a guess
};

/// Targets that are numbers. One column of whole numbers, at most 100 of them different and each on average twice
/// there, is read as classes; everything else as regression. Classes are numbered in the order of their values.
/// @param values  [n, columns] float64, finite
/// @param names   of the columns
/// @param where   the file, for messages
/// @throws DataError if what was asked for cannot be
Targets number_targets(const at::Tensor& values, const std::vector<std::string>& names, TargetReading asked,
                       const std::string& where);

/// Targets that are texts: classes, numbered in alphabetical order. @throws DataError as above
Targets text_targets(const std::vector<std::string>& labels, TargetReading asked, const std::string& where);

}  // namespace grapes::data
