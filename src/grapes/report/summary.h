#pragma once

#include "grapes/report/inference.h"
#include "grapes/report/measures.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// All numbers of a comparison: arms × conditions × measures. A comparison has one condition, and a sweep one for
/// each value. A comparison on several tasks has up to two: the given and the chosen learning rates.
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

/// Paired differences and their test.
struct Paired {
  Spread spread;
  std::optional<Interval> simultaneous;  ///< 95 %, of all means of the family at once, see simultaneous_quantile()
  double quantile = 0;                   ///< of these intervals; the same for the whole family if it shares its seeds
  std::size_t unpaired = 0;              ///< values without a partner
  std::optional<double> p;               ///< of Wilcoxon's signed-rank test; nothing if no pair differs
  std::optional<double> p_holm;          ///< after Holm's correction

  /// Returns -1 or 1 if the simultaneous interval lies below or above 0, otherwise 0.
  int side() const;
  bool significant() const { return p_holm && *p_holm < 0.05; }
};

/// The differences of a measure between the runs of two arms. Runs form a pair if they have the same seed and the same
/// settings apart from those of the arm.
struct Difference : Paired {
  std::string arm, against, measure;
  bool control = false;  ///< see Comparison; otherwise with the baseline
  Paired change = {};    ///< of a sweep: how much larger each is than the one in the first condition
  /// The simultaneous interval over seeds and test examples, see crossed_error(); it contains that over the seeds. Of
  /// a test accuracy whose runs have test-correct.npy.
  std::optional<Interval> crossed = {};
  std::optional<double> p_equivalence = {};  ///< against the smallest effect, see equivalence()
  std::optional<Verdict> verdict = {};       ///< of the primary measure, if the smallest effect is known

  /// Returns the interval that decides: the crossed one if it is known, otherwise the one over the seeds.
  std::optional<Interval> deciding() const { return crossed ? crossed : simultaneous; }
};

/// The counted runs of one arm, sorted by seed: those that finished with a score in their last row.
struct Arm {
  std::string name;
  std::string method = "none";  ///< against forgetting; "none" for a learning rule alone
  Runs runs = {};
  std::vector<double> learning_rates = {};  ///< initial learning rates of the runs, without repetition
  std::optional<double> chosen = {};        ///< the learning rate that was chosen by tuning
  bool at_edge = false;  ///< the chosen rate is the smallest or largest that was tried, so a better one may lie outside
  /// Rates that were tried, and how many of them have a validation score within 1 point of the best one: the range of
  /// usable rates. 0 without tuning; usable is 0 too if the score has no points.
  std::size_t tried = 0, usable = 0;
  std::map<std::string, Spread> values = {};  ///< by the measure's key; empty if the measure does not apply

  const Spread& operator[](const Measure& measure) const { return values.at(measure.key); }
};

/// One setting under which the arms are compared. The caller of summarize() sets the first six members; it computes
/// the others.
struct Condition {
  std::string name = {};             ///< "given", "chosen", "4"
  std::string title = {};            ///< a heading, if there are several conditions
  std::optional<double> value = {};  ///< the value of a sweep
  Runs runs = {};
  std::size_t planned = 0;        ///< number of runs when it is complete; 0: not known
  record::Json tuning = nullptr;  ///< the tuning runs, see compare.json; null without tuning

  std::vector<Arm> arms = {};  ///< the baseline first, then those of known_arms, then the others
  std::vector<Difference> differences = {};

  /// Returns the runs of all arms.
  Runs counted() const;
  const Arm* find(const std::string& name) const;
  const Difference* find(const std::string& arm, const std::string& against, const Measure& measure) const;
};
/// The conditions of one part of the report.
using Section = std::span<const Condition>;

/// Conditions with their runs, as read from records.
struct Records {
  std::vector<Condition> conditions;
  std::string swept = {};              ///< "factor-bits={}": the swept setting, or empty
  std::vector<std::string> arms = {};  ///< names of all arms in the requested order; empty: those of the runs
  double smallest_effect = 0;          ///< smallest difference that matters, as it is written (points); 0: not known
};

