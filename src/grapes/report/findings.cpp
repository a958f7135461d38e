#include "grapes/base/text.h"
#include "grapes/report/arms.h"
#include "grapes/report/report.h"
#include "grapes/report/statistics.h"

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

/// "95 % interval +0.80 to +1.60".
std::string written(const Interval& interval, const Unit& unit, bool of_change) {
  const auto text = [&](double x) { return of_change ? unit.change(x) : unit.number(x); };
  return fmt::format("95 % interval {} to {}", text(interval.low), text(interval.high));
}

/// "+1.20 points (95 % interval ..., 5 pairs, p 0.0625, after Holm 0.2500), higher by the interval, but not by ...".
std::string verdict(const Difference& difference, const Unit& unit) {
  const Spread& spread = difference.spread;
  if (spread.empty()) return "no two runs began alike, so the arms are unpaired and not tested";
  const std::string change = unit.change(spread.mean) + unit.difference;
  if (!spread.interval) return change + ", one pair only, which says nothing about chance";
  const std::string numbers =
      fmt::format("{} ({}, {}", change, written(*spread.interval, unit, true), count(spread.n(), "pair"));
  if (!difference.p) return numbers + "), the same score in every pair";
  const bool by_interval = difference.side() != 0, by_test = difference.significant();
  const std::string shown = by_interval && by_test ? " by the interval and by the test"
                            : by_interval          ? " by the interval, but not by the corrected test"
                                                   : " by the test, but the interval includes 0";
  return fmt::format(
      "{}, p {}, after Holm {}), {}", numbers, p_value(*difference.p), p_value(*difference.p_holm),
      by_interval || by_test ? (spread.mean > 0 ? "higher" : "lower") + shown : "no difference is shown");
}

/// The arms that the comparison is about, or that tell what it is due to, are followed over all compared measures;
/// of the others only the first one is told.
std::vector<const Measure*> told_of(const std::string& arm, const Summary& summary) {
  std::vector<const Measure*> told;
  for (const Measure& measure : summary.measures)
    if (&measure == &summary.primary() || (measure.compared && (arm == "grapes" || arm == "uniform")))
      told.push_back(&measure);
  return told;
}

/// "`grapes` against `bp`: average accuracy 91.30 % and 90.10 %, +1.20 points ...; forgetting ...", if they are there.
void against(const std::string& arm, const std::string& other, const std::string& meaning, const Summary& summary,
             const Condition& condition, Said& say) {
  const std::vector<const Measure*> told = told_of(arm, summary);
  Strings pieces;
  for (const Measure* measure : told)
    if (const Difference* difference = condition.find(arm, other, *measure)) {
      const auto level = [&](const std::string& name) {
        return measure->unit.level((*condition.find(name))[*measure].mean);
      };
      pieces.push_back(fmt::format("{}{} and {}, {}", told.size() > 1 ? measure->name + " " : "", level(arm),
                                   level(other), verdict(*difference, measure->unit)));
    }
  if (!pieces.empty())
    say("{} against {}{}: {}.", quoted(arm), quoted(other), meaning.empty() ? "" : " (" + meaning + ")",
        fmt::join(pieces, "; "));
}

/// How it ends: the baseline, and GRAPES or the best other arm beside it.
void result(const Summary& summary, const Condition& condition, Said& say) {
  const Measure& measure = summary.primary();
  const Unit& unit = measure.unit;
  const Arm& base = condition.arms.front();
  const Arm* best = condition.find("grapes");
  if (best == nullptr || best == &base) {
    best = &base;
    for (const Arm& arm : condition.arms)
      if (best == &base || arm[measure].mean > (*best)[measure].mean) best = &arm;
  }
  std::set<std::string> models;
  for (const RunPtr& run : base.runs) models.insert(run->identity.model);
  const std::string model = models.size() == 1 ? " with " + *models.begin() : "";
  const Json& first = base.runs.front()->epochs.front();
  const std::string where = summary.tasks > 0 ? fmt::format("{} of {} {}{}", count(summary.tasks, "task"),
                                                            first["scenario"].get<std::string>(), summary.data, model)
                                              : fmt::format("{}{}, after {}", summary.data, model,
                                                            count(base.runs.front()->epochs.back()["epoch"], "epoch"));
  const Spread& spread = base[measure];
  const std::string text =
      fmt::format("On {}, {} ends at {} {} ({}{})", where, quoted(base.name), unit.level(spread.mean), measure.name,
                  spread.n() == 1 ? "one seed" : "mean of " + count(spread.n(), "seed"),
                  spread.interval ? ", " + written(*spread.interval, unit, false) : "");
  if (best == &base) return say("{}; there is no other arm to compare it with.", text);
  const std::string both = fmt::format("{} and {} at {}", text, quoted(best->name), unit.level((*best)[measure].mean));
  const Difference* difference = condition.find(best->name, base.name, measure);
  if (difference == nullptr || difference->spread.empty())
    return say("{}; the runs are unpaired, so no difference is tested.", both);
  const std::string change = unit.change(difference->spread.mean) + unit.difference;
  if (!difference->spread.interval)
    return say("{}: a paired difference of {} from one pair, which says nothing about chance.", both, change);
  say("{}: a paired difference of {}, {}, which {} 0.", both, change, written(*difference->spread.interval, unit, true),
      difference->side() == 0 ? "includes" : "does not include");
}

