#include "grapes/base/text.h"
#include "grapes/report/arms.h"
#include "grapes/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace grapes::report {
using record::Json;
namespace {

using Strings = std::vector<std::string>;

/// Gathers sentences.
struct Said {
  Strings all;
  template <class... Values>
  void operator()(fmt::format_string<Values...> sentence, Values&&... values) {
    all.push_back(fmt::format(sentence, std::forward<Values>(values)...));
  }
};

const char* const no_uniform =
    "there is no arm `uniform`, so a gain of `grapes` cannot be told from a change of the effective learning rates";
const char* const no_shuffled =
    "there is no arm `shuffled`, so it is unknown whether the factors must be tied to the weights";

/// GRAPES and what it is added to: ("grapes", the baseline), ("fa+grapes", "fa"), as far as both were compared.
std::vector<const Difference*> of_grapes(const Summary& summary, const Condition& condition) {
  std::vector<const Difference*> all;
  for (const std::string& arm : summary.arms) {
    const std::string against = arm == "grapes"            ? summary.baseline
                                : arm.ends_with("+grapes") ? arm.substr(0, arm.size() - 7)
                                                           : "";
    if (const Difference* one = condition.find(arm, against, summary.primary())) all.push_back(one);
  }
  return all;
}

using Labeled = std::vector<std::pair<std::string, const Difference*>>;

/// "does better at 4, does worse at 2 and 1 and shows no difference at 8": labels of differences by their intervals.
std::string by_side(const Labeled& all, const std::string& at) {
  Strings groups;
  for (const auto& [side, what] : {std::pair(1, "does better"), {-1, "does worse"}, {0, "shows no difference"}}) {
    Strings labels;
    for (const auto& [label, one] : all)
      if (one->side() == side) labels.push_back(label);
    if (!labels.empty()) groups.push_back(fmt::format("{} {} {}", what, at, listed(labels)));
  }
  return listed(groups);
}

/// What the interval, and the test, say of a difference.
std::string outcome(const Difference& one) {
  if (one.spread.empty()) return "the runs are unpaired, so the difference is not tested";
  if (!one.spread.interval) return "one pair of runs says nothing about chance";
  if (!one.p) return "the score is the same in every pair";
  if (one.side() == 0) return "the interval includes 0, so no difference is shown";
  return fmt::format("{} by the interval{}", one.side() > 0 ? "higher" : "lower",
                     one.significant() ? " and by the test" : ", but not by the corrected test");
}

/// The first sentence on one arm: better or worse, and for GRAPES whether its controls do as well.
std::string answer(const Difference& one, const Condition& condition, const Measure& measure) {
  if (one.arm != "grapes" || one.side() <= 0)
    return fmt::format("{} {} {} ({})", quoted(one.arm),
                       one.side() > 0        ? "does better than"
                       : one.side() < 0      ? "does worse than"
                       : one.spread.interval ? "shows no gain over"
                                             : "cannot be compared with",
                       quoted(one.against), outcome(one));
  const Difference* uniform = condition.find("grapes", "uniform", measure);
  const Difference* shuffled = condition.find("grapes", "shuffled", measure);
  Strings beaten = {quoted(one.against)}, equal;
  bool tested = one.significant();
  for (const Difference* control : {uniform, shuffled})
    if (control != nullptr) {
      (control->side() > 0 ? beaten : equal).push_back(quoted(control->against));
      tested = tested && (control->side() <= 0 || control->significant());
    }
  const std::string meaning =
      uniform == nullptr      ? no_uniform
      : uniform->side() <= 0  ? "nothing beyond a change of the effective learning rates is shown"
      : shuffled == nullptr   ? no_shuffled
      : shuffled->side() <= 0 ? "factors that differ between units may help; tying them to the weights made no "
                                "measurable difference"
                              : "the gain is more than a change of the effective learning rates, and the tie between "
                                "factors and weights matters";
  return fmt::format("`grapes` does better than {} {}{}: {}", listed(beaten),
                     tested ? "by intervals and tests" : "by the intervals, though not by the corrected tests",
                     equal.empty() ? "" : ", but not better than " + listed(equal), meaning);
}

/// "digits with mlp:256,256, after 5 epochs".
std::string setting(const Summary& summary, const Arm& arm) {
  const record::Run& run = *arm.runs.front();
  const std::string model = alike(arm.runs, model_of) ? " with " + model_of(run) : "";
  if (summary.tasks > 0)
    return fmt::format("{} of {} {}{}", count(summary.tasks, "task"), run.epochs.front()["scenario"].get<std::string>(),
                       summary.data, model);
  return fmt::format("{}{}, after {}", summary.data, model, count(run.epochs.back()["epoch"], "epoch"));
}

/// Two sentences on one condition: the answer, and its numbers.
std::string verdict(const Summary& summary, const Condition& condition) {
  const Measure& measure = summary.primary();
  const Arm& base = condition.arms.front();
  const auto level = [&](const std::string& arm) {
    return level_text((*condition.find(arm))[measure], measure.unit) + " with " + quoted(arm);
  };
  std::vector<const Difference*> told = of_grapes(summary, condition);
  if (told.empty() && condition.arms.size() > 1) {
    const auto best = std::max_element(condition.arms.begin() + 1, condition.arms.end(),
                                       [&](const Arm& a, const Arm& b) { return a[measure].mean < b[measure].mean; });
    told.push_back(condition.find(best->name, base.name, measure));
  }
  Labeled rules;
  Strings numbers;
  for (const Difference* one : told) {
    if (one->arm != "grapes") rules.emplace_back(quoted(one->against), one);
    if (one != told.front() && told.front()->arm == "grapes") continue;
    numbers.push_back(level(one->arm) + " and " + level(one->against));
    if (!one->spread.empty()) numbers.back() += ", a paired difference of " + change_text(one->spread, measure.unit);
  }
  std::string first = "There is no other arm to compare " + quoted(base.name) + " with";
  if (told.size() == 1 || numbers.size() == 1) first = answer(*told.front(), condition, measure);
  if (told.size() > 1) first = (numbers.size() == 1 ? first + "; it " : "GRAPES ") + by_side(rules, "on top of");
  return fmt::format("{}. On {}, {} is {} ({}{}).", first, setting(summary, base), measure.name,
                     told.empty() ? level(base.name) : fmt::format("{}", fmt::join(numbers, "; ")),
                     count(base.runs.size(), "seed"), base[measure].interval ? ", 95 % intervals in brackets" : "");
}

/// The same of a sweep: where GRAPES, or the best arm, does better, and whether the control does as well.
std::string verdict_of_sweep(const Summary& summary) {
  const std::string arm = summary.first_condition().find("grapes") != nullptr ? "grapes" : summary.arms.back();
  const auto compared = [&](const std::string& other) {
    Labeled all;
    for (const Condition& condition : summary.conditions)
      if (const Difference* one = condition.find(arm, other, summary.primary()); one != nullptr && one->spread.n() > 0)
        all.emplace_back(condition.name, one);
    return all.empty() ? fmt::format("No two runs of {} and {} are paired", quoted(arm), quoted(other))
                       : fmt::format("Compared with {}, {} {}", quoted(other), quoted(arm), by_side(all, "at"));
  };
  return fmt::format("{} (values of {}, {} each, by 95 % intervals of the paired differences). {}.",
                     compared(summary.baseline), quoted(summary.swept), count(summary.most_runs(), "seed"),
                     compared("uniform"));
}

/// "`grapes` against `bp`: average accuracy 91.30 % and 90.10 %, +1.20 points ...; forgetting ...".
void differences(const Summary& summary, const Condition& condition, Said& say) {
  std::vector<Control> pairs;
  for (const Arm& arm : condition.arms) pairs.push_back({arm.name, summary.baseline, ""});
  for (const Control& control : controls_of(summary.arms))
    if (control.against != summary.baseline) pairs.push_back(control);
  for (const auto& [arm, other, meaning] : pairs) {
    Strings pieces;
    for (const Measure& measure : summary.measures) {
      const Difference* one = condition.find(arm, other, measure);
      if (one == nullptr || !measure.compared) continue;
      std::string& text = pieces.emplace_back(summary.tasks == 0 ? "" : measure.name + " ");
      text += measure.unit.level((*condition.find(arm))[measure].mean) + " and " +
              measure.unit.level((*condition.find(other))[measure].mean) + ", ";
      if (!one->spread.empty())
        text += change_text(one->spread, measure.unit) + ", " + count(one->spread.n(), "pair") + ", ";
      if (one->p) text += fmt::format("p {}, after Holm {}, ", p_value(*one->p), p_value(*one->p_holm));
      text += outcome(*one);
    }
    if (!pieces.empty())
      say("{} against {}{}: {}.", quoted(arm), quoted(other), meaning.empty() ? "" : " (" + meaning + ")",
          fmt::join(pieces, "; "));
  }
  if (condition.find("grapes") == nullptr) return;
  for (const auto& [control, sentence] : {std::pair("uniform", no_uniform), {"shuffled", no_shuffled}})
    if (condition.find("grapes", control, summary.primary()) == nullptr) say("T{}.", sentence + 1);
}

/// How the factors of GRAPES are distributed at the end, and what they go with.
void factors(const Summary&, const Condition& condition, Said& say) {
  const Arm* grapes = condition.find("grapes");
  if (grapes == nullptr) return;
  Strings layers;
  double widest = 0, lowest = 2;
  for (const FinalFactors& layer : final_factors(*grapes)) {
    layers.push_back(fmt::format("{} ± {} ({})", fixed(layer.mean, 2), fixed(layer.sd, 2), layer.layer));
    widest = std::max(widest, layer.sd);
    lowest = std::min(lowest, layer.min);
  }
  if (!layers.empty())
    say("The final factors of `grapes` are {} (mean ± standard deviation over the units of a layer); the smallest is "
        "{}.{}",
        listed(layers), fixed(lowest, 2),
        widest < 0.1 ? " They are close to one constant for each layer, so units differ little." : "");
  for (const auto& [column, effect] :
       {std::pair(4, "how far the unit's weights moved"), {5, "how much this raised the loss on earlier tasks"}}) {
    Strings weights;
    for (const WeightChange& weight : weight_changes(*grapes))
      if (const Spread& spread = weight.values.at(static_cast<std::size_t>(column)); !spread.empty())
        weights.push_back(weight.name + " " + change_text(spread, {1, 2}));
    if (!weights.empty())
      say("Over the units of `grapes`, the rank correlation between the factor and {} is {}.", effect, listed(weights));
  }
}

void learning_rates(const Summary&, const Condition& condition, Said& say) {
  const Json& tuning = condition.tuning;
  std::set<double> rates;
  for (const Arm& arm : condition.arms) rates.insert(arm.learning_rates.begin(), arm.learning_rates.end());
  if (tuning.is_null() && rates.size() == 1 && condition.arms.size() > 1)
    say("All arms ran at the learning rate {}, which was not tuned for each arm: an arm that scales the error also "
        "scales its steps, and may gain or lose by that alone.",
        shortest(*rates.begin()));
  if (tuning.is_null() && rates.size() > 1)
    say("The arms ran at different learning rates, and the records do not tell how these were chosen.");
  if (tuning.is_null()) return;
  Strings grid, chosen, at_edge, untuned, elsewhere;
  for (const double rate : tuning["grid"]) grid.push_back(shortest(rate));
  for (const Arm& arm : condition.arms) {
    const auto found = tuning["arms"].find(arm.name);
    if (found == tuning["arms"].end() || (*found)["tried"].empty()) {
      untuned.push_back(quoted(arm.name));
      continue;
    }
    const double rate = (*found)["chosen"];
    chosen.push_back(quoted(arm.name) + " " + shortest(rate));
    if (arm.learning_rates != std::vector<double>{rate}) elsewhere.push_back(quoted(arm.name));
    if (condition.at_edge(arm.name)) at_edge.push_back(fmt::format("{} ({})", quoted(arm.name), shortest(rate)));
  }
  say("Each arm's learning rate was chosen on validation data from one grid ({}) with {} of {}: {}. Test data was not "
      "used for choosing.",
      join(grid, ", "), count(tuning["seeds"], "seed"), count(tuning["epochs"], "epoch"), listed(chosen));
  if (!at_edge.empty())
    say("The learning rate chosen for {} lies at the edge of the grid. A better one may lie outside it, and the "
        "comparison may be unfair to that arm.",
        listed(at_edge));
  if (!elsewhere.empty()) say("{} did not run at the learning rate chosen for it.", listed(elsewhere));
  if (!untuned.empty()) say("No learning rate was tuned for {}.", listed(untuned));
}

void convergence(const Summary& summary, const Condition& condition, Said& say) {
  Strings rising;
  for (const Arm& arm : condition.arms)
    if (const auto fit = arm.values.find("asymptote");
        fit != arm.values.end() && !fit->second.empty() && fit->second.mean > arm[summary.primary()].mean + 0.01)
      rising.push_back(fmt::format("{} ({}, n = {})", quoted(arm.name), level_text(fit->second, summary.primary().unit),
                                   fit->second.n()));
  if (!rising.empty())
    say("The fitted asymptote lies well above the last score for {}. These runs may not have reached their plateau, "
        "and longer ones could end in another order.",
        listed(rising));
}

/// What makes the numbers of one condition mean different things.
void mixtures(const Summary& summary, const Condition& condition, Said& say) {
  std::set<std::size_t> lengths;
  std::set<std::string> models;
  bool mixed = false;
  for (const Arm& arm : condition.arms) {
    for (const RunPtr& run : arm.runs) {
      lengths.insert(run->epochs.back()["epoch"].get<std::size_t>());
      models.insert(model_of(*run));
    }
    mixed = mixed || !alike(arm.runs, pairing_of) || arm.learning_rates.size() > 1;
    const Difference* one = condition.find(arm.name, summary.baseline, summary.primary());
    if (one != nullptr && !one->spread.empty() && one->unpaired > 0)
      say("{} of {} began like no run of {} and is not in the paired difference.", count(one->unpaired, "run"),
          quoted(arm.name), quoted(one->against));
  }
  if (lengths.size() > 1)
    say("The runs are of different length ({} to {}). Their final scores are not comparable, and the mean curves end "
        "where only some runs continue.",
        *lengths.begin(), count(*lengths.rbegin(), "epoch"));
  if (models.size() > 1)
    say("The runs are of different models ({}). A difference between arms may be one between models.",
        listed({models.begin(), models.end()}));
  if (mixed) say("An arm holds runs with different settings, and its mean mixes them.");
}

/// What the test could have shown at all.
void power(const Summary& summary, Said& say) {
  std::size_t pairs = 0, tests = 0;
  for (const Difference& one : summary.conditions.front().differences)
    if (!one.control && one.measure == summary.primary().key) {
      pairs = std::max(pairs, one.spread.n());
      tests += one.p ? 1 : 0;
    }
  if (pairs == 1) say("One seed says nothing about chance: --seeds sets the number of seeds.");
  if (tests == 0) return;
  const double least = smallest_p(static_cast<int>(pairs)), corrected = static_cast<double>(tests) * least;
  const std::string after = tests > 1 ? fmt::format(" ({} after Holm's correction for {})",
                                                    p_value(std::min(1.0, corrected)), count(tests, "arm"))
                                      : "";
  if (corrected < 0.05)
    say("The smallest p that the exact Wilcoxon test can give with {} is {}{}.", count(pairs, "pair"), p_value(least),
        after);
  else
    say("With {} the exact Wilcoxon test cannot give a p below {}{}, so no difference can be significant at 0.05, "
        "however "
        "large it is.",
        count(pairs, "pair"), p_value(least), after);
  say("Intervals of differences are Student's t. Intervals of scores that have bounds are Student's t on a logit "
      "scale, so they stay within the bounds. Intervals are not corrected for the number of arms. They are about other "
      "seeds, not about other data or networks.");
}

void data(const Summary& summary, Said& say) {
  if (summary.tasks > 0) {
    const Json& start = summary.first_run().epochs.front();
    return say("Each task is trained for {}; the optimizer's state is {} at the beginning of a task.",
               count(start.value("epochs", std::size_t{1}), "epoch"), start.value("optimizer_state", "reset"));
  }
  if (!summary.score.meaning.empty()) say("A {} is {}.", summary.score.name, summary.score.meaning);
  say("Scores are from the {}.", summary.stopped_early
                                     ? "epoch that was best on validation data, where training stopped"
                                     : "last epoch; no epoch was picked by its score");
  if (summary.part != "test")
    say("There is no test part, so these are {} scores, which are too high for new data.", summary.part);
  else if (alike(summary.runs(), pairing_of))
    say("All runs are scored on the same test set, whose own sampling error no interval here includes.");
  else
    say("The runs did not begin alike, so they need not share one test set.");
}

/// How a sweep's tables are read, and where a rate lies at the edge of its grid.
void sweep(const Summary& summary, Said& say) {
  Strings at_edge;
  for (const Condition& condition : summary.conditions)
    for (const Arm& arm : condition.arms)
      if (condition.at_edge(arm.name)) at_edge.push_back(arm.name + " at " + condition.name);
  say("Scores are means over n = {} runs with their 95 % interval; differences and changes are means of pairs ± half "
      "of it. A * marks p below 0.05 after Holm's correction over all pairs of all values.",
      summary.most_runs());
  if (!at_edge.empty())
    say("The learning rate chosen lies at the edge of the grid, and a better one may lie outside it, for {}.",
        join(at_edge, ", "));
}

}  // namespace

