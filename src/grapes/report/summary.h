#pragma once

#include "grapes/report/measures.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// All numbers of a comparison: arms × conditions × measures. One comparison has one condition, a sweep one for each
/// value, tasks one after the other the learning rates as given and as chosen.
namespace grapes::report {

/// The value of one run, with its seed and what it is paired by.
struct Sample {
  std::uint64_t seed = 0;
  std::string pairing;
  double value = 0;
};

/// Values over seeds.
struct Spread {
  std::vector<Sample> samples;
  double mean = 0, sd = 0;
  std::optional<Interval> interval;  ///< 95 %, of the mean

  std::size_t n() const { return samples.size(); }
  std::vector<double> values() const;
  bool empty() const { return samples.empty(); }
};

/// The paired differences between the runs of two arms. Runs form a pair if they have the same seed and the same
/// settings apart from those of the arm.
struct Difference {
  std::string arm, against, measure;
  bool control = false;  ///< a comparison of controls_of(); otherwise with the baseline
  Spread spread = {};
  std::size_t unpaired = 0;      ///< runs of the arm without a partner
  std::optional<double> p = {};  ///< of Wilcoxon's signed-rank test; nothing if no pair differs
  std::optional<double> p_holm =
      {};  ///< after Holm's correction over the comparisons with the baseline, or with the controls

  /// Returns -1 or 1 if the interval lies below or above 0, otherwise 0.
  int side() const;
  bool significant() const { return p_holm && *p_holm < 0.05; }
};

/// The counted runs of one arm, sorted by seed: those that finished with a score in their last row.
struct Arm {
  std::string name;
  std::string method = "none";  ///< against forgetting; "none" for a learning rule alone
  Runs runs = {};
  std::vector<double> learning_rates = {};  ///< initial learning rates of the runs, without repetition
  bool at_edge = false;  ///< the chosen rate is the smallest or largest of the grid, so a better one may lie outside
  std::map<std::string, Spread> values = {};  ///< by the measure's key; empty if the measure does not apply

  const Spread& operator[](const Measure& measure) const { return values.at(measure.key); }
};

/// One setting under which the arms are compared. The caller of summarize() sets the first five members; it computes
/// the others.
struct Condition {
  std::string name = {};             ///< "given", "chosen", "4"
  std::string title = {};            ///< a heading, if there are several conditions
  std::optional<double> value = {};  ///< the value of a sweep
  Runs runs = {};
  record::Json tuning = nullptr;  ///< the tuning runs, see compare.json; null without tuning

  std::vector<Arm> arms = {};  ///< the baseline first, then those of known_arms, then the others
  std::vector<Difference> differences = {};
  std::vector<Difference> changes = {};  ///< of a sweep: each difference minus the one in the first condition

  const Arm* find(const std::string& name) const;
  const Difference* find(const std::string& arm, const std::string& against, const Measure& measure) const;
};

struct Summary {
  std::string title, data, baseline;
  std::string swept;  ///< "factor-bits={}": the swept setting, or empty
  std::string part;   ///< part of the final scores: "test", "validation" or "train"
  Score score;
  std::vector<std::string> arms;  ///< all names; those in the options even without a finished run
  std::vector<Measure> measures;  ///< the first one is the primary measure
  std::vector<Condition> conditions;
  Runs excluded;          ///< runs that are not counted
  std::size_t tasks = 0;  ///< number of tasks learned in sequence; 0 for a single task
  bool stopped_early = false;

  const Measure& primary() const { return measures.front(); }
  /// Returns the first condition that has arms.
  const Condition& first_condition() const;
  const record::Run& first_run() const { return *first_condition().arms.front().runs.front(); }
  /// Returns all counted runs.
  Runs runs() const;
  /// Returns the largest number of runs of an arm.
  std::size_t most_runs() const;
};

/// Conditions with their runs, as read from records.
struct Records {
  std::vector<Condition> conditions;
  std::string swept;                   ///< see Summary
  std::vector<std::string> arms = {};  ///< names of all arms in the requested order; empty: those of the runs
};

struct Options {
  std::string baseline;  ///< arm that the others are compared with; if it has no runs, bp, else the first arm
  double target = 0;     ///< score for "epochs to target"; 0: 98 % of the baseline's final mean
  std::string title;     ///< empty: the model and the data
};

/// @throws DataError if no run has finished, or if the runs cannot be compared
Summary summarize(Records records, const Options& options = {});

/// Returns mean, standard deviation and interval of a number, over the runs that have it.
Spread spread_of(const Runs& runs, const std::function<std::optional<double>(const record::Run&)>& number,
                 Bounds bounds = {});

/// Returns "[87.20, 88.90]", or "" for one run. @param sign  write a plus sign, for differences
std::string interval_text(const Spread& spread, const Unit& unit, bool sign);
/// "88.10 % [87.20, 88.90]".
std::string level_text(const Spread& spread, const Unit& unit);
/// "+1.20 points [+0.40, +2.00]".
std::string change_text(const Spread& spread, const Unit& unit);

/// {"title", "data", "score", "part", "baseline", "swept", "tasks", "confidence", "arms": names, "measures": [{"key",
/// "name", "more_is_better"}], "conditions": [{"name", "title", "value", "tuning", "arms": [{"arm", "method", "n",
/// "seeds", "learning_rates", "at_edge", "measures": {KEY: SPREAD}, "factors": [{"name", KEY: SPREAD}] of
/// final_factors(), "weights": likewise of weight_changes(), "matrix": matrix_of() of SPREAD}], "differences": [{"arm",
/// "against", "measure", "control", "unpaired", "p", "p_holm", SPREAD}], "changes": likewise}], "excluded": [{"arm",
/// "seed", "run", "state", "epoch", "message"}]} SPREAD is {"n", "seeds", "each", "mean", "sd", "interval"}, null where
/// a measure has no meaning.
record::Json to_json(const Summary& summary);

/// A layer or a weight of an arm, and what its runs hold of it: numbers over the seeds, by their keys in a list below.
struct Part {
  std::string name;
  std::map<std::string, Spread> values;
};
struct PartNumber {
  const char* key;                 ///< in a row of metrics.jsonl
  const char* name;                ///< heading of a column
  const char* share_of = nullptr;  ///< if set, the number is divided by this one
};
/// The factors of each modulated layer at the end: over its units, then over the seeds.
extern const std::vector<PartNumber> factor_numbers;
std::vector<Part> final_factors(const Arm& arm);
/// What the tasks did to each weight: means over a run's tasks, over the seeds.
extern const std::vector<PartNumber> change_numbers;
std::vector<Part> weight_changes(const Arm& arm);
/// R[i][j], accuracy on task j after training on task i, cell by cell over the seeds. Empty for runs on one task.
std::vector<std::vector<Spread>> matrix_of(const Arm& arm);

/// The part of a swept key that changes: "weights=int{}" of "precision=weights=int{}:stochastic,error=int8", and
/// "factor-bits" of "factor-bits={}".
std::string swept_part(const std::string& key);

/// "grapes, seed 3: diverged after 4 epochs (loss is not finite)", one for each run that was left out.
std::vector<std::string> excluded_runs(const Summary& summary);

}  // namespace grapes::report