/// What each arm does, and what GRAPES does beyond a change of the effective learning rates.
void differences(const Summary& summary, const Condition& condition, Said& say) {
  for (const Arm& arm : condition.arms) against(arm.name, summary.baseline, "", summary, condition, say);
  for (const Control& control : controls_of(summary.arms))
    if (control.against != summary.baseline)
      against(control.arm, control.against, control.meaning, summary, condition, say);
  if (condition.find("grapes") == nullptr) return;
  const Difference* uniform = condition.find("grapes", "uniform", summary.primary());
  const Difference* shuffled = condition.find("grapes", "shuffled", summary.primary());
  if (uniform == nullptr)
    say("There is no arm `uniform`, so a gain of `grapes` cannot be told from a change of the effective learning "
        "rates.");
  if (shuffled == nullptr)
    say("There is no arm `shuffled`, so it cannot be told whether the factors need to be tied to the weights.");
  if (uniform == nullptr || shuffled == nullptr) return;
  if (uniform->side() > 0 && shuffled->side() > 0)
    say("`grapes` ends above both controls, {}: in this setting it does more than a change of the effective learning "
        "rates would, and the tie to the weights matters.",
        uniform->significant() && shuffled->significant() ? "by intervals and tests"
                                                          : "by the intervals, though not by the corrected tests");
  else if (uniform->side() < 0 || shuffled->side() < 0)
    say("`grapes` ends below a control, so nothing beyond a change of the effective learning rates speaks for it.");
  else if (uniform->side() > 0)
    say("`grapes` is told apart from `uniform` but not from `shuffled`: factors that differ between units may help; "
        "tying them to the weights made no difference that could be measured.");
  else if (shuffled->side() > 0)
    say("`grapes` is told apart from `shuffled` but not from `uniform`: nothing beyond a change of the effective "
        "learning rates is shown.");
  else
    say("`grapes` is told apart neither from `uniform` (every unit has its layer's mean factor) nor from `shuffled` "
        "(the same factors at random units): nothing beyond a change of the effective learning rates is shown.");
}

void constant(const Summary& summary, const Condition& condition, Said& say) {
  const Arm* arm = condition.find("constant:2");
  const Arm* grapes = condition.find("grapes");
  if (arm == nullptr || grapes == nullptr || summary.tasks == 0) return;
  Strings levels;
  for (const Measure* measure : told_of("grapes", summary))
    levels.push_back(fmt::format("{} {} and {}", measure->name, measure->unit.level((*arm)[*measure].mean),
                                 measure->unit.level((*grapes)[*measure].mean)));
  say("`constant:2` is what the authors' published notebook computes: it sums over a layer's weights at once, so that "
      "every factor is 2, and the error is doubled at each hidden layer on its way down. It tells no units apart. "
      "`constant:2` and `grapes` in comparison: {}.",
      listed(levels));
}

void factors(const Summary&, const Condition& condition, Said& say) {
  const Arm* grapes = condition.find("grapes");
  if (grapes == nullptr) return;
  Strings layers;
  double widest = 0, lowest = 2;
  for (const FinalFactors& layer : final_factors(*grapes)) {
    layers.push_back(fmt::format("{} ± {} ({})", fixed(layer.mean, 2), fixed(layer.sd, 2), layer_title(layer.layer)));
    widest = std::max(widest, layer.sd);
    lowest = std::min(lowest, layer.min);
  }
  if (!layers.empty())
    say("At the end the factors of `grapes` are {} over the units of a layer, the smallest {}{}", listed(layers),
        fixed(lowest, 2),
        widest < 0.1 ? ": close to one constant for the layer, which leaves little difference between units." : ".");
}

