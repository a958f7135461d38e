#pragma once

#include "grapes/record/record.h"
#include "grapes/report/format.h"
#include "grapes/report/statistics.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace grapes::report {

/// A kind of score that a run can have, see record::Identity.
struct Score {
  std::string key;
  std::string name;     ///< "accuracy", "R²"
  std::string meaning;  ///< what is summed and averaged in it, where the name does not tell
  Unit unit;
  Bounds bounds;
};
/// A score that is not in the table is written as it is.
Score score_of(const std::string& key);

/// A number that a run gives. A summary's tables, findings and plots come from a list of these: a new one is a row.
struct Measure {
  enum class Better { more, less };
  std::string key;      ///< in summary.json: "test_accuracy", "forgetting"
  std::string name;     ///< "test accuracy"
  std::string meaning;  ///< one line, for the page
  Unit unit;
  Bounds bounds;
  Better better;
  std::function<std::optional<double>(const record::Run&)> of;
  bool compared = false;  ///< the page and the findings speak of its paired differences
};

/// Of runs on one task: the score at the end, how fast it was reached, and at what cost.
/// @param part    "test": the score is that of this part
/// @param target  a score; if there is one, the epochs until it are a measure
std::vector<Measure> training_measures(const Score& score, const std::string& part, std::optional<double> target);
/// Of runs that learn several tasks, see transfer.h. Joint training only has an average accuracy.
std::vector<Measure> task_measures();

}  // namespace grapes::report
