#pragma once

#include "grapes/record/record.h"

#include <string>
#include <vector>

/// The same comparison at several values of one number: what it does to each arm, and to what lies between them.
namespace grapes::report {

/// One comparison of a sweep.
struct SweepPoint {
  double value = 0;
  record::Json summary;  ///< see summarize(); null where every run diverged
};

/// {"key": "precision=weights=int{}", "score", "data", "arms": names, "points": [{"value", "arms": [{"arm", "n",
/// "mean", "interval", "learning_rates", "at_edge"}], "pairs", "changes": see paired()}]}. Pairs are each arm and the
/// baseline, X+grapes and X, grapes and uniform; their changes, seed by seed, are against the same pair at the first
/// value: who loses more. Holm's correction is over the pairs of all values, and over all changes.
/// @param key   what was swept, with {} for the value
/// @param arms  by name, those that always diverged among them
/// @param points  one at least with a summary
record::Json summarize_sweep(const std::string& key, const std::vector<std::string>& arms,
                             const std::vector<SweepPoint>& points);
/// For the terminal: scores, differences and their changes; a column a value.
std::string sweep_table(const record::Json& summary);
/// Scores, and differences to the baseline, against the value; bands are 95 % intervals. SVG.
std::string sweep_picture(const record::Json& summary);
std::string sweep_html(const record::Json& summary);

}  // namespace grapes::report