/// What the factors go with, where the records say how weights moved.
void reasons(const Summary&, const Condition& condition, Said& say) {
  const Arm* grapes = condition.find("grapes");
  if (grapes == nullptr) return;
  const auto correlation = [&](const std::string& key) {
    Strings all;
    for (const WeightChange& weight : weight_changes(*grapes))
      for (std::size_t i = 0; i < change_measures.size(); ++i)
        if (const Spread& spread = weight.values[i]; change_measures[i].key == key && !spread.empty())
          all.push_back(weight.name + " " + with_sign(spread.mean, 2) +
                        (spread.interval ? fmt::format(" [{}, {}]", with_sign(spread.interval->low, 2),
                                                       with_sign(spread.interval->high, 2))
                                         : ""));
    return join(all, ", ");
  };
  if (const std::string change = correlation("factor_change"); !change.empty())
    say("Rank correlation, over the units of `grapes`, of the factor with how far a unit's weights moved: {}; with "
        "how much that raised the loss on the tasks before: {}.",
        change, correlation("factor_loss_increase"));
}

void overlap(const Summary& summary, const Condition& condition, Said& say) {
  const Arm& base = condition.arms.front();
  const auto& interval = base[summary.primary()].interval;
  Strings arms;
  for (const Arm& arm : condition.arms)
    if (const auto& other = arm[summary.primary()].interval; &arm != &base && interval && other)
      if (other->low <= interval->high && interval->low <= other->high) arms.push_back(quoted(arm.name));
  if (!arms.empty())
    say("The intervals of the means of {} overlap with that of {}. This alone decides nothing, since paired runs "
        "share what their seed does to them: the paired differences do.",
        listed(arms), quoted(base.name));
}

void learning_rates(const Summary&, const Condition& condition, Said& say) {
  const Json& tuning = condition.tuning;
  if (tuning.is_null()) {
    std::set<double> rates;
    for (const Arm& arm : condition.arms) rates.insert(arm.learning_rates.begin(), arm.learning_rates.end());
    if (rates.size() == 1 && condition.arms.size() > 1)
      say("All arms ran at the learning rate {}, which was not tuned for each arm: an arm that scales the error also "
          "scales its steps, and may gain or lose by that alone.",
          shortest(*rates.begin()));
    else if (rates.size() > 1)
      say("The arms ran at different learning rates, and the records do not tell how these were chosen.");
    return;
  }
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
    say("The learning rate chosen for {} lies at the edge of the grid: a better one may lie outside it, and the "
        "comparison may be unfair to that arm.",
        listed(at_edge));
  if (!elsewhere.empty()) say("But {} did not run at the learning rate chosen for it.", listed(elsewhere));
  if (!untuned.empty()) say("No learning rate was tuned for {}.", listed(untuned));
}

void convergence(const Summary& summary, const Condition& condition, Said& say) {
  if (summary.tasks > 0) return;
  Strings slowness, rising, failed;
  for (const Arm& arm : condition.arms) {
    const Spread& fit = arm.values.at("slowness");
    const double asymptote = arm.values.at("asymptote").mean;
    if (!fit.empty()) slowness.push_back(quoted(arm.name) + " " + fixed(fit.mean, 3));
    if (fit.n() < arm.runs.size())
      failed.push_back(fmt::format("{} of {} runs of {}", fit.n(), arm.runs.size(), quoted(arm.name)));
    if (!fit.empty() && asymptote > arm[summary.primary()].mean + 0.01)
      rising.push_back(fmt::format("{} ({})", quoted(arm.name), summary.primary().unit.level(asymptote)));
  }
  if (slowness.size() > 1)
    say("Slowness of the plateau fit, in epochs to half of the asymptote, smaller is faster: {}. This describes the "
        "curves and is not tested.",
        listed(slowness));
  if (!rising.empty())
    say("The fitted asymptote lies well above the last score for {}: these runs may not have reached their plateau, "
        "and longer ones could end in another order.",
        listed(rising));
  if (!failed.empty()) say("The plateau could be fitted only to {}.", listed(failed));
}

/// What makes the numbers of one condition mean different things.
void mixtures(const Summary& summary, const Condition& condition, Said& say) {
  std::set<std::size_t> lengths;
  std::set<std::string> models;
  bool mixed = false;
  for (const Arm& arm : condition.arms) {
    std::set<std::string> settings;
    for (const RunPtr& run : arm.runs) {
      lengths.insert(run->epochs.back()["epoch"].get<std::size_t>());
      models.insert(run->identity.model);
      settings.insert(run->identity.pairing);
    }
    mixed = mixed || settings.size() > 1 || arm.learning_rates.size() > 1;
    const Difference* one = condition.find(arm.name, summary.baseline, summary.primary());
    if (one != nullptr && !one->spread.empty() && one->unpaired > 0)
      say("{} of {} without a partner in {} that began alike: not in the paired difference.",
          count(one->unpaired, "run"), quoted(arm.name), quoted(one->against));
  }
  if (lengths.size() > 1)
    say("The runs are of different length ({} to {}): their final scores are not alike, and the mean curves end where "
        "only some go on.",
        *lengths.begin(), count(*lengths.rbegin(), "epoch"));
  if (models.size() > 1)
    say("The runs are of different models ({}): a difference between arms may be one between models.",
        listed({models.begin(), models.end()}));
  if (mixed) say("An arm holds runs with different settings: its mean mixes them.");
}

