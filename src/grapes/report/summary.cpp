#include "grapes/report/summary.h"

#include "grapes/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace grapes::report {
using record::Json;
using record::Run;
namespace {

const std::vector<const char*> parts = {"test", "validation", "train"};

std::string score_key(const Run& run, const std::string& part) { return part + "_" + run.identity.score; }

bool counts(const Run& run) {
  if (run.status.state != record::State::finished || run.epochs.empty()) return false;
  return std::ranges::any_of(
      parts, [&](const char* part) { return number(record::result_row(run), score_key(run, part)).has_value(); });
}

/// The rate chosen for an arm lies at an end of the grid.
bool at_edge(const Json& tuning, const std::string& arm) {
  if (!tuning.is_object() || tuning["grid"].size() < 2) return false;
  const Json found = tuning["arms"].value(arm, Json::object());
  if (found.empty() || found["tried"].empty()) return false;
  const auto [low, high] = std::ranges::minmax_element(tuning["grid"]);
  return found["chosen"] == *low || found["chosen"] == *high;
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
    arm.at_edge = at_edge(condition.tuning, arm.name);
  }
  return arms;
}

/// Throws if the runs of one page cannot be compared.
void check_comparable(const Condition& condition, const Run& first) {
  const auto facts = [](const Run& run) -> std::map<std::string, std::string> {
    return {{"the score", run.identity.score},
            {"the data set", run.identity.data},
            {"the scenario", run.epochs.front().value("scenario", "none")},
            {"the number of tasks", std::to_string(learns_tasks(run) ? run.epochs.size() - 1 : 1)}};
  };
  for (const Arm& arm : condition.arms)
    for (const RunPtr& run : arm.runs) {
      const auto found = facts(*run);
      for (const auto& [what, expected] : facts(first))
        if (found.at(what) != expected)
          throw DataError(fmt::format("the runs cannot stand on one page: {} is {} in {} and {} in {}", what, expected,
                                      first.folder.string(), found.at(what), run->folder.string()));
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
    if (std::ranges::all_of(runs, [&](const RunPtr& run) {
          return number(record::result_row(*run), score_key(*run, part)).has_value();
        }))
      return part;
  throw DataError("the runs have no part in common (test, validation or train) on which all of them were scored");
}

/// A fitted asymptote may lie beyond what its score can be. Its interval then has no bounds.
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

/// Returns the differences of paired samples. Within one pair the settings agree, so the seed identifies a difference.
Difference paired(Difference names, const Spread& own, const Spread& others) {
  std::map<std::pair<std::uint64_t, std::string>, double> partners;
  for (const Sample& other : others.samples) partners[{other.seed, other.pairing}] = other.value;
  std::vector<Sample> each;
  for (const Sample& one : own.samples)
    if (const auto partner = partners.find({one.seed, one.pairing}); partner != partners.end())
      each.push_back({one.seed, "", one.value - partner->second});
  names.unpaired = own.n() - each.size();
  names.spread = spread(std::move(each));
  names.p = names.spread.n() < 2 ? std::nullopt : wilcoxon(names.spread.values());
  return names;
}

std::vector<Difference> differences_of(const Condition& condition, const Summary& summary) {
  std::vector<std::string> names;
  std::vector<Difference> pairs, all;
  for (const Arm& arm : condition.arms) names.push_back(arm.name);
  if (condition.find(summary.baseline) != nullptr)
    for (const std::string& name : names)
      if (name != summary.baseline) pairs.push_back({name, summary.baseline, "", false});
  for (const Control& control : controls_of(names))
    if (control.against != summary.baseline) pairs.push_back({control.arm, control.against, "", true});
  for (Difference& pair : pairs)
    for (const Measure& measure : summary.measures) {
      const Spread& own = (*condition.find(pair.arm))[measure];
      const Spread& others = (*condition.find(pair.against))[measure];
      pair.measure = measure.key;
      if (!own.empty() && !others.empty()) all.push_back(paired(pair, own, others));
    }
  return all;
}

/// Returns how much larger each difference is than the one in the first condition, for each seed.
std::vector<Difference> changes_of(const Condition& condition, const Condition& first) {
  std::vector<Difference> all;
  for (const Difference& now : condition.differences)
    for (const Difference& then : first.differences)
      if (now.arm == then.arm && now.against == then.against && now.measure == then.measure)
        all.push_back(paired({now.arm, now.against, now.measure, now.control}, now.spread, then.spread));
  return all;
}

/// Applies Holm's correction. A family consists of a measure's differences to the baseline, or to the controls; in a
/// sweep at all values. Differences without a p do not belong to it.
void correct(Summary& summary) {
  std::map<std::string, std::vector<Difference*>> families;
  for (Condition& condition : summary.conditions) {
    const std::string at = summary.swept.empty() ? condition.name : "";
    for (Difference& one : condition.differences)
      if (one.p)
        families[fmt::format("{}, {}, {}", at, one.measure, one.control && summary.swept.empty())].push_back(&one);
    for (Difference& one : condition.changes)
      if (one.p) families["changes of " + one.measure].push_back(&one);
  }
  for (const auto& [name, family] : families) {
    std::vector<double> p;
    for (const Difference* one : family) p.push_back(*one->p);
    const std::vector<double> corrected = holm(p);
    for (std::size_t i = 0; i < family.size(); ++i) family[i]->p_holm = corrected[i];
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

int Difference::side() const {
  if (!spread.interval) return 0;
  return spread.interval->low > 0 ? 1 : spread.interval->high < 0 ? -1 : 0;
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

Runs Summary::runs() const {
  Runs all;
  for (const Condition& condition : conditions)
    for (const Arm& arm : condition.arms) all.insert(all.end(), arm.runs.begin(), arm.runs.end());
  return all;
}

std::size_t Summary::most_runs() const {
  std::size_t most = 0;
  for (const Condition& condition : conditions)
    for (const Arm& arm : condition.arms) most = std::max(most, arm.runs.size());
  return most;
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

std::string interval_text(const Spread& spread, const Unit& unit, bool sign) {
  if (!spread.interval) return "";
  const auto text = [&](double x) { return sign ? unit.change(x) : unit.number(x); };
  return fmt::format("[{}, {}]", text(spread.interval->low), text(spread.interval->high));
}

std::string level_text(const Spread& spread, const Unit& unit) {
  return unit.level(spread.mean) + (spread.interval ? " " : "") + interval_text(spread, unit, false);
}

std::string change_text(const Spread& spread, const Unit& unit) {
  return unit.change(spread.mean) + unit.difference + (spread.interval ? " " : "") + interval_text(spread, unit, true);
}

Summary summarize(Records records, const Options& options) {
  Summary summary;
  Runs runs;
  for (const Condition& condition : records.conditions)
    for (const RunPtr& run : condition.runs) {
      Runs& known = counts(*run) ? runs : summary.excluded;
      if (std::ranges::find(known, run) == known.end()) known.push_back(run);
    }
  if (runs.empty())
    throw DataError(fmt::format(
        "there is no finished run to report on: {} read, all of them diverged, failed, interrupted, or still running",
        summary.excluded.size()));
  for (const std::string& name :
       {options.baseline, std::string("bp"), records.arms.empty() ? "" : records.arms.front()})
    if (summary.baseline.empty() && std::ranges::any_of(runs, [&](auto& run) { return run->identity.arm == name; }))
      summary.baseline = name;
  for (Condition& condition : records.conditions) condition.arms = arms_of(condition, summary.baseline);
  if (records.swept.empty()) std::erase_if(records.conditions, [](const Condition& one) { return one.arms.empty(); });
  summary.swept = records.swept;
  summary.arms = records.arms;
  summary.conditions = std::move(records.conditions);
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
  summary.tasks = learns_tasks(first) ? first.epochs.size() - 1 : 0;
  summary.title = !options.title.empty() ? options.title : default_title(summary);
  if (!summary.swept.empty()) summary.title += ", by " + swept_part(summary.swept);
  summary.measures = summary.tasks > 0 ? task_measures() : training_measures(summary.score, summary.part, {});
  if (const double end = 0.98 * spread_of(of_baseline, summary.primary().of).mean;
      summary.tasks == 0 && (options.target != 0 || end > 0))
    summary.measures = training_measures(summary.score, summary.part, options.target != 0 ? options.target : end);
  for (Condition& condition : summary.conditions) {
    for (Arm& arm : condition.arms)
      for (const Measure& measure : summary.measures)
        arm.values[measure.key] = spread_of(arm.runs, measure.of, measure.bounds);
    condition.differences = differences_of(condition, summary);
    const Condition& one = summary.conditions.front();
    if (!summary.swept.empty() && &condition != &one) condition.changes = changes_of(condition, one);
  }
  correct(summary);
  return summary;
}

const std::vector<PartNumber> factor_numbers = {
    {"factor.mean", "mean"}, {"factor.sd", "standard deviation"}, {"factor.min", "smallest"}};

std::vector<Part> final_factors(const Arm& arm) {
  std::vector<Part> all;
  for (const std::string& layer : layers_of(arm.runs)) {
    Part part{layer, {}};
    for (const PartNumber& one : factor_numbers)
      part.values[one.key] = spread_of(
          arm.runs, [&](const Run& run) { return number(layer_of(run.epochs.back(), layer), one.key); },
          one.key == std::string("factor.sd") ? Bounds{0} : Bounds{1, 2});
    if (!part.values.begin()->second.empty()) all.push_back(std::move(part));
  }
  return all;
}

const std::vector<PartNumber> change_numbers = {{"weight_change", "weight change", "weight_norm"},
                                                {"overlap", "overlap"},
                                                {"overlap_size", "overlap of sizes"},
                                                {"loss_increase", "loss increase"},
                                                {"factor_change", "factor and change"},
                                                {"factor_loss_increase", "factor and loss increase"}};

std::vector<Part> weight_changes(const Arm& arm) {
  std::vector<Part> all;
  const auto weights = [](const Json& row) {
    return row.value("forgetting", Json::object()).value("weights", Json::array());
  };
  for (const Json& weight : weights(arm.runs.front()->epochs.back())) {
    Part part{weight.at("name"), {}};
    for (const PartNumber& measure : change_numbers)
      part.values[measure.key] = spread_of(arm.runs, [&](const Run& run) -> std::optional<double> {
        std::vector<double> tasks;
        for (const Json& row : run.epochs)
          for (const Json& one : weights(row))
            if (const auto value = number(one, measure.key); value && one["name"] == weight["name"])
              tasks.push_back(measure.share_of != nullptr ? *value / one.at(measure.share_of).get<double>() : *value);
        return tasks.empty() ? std::nullopt : std::optional(mean(tasks));
      });
    all.push_back(std::move(part));
  }
  return all;
}

std::vector<std::vector<Spread>> matrix_of(const Arm& arm) {
  const Run& first = *arm.runs.front();
  std::vector<std::vector<Spread>> matrix(learns_tasks(first) ? first.epochs.size() - 1 : 0);
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

std::vector<std::string> excluded_runs(const Summary& summary) {
  std::vector<std::string> lines;
  for (const RunPtr& run : summary.excluded) {
    const record::Status& status = run->status;
    const std::string state = status.state == record::State::finished  ? "finished without a score"
                              : status.state == record::State::running ? "still running, or killed"
                                                                       : record::to_string(status.state);
    lines.push_back(fmt::format("{}, seed {}: {} after {}{}", run->identity.arm, run->identity.seed, state,
                                count(static_cast<std::size_t>(status.epoch), summary.tasks > 0 ? "task" : "epoch"),
                                status.message.empty() ? "" : " (" + status.message + ")"));
  }
  return lines;
}

}  // namespace grapes::report