Findings findings(const Summary& summary) {
  Findings found;
  Said all;
  for (const Condition& condition : summary.conditions) {
    Said say;
    if (summary.swept.empty()) {
      found.verdicts.push_back(verdict(summary, condition));
      found.lead = (condition.title.empty() ? "" : condition.title + ": ") + found.verdicts.back();
      for (const auto& kind : {differences, factors, learning_rates, convergence, mixtures})
        kind(summary, condition, say);
    }
    found.conditions.push_back(std::move(say.all));
  }
  if (summary.swept.empty()) {
    power(summary, all);
    data(summary, all);
  } else {
    found.lead = verdict_of_sweep(summary);
    sweep(summary, all);
  }
  std::set<std::string> arms, gone;
  for (const RunPtr& run : summary.excluded) arms.insert(quoted(run->identity.arm));
  gone = arms;
  for (const Condition& condition : summary.conditions)
    for (const Arm& arm : condition.arms) gone.erase(quoted(arm.name));
  for (const std::string& line : excluded_runs(summary)) all("Not counted: {}.", line);
  if (const std::size_t n = summary.excluded.size(); n > 0)
    found.notice = fmt::format("{} of {} diverged or did not finish and {} not counted.", count(n, "run"),
                               listed({arms.begin(), arms.end()}), n == 1 ? "is" : "are");
  if (!gone.empty()) found.notice += fmt::format(" No run of {} finished.", listed({gone.begin(), gone.end()}));
  found.all = std::move(all.all);
  return found;
}

}  // namespace grapes::report