/// What the test could have shown at all.
void power(const Summary& summary, Said& say) {
  std::size_t pairs = 0, tests = 0;
  for (const Condition& condition : summary.conditions) {
    std::size_t here = 0;
    for (const Difference& one : condition.differences)
      if (!one.control && one.measure == summary.primary().key) {
        pairs = std::max(pairs, one.spread.n());
        here += one.p ? 1 : 0;
      }
    tests = std::max(tests, here);
  }
  if (pairs == 1) say("One seed says nothing about chance: ask for more with --seeds.");
  if (tests == 0) return;
  const double least = smallest_p(static_cast<int>(pairs));
  const double corrected = std::min(1.0, static_cast<double>(tests) * least);
  const std::string after =
      tests > 1 ? fmt::format(" ({} after Holm's correction for {})", p_value(corrected), count(tests, "arm")) : "";
  if (corrected >= 0.05)
    say("With {} the exact Wilcoxon test cannot give a p below {}{}, so no arm can be called significant at 0.05 by "
        "it, however large the difference.",
        count(pairs, "pair"), p_value(least), after);
  else
    say("The smallest p that the exact Wilcoxon test can give with {} is {}{}.", count(pairs, "pair"), p_value(least),
        after);
  say("Intervals of differences are Student's t; those of scores that have bounds are Student's t on a logit scale, "
      "so that they stay within them. Each interval stands for itself: they are not corrected for the number of arms, "
      "and they speak about other seeds, not about other data or networks.");
}

void data(const Summary& summary, Said& say) {
  if (summary.tasks > 0) {
    const Json& start = summary.first_run().epochs.front();
    return say("Each task is trained for {}; the optimizer's state is {} at the beginning of a task.",
               count(start.value("epochs", std::size_t{1}), "epoch"), start.value("optimizer_state", "reset"));
  }
  if (!summary.score.meaning.empty()) say("A {} is {}.", summary.score.name, summary.score.meaning);
  std::set<std::string> beginnings;
  for (const Arm& arm : summary.conditions.front().arms)
    for (const RunPtr& run : arm.runs) beginnings.insert(run->identity.pairing);
  say("Scores are those of {}; {}.",
      summary.stopped_early ? "the epoch that was best on validation data, where training was stopped"
                            : "the last epoch, no epoch was picked by its score",
      summary.part == "train" ? "there is no test part, so these are train scores, which say how well the data were "
                                "fitted and nothing about new data"
      : summary.part == "validation" ? "there is no test part, so these are validation scores, which are too high if "
                                       "anything was chosen by them"
      : beginnings.size() == 1 ? "all runs are scored on the same test set, whose own sampling error no interval here "
                                 "includes"
                               : "the runs did not all begin alike, so they need not share one test set");
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

void left_out(const Summary& summary, Said& say) {
  for (const std::string& line : excluded_runs(summary)) say("Not counted: {}.", line);
  std::set<std::string> gone;
  for (const RunPtr& run : summary.excluded) gone.insert(quoted(run->identity.arm));
  for (const Condition& condition : summary.conditions)
    for (const Arm& arm : condition.arms) gone.erase(quoted(arm.name));
  if (!gone.empty()) say("No run of {} finished, so it is not compared.", listed({gone.begin(), gone.end()}));
}

}  // namespace

Findings findings(const Summary& summary) {
  Findings found;
  Said all;
  for (const Condition& condition : summary.conditions) {
    Said say;
    if (summary.swept.empty()) {
      for (const auto& kind :
           {result, differences, constant, factors, reasons, overlap, learning_rates, convergence, mixtures})
        kind(summary, condition, say);
      if (found.lead.empty()) {
        found.lead = (condition.title.empty() ? "" : condition.title + ": ") + say.all.front();
        say.all.erase(say.all.begin());
      }
    }
    found.conditions.push_back(std::move(say.all));
  }
  if (summary.swept.empty()) {
    power(summary, all);
    data(summary, all);
  } else {
    found.lead = fmt::format("The same comparison at each value of `{}`; each value's own report lies in its folder.",
                             summary.swept);
    sweep(summary, all);
  }
  left_out(summary, all);
  found.all = std::move(all.all);
  return found;
}

}  // namespace grapes::report
