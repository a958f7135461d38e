#include "grapes/report/summary.h"

#include "grapes/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>
#include <utility>

namespace grapes::report {
using record::Json;
using record::Run;
namespace {

const std::vector<const char*> parts = {"test", "validation", "train"};

std::optional<double> score(const Run& run, const std::string& part) {
  return number(record::result_row(run), part + "_" + run.identity.score);
}

bool counts(const Run& run) {
  return run.status.state == record::State::finished && !run.epochs.empty() &&
         std::ranges::any_of(parts, [&](const char* part) { return score(run, part).has_value(); });
}

/// Reads which learning rate was chosen for an arm, and how far the other rates are behind.
void read_tuning(Arm& arm, const Json& tuning) {
  const Json found = tuning.is_object() ? tuning["arms"].value(arm.name, Json::object()) : Json::object();
  const Json tried = found.value("tried", Json::array());
  if (tried.empty()) return;
  arm.chosen = found["chosen"];
  arm.tried = tried.size();
  std::vector<double> rates, scores;
  for (const Json& one : tried) {
    rates.push_back(one["learning_rate"]);
    if (const auto score = number(one, "validation_mean")) scores.push_back(*score);
  }
  const auto [low, high] = std::ranges::minmax(rates);
  arm.at_edge = low != high && (arm.chosen == low || arm.chosen == high);
  const Unit unit = score_of(arm.runs.front()->identity.score).unit;
  if (scores.empty() || unit.difference.empty()) return;
  const double best = std::ranges::max(scores);
  arm.usable = static_cast<std::size_t>(
      std::ranges::count_if(scores, [&](double score) { return unit.factor * (best - score) <= 1 + 1e-9; }));
}

std::vector<Arm> arms_of(const Condition& condition, const std::string& baseline) {
  std::vector<Arm> arms;
  for (const RunPtr& run : condition.runs) {
    if (!counts(*run)) continue;
    auto arm = std::ranges::find(arms, run->identity.arm, &Arm::name);
    if (arm == arms.end()) arm = arms.insert(arm, {.name = run->identity.arm});
    arm->runs.push_back(run);
  }
  std::ranges::stable_sort(arms, {},
                           [&](const Arm& arm) { return std::pair(arm.name != baseline, place_of(arm.name)); });
  for (Arm& arm : arms) {
    std::ranges::stable_sort(arm.runs, {}, [](const RunPtr& run) { return run->identity.seed; });
    std::set<double> rates;
    for (const RunPtr& run : arm.runs)
      if (const auto rate = number(run->epochs.front(), "learning_rate")) rates.insert(*rate);
    arm.learning_rates.assign(rates.begin(), rates.end());
    arm.method = arm.runs.front()->epochs.front().value("method", "none");
    read_tuning(arm, condition.tuning);
  }
  return arms;
}

/// Throws if the runs of one page cannot be compared.
void check_comparable(const Condition& condition, const Run& first) {
  const std::vector<std::pair<const char*, std::string (*)(const Run&)>> facts = {
      {"the score", [](const Run& run) { return run.identity.score; }},
      {"the data set", [](const Run& run) { return run.identity.data; }},
      {"the scenario", [](const Run& run) { return run.epochs.front().value("scenario", "none"); }},
      {"the number of tasks", [](const Run& run) { return std::to_string(tasks_of(run)); }}};
  for (const Arm& arm : condition.arms)
    for (const RunPtr& run : arm.runs) {
      for (const auto& [what, of] : facts)
        if (of(*run) != of(first))
          throw DataError(fmt::format("these runs cannot share a report: {} is {} in {} and {} in {}", what, of(first),
                                      first.folder.string(), of(*run), run->folder.string()));
      for (const RunPtr& other : arm.runs)
        if (other != run && other->identity.seed == run->identity.seed && pairing_of(*other) == pairing_of(*run))
          throw DataError(
              fmt::format("arm {}, seed {} appears twice with the same settings: {} and {}; name only one of them",
                          arm.name, run->identity.seed, run->folder.string(), other->folder.string()));
    }
}

/// Returns the part of the final scores: the first one that all runs have.
std::string part_of(const Runs& runs) {
  for (const char* const part : parts)
    if (std::ranges::all_of(runs, [&](const RunPtr& run) { return score(*run, part).has_value(); })) return part;
  throw DataError("the runs have no part in common (test, validation or train) on which all of them were scored");
}

/// A fitted asymptote may lie outside the bounds of its score. Its interval then has no bounds.
Spread spread(std::vector<Sample> samples, Bounds bounds = {}) {
  Spread result{std::move(samples), 0, 0, std::nullopt};
  if (result.empty()) return result;
  const std::vector<double> values = result.values();
  result.mean = mean(values);
  result.sd = standard_deviation(values);
  const bool within = std::ranges::all_of(values, [&](double x) { return x >= bounds.low && x <= bounds.high; });
  result.interval = mean_interval(values, within ? bounds : Bounds{});
  return result;
}

std::map<std::string, Spread> values_of(const Runs& runs, const std::vector<Measure>& measures) {
  std::map<std::string, Spread> values;
  for (const Measure& measure : measures) values[measure.key] = spread_of(runs, measure.of, measure.bounds);
  return values;
}

/// Returns a - b, and 0 if they are equal but for rounding: differences of equal differences of scores are seldom 0,
/// and what is left of them would have a sign.
double minus(double a, double b) { return std::abs(a - b) <= 1e-9 * std::max(std::abs(a), std::abs(b)) ? 0 : a - b; }

/// Returns the differences of paired samples. Within one pair the settings agree, so the seed identifies a difference.
Paired paired(const Spread& own, const Spread& others) {
  std::map<std::pair<std::uint64_t, std::string>, double> partners;
  for (const Sample& other : others.samples) partners[{other.seed, other.pairing}] = other.value;
  std::vector<Sample> each;
  for (const Sample& one : own.samples)
    if (const auto partner = partners.find({one.seed, one.pairing}); partner != partners.end())
      each.push_back({one.seed, "", minus(one.value, partner->second)});
  const std::size_t unpaired = own.n() - each.size();
  const Spread differences = spread(std::move(each));
  return {differences, {}, 0, unpaired, differences.n() < 2 ? std::nullopt : wilcoxon(differences.values()), {}};
}

std::vector<Difference> differences_of(const Condition& condition, const Summary& summary) {
  std::vector<std::string> names;
  std::vector<Difference> all;
  for (const Arm& arm : condition.arms) names.push_back(arm.name);
  for (const Comparison& one : comparisons_of(names, summary.baseline))
    for (const Measure& measure : summary.measures) {
      const Spread& own = (*condition.find(one.arm))[measure];
      const Spread& others = (*condition.find(one.against))[measure];
      if (own.empty() || others.empty()) continue;
      all.push_back({paired(own, others), one.arm, one.against, measure.key, one.control()});
      if (const Difference* then = summary.conditions.front().find(one.arm, one.against, measure);
          !summary.swept.empty() && then != nullptr)
        all.back().change = paired(all.back().spread, then->spread);
    }
  return all;
}

using Family = std::vector<Paired*>;

Interval around(double mean, double half) { return {mean - half, mean + half}; }

/// Applies Holm's correction. Differences without a p do not belong to the family.
void correct_p(const Family& family) {
  std::vector<double> p;
  for (const Paired* one : family)
    if (one->p) p.push_back(*one->p);
  const std::vector<double> corrected = holm(p);
  std::size_t next = 0;
  for (Paired* one : family)
    if (one->p) one->p_holm = corrected[next++];
}

/// Computes the simultaneous intervals.
void correct_intervals(const Family& family) {
  const auto seeds = [](const Paired* one) {
    std::vector<std::uint64_t> all;
    for (const Sample& sample : one->spread.samples) all.push_back(sample.seed);
    return all;
  };
  const std::vector<std::uint64_t> first = seeds(family.front());
  const bool once = std::ranges::adjacent_find(first) == first.end();  // else the order of a seed's pairs is unknown
  std::vector<std::vector<double>> differences;
  for (const Paired* one : family)
    if (seeds(one) == first && once) differences.push_back(one->spread.values());
  const bool together = differences.size() == family.size();
  const double shared = together ? simultaneous_quantile(differences) : 0;
  for (Paired* one : family) {
    const std::size_t n = one->spread.n();
    one->quantile = together ? shared : bonferroni_quantile(n, family.size());
    one->simultaneous = around(one->spread.mean, one->quantile * one->spread.sd / std::sqrt(static_cast<double>(n)));
  }
}

/// Corrects for the number of comparisons. A family consists of the differences of a measure to the baseline, or of
/// those to the controls. In a sweep, it has the differences of a measure at all values. Differences of fewer than two
/// pairs do not belong to it.
void correct(Summary& summary) {
  std::map<std::string, Family> families;
  const bool sweep = !summary.swept.empty();
  for (Condition& condition : summary.conditions)
    for (Difference& one : condition.differences) {
      if (one.spread.interval)
        families[sweep ? one.measure : fmt::format("{}, {}, {}", condition.name, one.measure, one.control)].push_back(
            &one);
      if (one.change.spread.interval) families["change of " + one.measure].push_back(&one.change);
    }
  for (const auto& [name, family] : families) {
    correct_p(family);
    correct_intervals(family);
  }
}

/// Returns the standard error over seeds and test examples of the difference of two arms, if all their pairs of runs
/// recorded which examples they got right.
std::optional<double> crossed(const Arm& own, const Arm& others) {
  std::map<std::pair<std::uint64_t, std::string>, const Run*> partners;
  for (const RunPtr& other : others.runs) partners[{other->identity.seed, other->identity.pairing}] = other.get();
  std::vector<std::vector<std::int8_t>> table;
  for (const RunPtr& one : own.runs) {
    const auto partner = partners.find({one->identity.seed, one->identity.pairing});
    if (partner == partners.end()) continue;
    const std::vector<bool>&right = one->test_correct, &theirs = partner->second->test_correct;
    if (right.empty() || right.size() != theirs.size() || (!table.empty() && right.size() != table.front().size()))
      return std::nullopt;
    table.emplace_back();
    for (std::size_t i = 0; i < right.size(); ++i)
      table.back().push_back(static_cast<std::int8_t>((right[i] ? 1 : 0) - (theirs[i] ? 1 : 0)));
  }
  return crossed_error(table);
}

/// Adds to the differences of the primary measure what needs more than the differences themselves.
void conclude(Summary& summary) {
  for (Condition& condition : summary.conditions)
    for (Difference& one : condition.differences) {
      if (one.measure != summary.primary().key) continue;
      std::optional<double> error;
      if (one.measure == "test_accuracy") error = crossed(*condition.find(one.arm), *condition.find(one.against));
      if (error) one.crossed = around(one.spread.mean, one.quantile * *error);
      if (summary.smallest_effect == 0 || !one.simultaneous) continue;
      one.p_equivalence = equivalence(one.spread.values(), summary.margin(), error);
      one.verdict = verdict_of(one.spread.mean, *one.deciding(), one.p_equivalence, summary.margin());
    }
}

std::string default_title(const Summary& summary) {
  const Run& first = summary.first_run();
  if (summary.tasks > 0)
    return fmt::format("{} {}, {}", first.epochs.front()["scenario"].get<std::string>(), summary.data,
                       count(summary.tasks, "task"));
  return (alike(summary.runs(), model_of) ? first.identity.model : "Learning rules") + " on " + summary.data;
}

}  // namespace

int Paired::side() const {
  if (!simultaneous) return 0;
  return simultaneous->low > 0 ? 1 : simultaneous->high < 0 ? -1 : 0;
}

const Arm* Condition::find(const std::string& name) const {
  const auto found = std::ranges::find(arms, name, &Arm::name);
  return found == arms.end() ? nullptr : &*found;
}

const Difference* Condition::find(const std::string& arm, const std::string& against, const Measure& measure) const {
  const auto found = std::ranges::find_if(differences, [&](const Difference& one) {
    return one.arm == arm && one.against == against && one.measure == measure.key;
  });
  return found == differences.end() ? nullptr : &*found;
}

Runs Condition::counted() const {
  Runs all;
  for (const Arm& arm : arms) all.insert(all.end(), arm.runs.begin(), arm.runs.end());
  return all;
}

Runs Summary::runs() const {
  Runs all;
  for (const Condition& condition : conditions)
    for (const RunPtr& run : condition.counted()) all.push_back(run);
  return all;
}

std::vector<Section> Summary::sections() const {
  if (!swept.empty()) return {Section(conditions)};
  std::vector<Section> all;
  for (const Condition& condition : conditions) all.emplace_back(&condition, 1);
  return all;
}

const Condition& Summary::first_condition() const {
  return *std::find_if(conditions.begin(), conditions.end(), [](const Condition& one) { return !one.arms.empty(); });
}

std::vector<double> Spread::values() const {
  std::vector<double> all;
  for (const Sample& sample : samples) all.push_back(sample.value);
  return all;
}

Spread spread_of(const Runs& runs, const std::function<std::optional<double>(const Run&)>& number, Bounds bounds) {
  std::vector<Sample> samples;
  for (const RunPtr& run : runs)
    if (const auto value = number(*run)) samples.push_back({run->identity.seed, run->identity.pairing, *value});
  return spread(std::move(samples), bounds);
}

std::string interval_text(const std::optional<Interval>& interval, const Unit& unit, bool sign) {
  if (!interval) return "";
  const auto text = [&](double x) { return sign ? unit.change(x) : unit.number(x); };
  return fmt::format("[{}, {}]", text(interval->low), text(interval->high));
}

std::string level_text(const Spread& spread, const Unit& unit) {
  return unit.level(spread.mean) + (spread.interval ? " " : "") + interval_text(spread.interval, unit, false);
}

std::string change_text(const Paired& one, const Unit& unit) {
  return unit.change(one.spread.mean) + unit.difference + (one.simultaneous ? " " : "") +
         interval_text(one.simultaneous, unit, true);
}

Summary summarize(Records records, const Options& options) {
  Summary summary{std::move(records)};
  Runs runs;
  for (const Condition& condition : summary.conditions)
    for (const RunPtr& run : condition.runs) {
      Runs& known = counts(*run) ? runs : summary.excluded;
      if (std::ranges::find(known, run) == known.end()) known.push_back(run);
    }
  for (const Condition& condition : summary.conditions)
    if (condition.planned > condition.runs.size()) summary.missing += condition.planned - condition.runs.size();
  if (runs.empty())
    throw DataError(fmt::format(
        "there is no finished run to report on: {} read, all of them diverged, failed, interrupted, or still running",
        summary.excluded.size()));
  for (const std::string& name :
       {options.baseline, std::string("bp"), summary.arms.empty() ? "" : summary.arms.front()})
    if (summary.baseline.empty() && std::ranges::any_of(runs, [&](auto& run) { return run->identity.arm == name; }))
      summary.baseline = name;
  for (Condition& condition : summary.conditions) condition.arms = arms_of(condition, summary.baseline);
  if (summary.swept.empty()) std::erase_if(summary.conditions, [](const Condition& one) { return one.arms.empty(); });
  const Run& first = summary.first_run();
  Runs of_baseline;
  if (summary.baseline.empty()) summary.baseline = first.identity.arm;
  for (const Condition& condition : summary.conditions) {
    check_comparable(condition, first);
    for (const Arm& arm : condition.arms) {
      if (of_baseline.empty() && arm.name == summary.baseline) of_baseline = arm.runs;
      if (std::ranges::find(summary.arms, arm.name) == summary.arms.end()) summary.arms.push_back(arm.name);
    }
  }
  summary.stopped_early = std::ranges::any_of(runs, [](const RunPtr& run) { return run->status.counts >= 0; });
  summary.data = first.identity.data;
  summary.score = score_of(first.identity.score);
  summary.part = part_of(runs);
  summary.tasks = tasks_of(first);
  summary.title = !options.title.empty() ? options.title : default_title(summary);
  if (!summary.swept.empty()) summary.title += ", by " + swept_part(summary.swept);
  summary.measures = summary.tasks > 0 ? task_measures() : training_measures(summary.score, summary.part, {});
  if (const double end = 0.98 * spread_of(of_baseline, summary.primary().of).mean;
      summary.tasks == 0 && (options.target != 0 || end > 0))
    summary.measures = training_measures(summary.score, summary.part, options.target != 0 ? options.target : end);
  for (Condition& condition : summary.conditions) {
    for (Arm& arm : condition.arms) arm.values = values_of(arm.runs, summary.measures);
    condition.differences = differences_of(condition, summary);
  }
  if (options.smallest_effect > 0) summary.smallest_effect = options.smallest_effect;
  correct(summary);
  conclude(summary);
  return summary;
}

std::vector<Part> parts_of(const Arm& arm, const PartKind& kind) {
  std::vector<Part> all;
  for (const std::string& name : kind.names_of(arm.runs))
    all.push_back({name, values_of(arm.runs, kind.measures(name))});
  const std::string first = kind.measures("").front().key;
  std::erase_if(all, [&](const Part& part) { return part.values.at(first).empty(); });
  return all;
}

std::vector<std::vector<Spread>> matrix_of(const Arm& arm) {
  const Run& first = *arm.runs.front();
  std::vector<std::vector<Spread>> matrix(tasks_of(first));
  for (std::size_t i = 0; i < matrix.size(); ++i)
    for (std::size_t j = 0; j < matrix.size(); ++j)
      matrix[i].push_back(spread_of(
          arm.runs, [&](const Run& run) { return run.epochs[i + 1]["test_tasks"][j].get<double>(); }, {0, 1}));
  return matrix;
}

std::string swept_part(const std::string& key) {
  const std::size_t place = key.find("{}"), before = key.find_last_of(",:", place), equals = key.find('=');
  const std::size_t begin = (before == std::string::npos ? equals : before) + 1;
  const std::string part = key.substr(begin, key.find_first_of(",:", place) - begin);
  return part == "{}" ? key.substr(0, equals) : part;
}

}  // namespace grapes::report
