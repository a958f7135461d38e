#pragma once

#include "grapes/plot/format.h"
#include "grapes/record/record.h"
#include "grapes/report/statistics.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace grapes::report {
using plot::count;
using plot::fixed;
using plot::listed;
using plot::p_value;
using plot::quoted;
using plot::shortened;
using plot::with_sign;

/// How a measure is written: an accuracy in percent and its differences in points, everything else as it is.
struct Unit {
  double factor = 1;
  int decimals = 4;
  std::string suffix = {};      ///< of a level, " %" or ""
  std::string difference = {};  ///< of a difference, " points" or ""

  std::string number(double value) const { return fixed(factor * value, decimals); }
  std::string level(double value) const { return number(value) + suffix; }
  std::string change(double value) const { return with_sign(factor * value, decimals); }
  std::string axis() const { return suffix.empty() ? "" : "," + suffix; }
};
extern const Unit percent;

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
/// Of runs that learn several tasks, see Transfer in statistics.h. Joint training only has an average accuracy.
std::vector<Measure> task_measures();

}  // namespace grapes::report
