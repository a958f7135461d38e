#pragma once

#include "grapes/data/dataset.h"

#include <string>
#include <vector>

namespace grapes::data {

/// How to read targets of user data; automatic: decided by their values.
enum class TargetReading { automatic, classes, numbers };

/// Targets of user data.
struct Targets {
  ProblemKind problem;
  at::Tensor values;               ///< [n] int64 class numbers, or [n, columns] float32
  std::vector<std::string> names;  ///< of the classes, or of the columns
  std::string note = {};           ///< set if the kind of problem was guessed
};

/// Reads numeric targets. One column of whole numbers, at most 100 different ones that occur at least twice on average,
/// is read as classes; everything else as regression. Classes are numbered in the order of their values.
/// @param values  [n, columns] float64, finite
/// @param names   of the columns
/// @param where   the file, for messages
/// @throws DataError if the targets cannot be read as requested
Targets number_targets(const at::Tensor& values, const std::vector<std::string>& names, TargetReading asked,
                       const std::string& where);

/// Reads text targets: classes, numbered in alphabetical order. @throws DataError as above
Targets text_targets(const std::vector<std::string>& labels, TargetReading asked, const std::string& where);

}  // namespace grapes::data
