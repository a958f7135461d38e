#include "grapes/base/text.h"
#include "grapes/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace grapes::report {
using record::Json;
namespace {

using Strings = std::vector<std::string>;
const char* const no_uniform =
    "a gain of `grapes` cannot be distinguished from a change of the effective learning rates";
const char* const same = "shows no difference from";
const char* const no_shuffled = "the runs do not show whether it matters which unit has which factor";
/// Gathers sentences.
struct Said {
  Strings all;
  template <class... Values>
  void operator()(fmt::format_string<Values...> sentence, Values&&... values) {
    all.push_back(fmt::format(sentence, std::forward<Values>(values)...));
  }
  /// Says the sentence of all arms for which `holds`, if there are any.
  void of(const Condition& condition, const std::function<bool(const Arm&)>& holds,
          fmt::format_string<std::string> sentence) {
    Strings names;
    for (const Arm& arm : condition.arms)
      if (holds(arm)) names.push_back(quoted(arm.name));
    if (!names.empty()) (*this)(sentence, listed(names));
  }
};

/// A difference, with the name of its condition if there are several.
using Told = std::vector<std::pair<std::string, const Difference*>>;

/// What a difference shows, in words that the other arm's name follows.
std::string relation(const Difference& one) {
  if (!one.spread.interval) return "cannot be compared with";
  if (!one.verdict) return one.side() > 0 ? "does better than" : one.side() < 0 ? "does worse than" : same;
  switch (*one.verdict) {
    case Verdict::better:
      return "does better than";
    case Verdict::worse:
      return "does worse than";
    case Verdict::negligible:
      return "differs negligibly from";
    case Verdict::no_difference:
      return "is equivalent to";
    case Verdict::not_resolved:
      return "may or may not differ from";
  }
  return "";
}

/// Whether an arm does better by more than a negligible difference.
bool gains(const Difference& one) { return one.verdict ? *one.verdict == Verdict::better : one.side() > 0; }

/// "does better than `bp` at 8 and 4 and shows no difference from `uniform` at 8": grouped by what they show.
std::string by_relation(const Told& all) {
  Strings groups;
  for (const char* const what : {"does better than", "does worse than", "differs negligibly from", "is equivalent to",
                                 same, "may or may not differ from", "cannot be compared with"}) {
    Strings others;
    std::map<std::string, Strings> at;
    for (const auto& [name, one] : all)
      if (relation(*one) == what) {
        if (!at.contains(one->against)) others.push_back(one->against);
        at[one->against].push_back(name);
      }
    for (std::string& other : others)
      other = plot::quoted(other) + (at[other].front().empty() ? "" : " at " + listed(at[other]));
    if (!others.empty()) groups.push_back(fmt::format("{} {}", what, listed(others)));
  }
  return listed(groups);
}

/// Returns the differences that decide about an arm: to the baseline, or of X+grapes to X, and to the controls.
Told differences_of(const Summary& summary, Section section, const std::string& arm) {
  Told all;
  const std::string below = rule_below(arm);
  for (const Condition& condition : section)
    for (const Difference& one : condition.differences)
      if (one.arm == arm && one.measure == summary.primary().key &&
          (one.control || one.against == (below.empty() ? summary.baseline : below)))
        all.emplace_back(summary.swept.empty() ? "" : condition.name, &one);
  return all;
}

/// Returns the arms that a verdict is about: those with GRAPES, or otherwise the best one.
Strings judged(const Summary& summary, const Condition& condition) {
  Strings arms;
  const Arm* best = nullptr;
  for (const Arm& arm : condition.arms) {
    if (arm.name == summary.baseline || differences_of(summary, {&condition, 1}, arm.name).empty()) continue;
    if (arm.name == "grapes" || !rule_below(arm.name).empty()) arms.push_back(arm.name);
    if (best == nullptr || arm[summary.primary()].mean > (*best)[summary.primary()].mean) best = &arm;
  }
  return arms.empty() && best != nullptr ? Strings{best->name} : arms;
}

/// Returns what the controls show if GRAPES does better than the baseline.
std::string meaning(const Summary& summary, const Condition& condition) {
  const Difference* const uniform = condition.find("grapes", "uniform", summary.primary());
  const Difference* shuffled = condition.find("grapes", "shuffled-fixed", summary.primary());  // the stricter control
  if (shuffled == nullptr) shuffled = condition.find("grapes", "shuffled", summary.primary());
  if (uniform == nullptr) return std::string("without an arm `uniform`, ") + no_uniform;
  if (!gains(*uniform)) return "nothing beyond a change of the effective learning rates is shown";
  if (shuffled == nullptr) return std::string("without an arm `shuffled-fixed` or `shuffled`, ") + no_shuffled;
  if (!gains(*shuffled))
    return "factors that differ between units may help; which unit has which factor made no measurable difference";
  return "the gain is more than a change of the effective learning rates, and it matters that each unit has the factor "
         "of its own weights";
}

/// "`grapes` does better than `bp` by the interval and the test".
std::string claim(const Summary& summary, const Condition& condition, const std::string& arm, const Told& all) {
  std::size_t shown = 0, significant = 0;
  for (const auto& [at, one] : all) {
    shown += one->side() != 0 ? 1 : 0;
    significant += one->side() != 0 && one->significant() ? 1 : 0;
  }
  const Difference& first = *all.front().second;
  std::string text = fmt::format("{} {}", quoted(arm), by_relation(all));
  if (shown == 0) return text + " (" + (first.p ? "the intervals include 0" : reading(first)) + ")";
  text += shown == significant ? ", by intervals and tests" : ", by the intervals, though not by the corrected tests";
  return arm == "grapes" && gains(first) && summary.swept.empty() ? text + ": " + meaning(summary, condition) : text;
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

/// Returns two sentences: the answer, and its numbers. For a sweep, at which values GRAPES, or the best arm, does
/// better than the baseline and the controls, and the values.
std::string verdict(const Summary& summary, Section section) {
  const Condition& first = summary.swept.empty() ? section.front() : summary.first_condition();
  const Measure& measure = summary.primary();
  const Arm& base = first.arms.front();
  const auto level = [&](const std::string& arm) {
    return level_text((*first.find(arm))[measure], measure.unit) + " with " + quoted(arm);
  };
  Strings claims, numbers, values;
  std::size_t seeds = base.runs.size();
  for (const std::string& arm : judged(summary, first)) {
    const Told all = differences_of(summary, section, arm);
    claims.push_back(claim(summary, first, arm, all));
    if (!summary.swept.empty()) continue;
    const Difference& one = *all.front().second;
    numbers.push_back(level(one.arm) + " and " + level(one.against));
    if (!one.spread.empty()) numbers.back() += ", a paired difference of " + change_text(one, measure.unit);
  }
  if (claims.empty()) claims.push_back("There is no other arm to compare " + quoted(base.name) + " with");
  const std::string text = fmt::format("{}. On {}, ", join(claims, "; "), setting(summary, base));
  if (summary.swept.empty())
    return text + fmt::format("{} is {} ({}{}).", measure.name,
                              numbers.empty() ? level(base.name) : join(numbers, "; "), count(seeds, "seed"),
                              base[measure].interval ? ", 95 % intervals in brackets" : "");
  for (const Condition& condition : section) {
    values.push_back(condition.name);
    for (const Arm& arm : condition.arms) seeds = std::max(seeds, arm.runs.size());
  }
  return text + fmt::format("{} took the values {} ({} each).", quoted(swept_part(summary.swept)), listed(values),
                            count(seeds, "seed"));
}

void controls(const Summary& summary, const Condition& condition, Said& say) {
  if (condition.find("grapes") == nullptr) return;
  const auto has = [&](const char* control) { return condition.find("grapes", control, summary.primary()) != nullptr; };
  if (!has("uniform")) say("There is no arm `uniform`, so {}.", no_uniform);
  if (!has("shuffled") && !has("shuffled-fixed"))
    say("There is no arm `shuffled-fixed` or `shuffled`, so {}.", no_shuffled);
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
    say("The arms ran at different learning rates, and the records do not say how these were chosen.");
  if (tuning.is_null()) return;
  Strings grid, chosen, at_edge, extended;
  for (const double rate : tuning["grid"]) grid.push_back(shortest(rate));
  for (const Arm& arm : condition.arms) {
    if (arm.chosen) chosen.push_back(fmt::format("{} ({})", quoted(arm.name), shortest(*arm.chosen)));
    if (arm.at_edge) at_edge.push_back(chosen.back());
    if (arm.tried > grid.size()) extended.push_back(quoted(arm.name));
  }
  say("Each arm's learning rate was chosen on validation data from one grid ({}) with {} of {}: {}. Test data was not "
      "used for choosing.",
      join(grid, ", "), count(tuning["seeds"], "seed"), count(tuning["epochs"], "epoch"), listed(chosen));
  if (!extended.empty())
    say("The grid was extended for {}, because the best rate was the first or the last one.", listed(extended));
  if (!at_edge.empty())
    say("The learning rate chosen for {} lies at the edge of the grid. A better one may lie outside it, and the "
        "comparison may be unfair to that arm.",
        listed(at_edge));
  const auto elsewhere = [](const Arm& arm) { return arm.chosen && arm.learning_rates != std::vector{*arm.chosen}; };
  const auto untuned = [](const Arm& arm) { return !arm.chosen; };
  say.of(condition, elsewhere, "{} did not run at the learning rate chosen for it.");
  say.of(condition, untuned, "No learning rate was tuned for {}.");
}

void convergence(const Summary& summary, const Condition& condition, Said& say) {
  const auto rising = [&](const Arm& arm) {
    const auto fit = arm.values.find("asymptote");
    return fit != arm.values.end() && !fit->second.empty() && fit->second.mean > arm[summary.primary()].mean + 0.01;
  };
  say.of(condition, rising,
         "The fitted asymptote lies well above the last score for {}. These runs may not have reached their plateau, "
         "and longer runs could rank the arms differently.");
}

/// Adds what limits a comparison of the numbers of one condition.
void mixtures(const Summary& summary, const Condition& condition, Said& say) {
  std::set<std::size_t> lengths;
  std::set<std::string> models;
  bool mixed = false;
  for (const RunPtr& run : condition.counted()) {
    lengths.insert(run->epochs.back()["epoch"].get<std::size_t>());
    models.insert(model_of(*run));
  }
  for (const Arm& arm : condition.arms) {
    mixed = mixed || !alike(arm.runs, pairing_of) || arm.learning_rates.size() > 1;
    const Difference* one = condition.find(arm.name, summary.baseline, summary.primary());
    if (one != nullptr && one->unpaired > 0)
      say("{} of {} cannot be paired, because no run of {} has the same start. The paired difference does not include "
          "{}.",
          count(one->unpaired, "run"), quoted(arm.name), quoted(one->against), one->unpaired == 1 ? "it" : "them");
  }
  if (lengths.size() > 1)
    say("The runs have different lengths ({} to {}). Their final scores are not comparable, and the mean curves end "
        "where only some runs continue.",
        *lengths.begin(), count(*lengths.rbegin(), "epoch"));
  if (models.size() > 1)
    say("The runs are of different models ({}). A difference between arms may come from the models.",
        listed({models.begin(), models.end()}));
  if (mixed) say("The runs of an arm have different settings, and its mean is over all of them.");
}

/// Adds the smallest p that the test can reach.
void power(const Summary& summary, Said& say) {
  std::size_t pairs = 0, tests = 0;
  for (const Difference& one : summary.conditions.front().differences)
    if (!one.control && one.measure == summary.primary().key) {
      pairs = std::max(pairs, one.spread.n());
      tests += one.p ? 1 : 0;
    }
  if (pairs == 1)
    say("One seed does not show how much the scores vary by chance: set the number of seeds with --seeds.");
  if (tests == 0) return;
  const double least = smallest_p(static_cast<int>(pairs)), corrected = static_cast<double>(tests) * least;
  say("With {} the exact Wilcoxon test cannot give a p below {}{}{}.", count(pairs, "pair"), p_value(least),
      tests > 1
          ? fmt::format(" ({} after Holm's correction for {})", p_value(std::min(1.0, corrected)), count(tests, "arm"))
          : "",
      corrected < 0.05 ? "" : ", so no difference can be significant at 0.05, however large it is");
  say("Intervals of differences are simultaneous (max-t): with 95 % probability, those of all arms, or of all "
      "controls, contain the true differences. Intervals of scores are Student's t for each score alone, for scores "
      "that have bounds on a logit scale, so they stay within the bounds. They show how much results vary with the "
      "seed, not with the data or the network.");
  if (summary.smallest_effect == 0)
    say("The smallest difference that matters is not known, so an interval that contains 0 does not show that there is "
        "no difference. With --smallest-effect the report tests for equivalence.");
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
    say("The data have no test part, so these are {} scores. Expect lower scores on new data.", summary.part);
  else if (alike(summary.runs(), pairing_of))
    say("All runs are scored on the same test set. {}",
        std::ranges::any_of(summary.conditions.front().differences, [](const Difference& one) { return !!one.crossed; })
            ? "The intervals over seeds and examples include the sampling error of this set, the others do not."
            : "The intervals do not include the sampling error of this set.");
  else
    say("The runs had different starts, so their test sets may differ.");
}

/// "This report is unfinished: 3 runs have not ended.", or "".
std::string unfinished(const Summary& summary) {
  const std::size_t n = summary.missing;
  if (n == 0) return "";
  return fmt::format("This report is unfinished: {} {} not ended.", count(n, "run"), n == 1 ? "has" : "have");
}

/// "2 runs of `bp` and `grapes` diverged or did not finish and are not counted. No run of `bp` finished."
std::string notice(const Summary& summary) {
  std::set<std::string> arms;
  for (const RunPtr& run : summary.excluded) arms.insert(quoted(run->identity.arm));
  std::string text = unfinished(summary);
  if (arms.empty()) return text;
  if (!text.empty()) text += " ";
  const std::size_t n = summary.excluded.size();
  text += fmt::format("{} of {} diverged or did not finish and {} not counted.", count(n, "run"),
                      listed({arms.begin(), arms.end()}), n == 1 ? "is" : "are");
  for (const Condition& condition : summary.conditions)
    for (const Arm& arm : condition.arms) arms.erase(quoted(arm.name));
  return arms.empty() ? text : text + " No run of " + listed({arms.begin(), arms.end()}) + " finished.";
}

void excluded(const Summary& summary, Said& say) {
  if (const std::string text = unfinished(summary); !text.empty()) say("{}", text);
  for (const RunPtr& run : summary.excluded) {
    const auto& [state, epoch, step, message, counts] = run->status;
    say("Not counted: {}, seed {}: {} after {}{}.", run->identity.arm, run->identity.seed,
        state == record::State::finished  ? "finished without a score"
        : state == record::State::running ? "still running, or killed"
                                          : record::to_string(state),
        count(static_cast<std::size_t>(epoch), summary.tasks > 0 ? "task" : "epoch"),
        message.empty() ? "" : " (" + message + ")");
  }
}

}  // namespace

std::string reading(const Difference& one) {
  if (one.spread.empty()) return "unpaired, not tested";
  if (!one.spread.interval) return "one pair of runs cannot be tested";
  if (one.verdict) return to_string(*one.verdict);
  if (!one.p) return "the score is the same in every pair";
  if (one.side() == 0) return "no difference shown";
  return fmt::format("{}{}", one.side() > 0 ? "higher" : "lower",
                     one.significant() ? " by interval and test" : ", but not by the test");
}

Findings findings(const Summary& summary) {
  Findings found;
  found.notice = notice(summary);
  for (const Section section : summary.sections()) {
    const Condition& condition = section.front();
    Said say;
    if (summary.swept.empty())
      for (const auto& kind : {controls, learning_rates, convergence, mixtures}) kind(summary, condition, say);
    found.sections.push_back({condition.title, verdict(summary, section), std::move(say.all)});
    found.lead = (condition.title.empty() ? "" : condition.title + ": ") + found.sections.back().verdict;
  }
  Said all;
  power(summary, all);
  data(summary, all);
  excluded(summary, all);
  found.all = std::move(all.all);
  return found;
}

}  // namespace grapes::report
