#pragma once

#include "grapes/record/record.h"

#include <string>
#include <vector>

/// The same comparison at several values of one number: what it does to each arm, and to what lies between them.
namespace grapes::report {

/// One comparison of a sweep. @param summary  see summarise()
struct SweepPoint {
  double value = 0;
  record::Json summary;
};

/// {"key": "precision=weights=int{}", "score", "data", "points": [{"value", "arms": [{"arm", "n", "mean", "interval",
/// "learning_rates"}], "pairs": see paired()}]}. Pairs are each arm and the baseline, X+grapes and X, grapes and
/// uniform; Holm's correction is over the pairs of all values.
/// @param key  what was swept, with {} for the value
record::Json summarise_sweep(const std::string& key, const std::vector<SweepPoint>& points);
/// For the terminal: scores, then differences; a column a value.
std::string sweep_table(const record::Json& summary);
/// Scores, and differences to the baseline, against the value; bands are 95 % intervals. SVG.
std::string sweep_picture(const record::Json& summary);
std::string sweep_html(const record::Json& summary);

}  // namespace grapes::report