/// Records with all numbers. `arms` has all names, also of arms without a finished run.
struct Summary : Records {
  std::string title = {}, data = {}, baseline = {};
  std::string part = {};  ///< part of the final scores: "test", "validation" or "train"
  Measure score = {};
  std::vector<Measure> measures = {};  ///< the first one is the primary measure
  Runs excluded = {};                  ///< runs that are not counted
  std::size_t missing = 0;             ///< runs that have not ended yet and have no record
  std::size_t tasks = 0;               ///< number of tasks learned in sequence; 0 for a single task
  bool stopped_early = false;

  const Measure& primary() const { return measures.front(); }
  /// Returns the smallest effect in the unit of the primary measure, 0.001 of an accuracy for 0.1 points.
  double margin() const { return smallest_effect / primary().unit.factor; }
  /// Returns one section with all values of a sweep; otherwise one for each condition.
  std::vector<Section> sections() const;
  /// Returns the first condition that has arms.
  const Condition& first_condition() const;
  const record::Run& first_run() const { return *first_condition().arms.front().runs.front(); }
  /// Returns all counted runs.
  Runs runs() const;
};

struct Options {
  std::string baseline;        ///< arm that the others are compared with; if it has no runs, bp, else the first arm
  double target = 0;           ///< score for "epochs to target"; 0: 98 % of the baseline's final mean
  std::string title;           ///< empty: the model and the data
  double smallest_effect = 0;  ///< replaces that of the records, if it is not 0
};

/// @throws DataError if no run has finished, or if the runs cannot be compared
Summary summarize(Records records, const Options& options = {});

/// Returns mean, standard deviation and interval of a number, over the runs that have it.
Spread spread_of(const Runs& runs, const std::function<std::optional<double>(const record::Run&)>& number,
                 Bounds bounds = {});

/// Returns "[87.20, 88.90]", or "" without an interval. @param sign  write a plus sign, for differences
std::string interval_text(const std::optional<Interval>& interval, const Unit& unit, bool sign);
/// "88.10 % [87.20, 88.90]".
std::string level_text(const Spread& spread, const Unit& unit);
/// "+1.20 points [+0.40, +2.00]", with the simultaneous interval.
std::string change_text(const Paired& one, const Unit& unit);

/// {"title", "data", "score", "part", "baseline", "swept", "tasks", "confidence", "smallest_effect", "arms": names,
/// "measures": [{"key", "name", "more_is_better"}], "conditions": [{"name", "title", "value", "tuning", "arms":
/// [{"arm", "method", "n", "seeds", "learning_rates", "at_edge", "tried_rates", "usable_rates", "measures": {KEY:
/// SPREAD}, "factors": [{"name", KEY: SPREAD}], "weights": likewise, "matrix": matrix_of() of SPREAD}], "differences":
/// [{"arm", "against", "measure", "control", "crossed", "p_equivalence", "verdict", PAIRED, "change": {PAIRED} of a
/// sweep}]}], "missing": runs that have not ended, "excluded": [{"arm", "seed", "run", "state", "epoch", "message"}]}.
/// SPREAD is
/// {"n", "seeds", "each", "mean", "sd", "interval"}, null where a measure has no meaning. PAIRED is a SPREAD with
/// "unpaired", "simultaneous" (interval), "p" and "p_holm".
record::Json to_json(const Summary& summary);

/// A layer or a weight of an arm: its measures over the seeds.
struct Part {
  std::string name;
  std::map<std::string, Spread> values;
};
/// Returns the parts for which the first measure was recorded.
std::vector<Part> parts_of(const Arm& arm, const PartKind& kind);
/// Returns R[i][j], accuracy on task j after training on task i, cell by cell over the seeds. Empty for runs on one
/// task.
std::vector<std::vector<Spread>> matrix_of(const Arm& arm);

/// The part of a swept key that changes: "weights=int{}" of "precision=weights=int{}:stochastic,error=int8", and
/// "factor-bits" of "factor-bits={}".
std::string swept_part(const std::string& key);

}  // namespace grapes::report
