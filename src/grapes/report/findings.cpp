#include "grapes/base/text.h"
#include "grapes/report/cells.h"
#include "grapes/report/format.h"
#include "grapes/report/report.h"
#include "grapes/report/statistics.h"

#include <algorithm>
#include <set>

namespace grapes::report {
using record::Json;
namespace {

std::string quoted(const Json& name) { return "`" + name.get<std::string>() + "`"; }

/// "a", "a and b", "a, b and c".
std::string listed(std::vector<std::string> names) {
  if (names.size() < 2) return join(names, "");
  const std::string last = names.back();
  names.pop_back();
  return join(names, ", ") + " and " + last;
}

const Json* find_arm(const Json& summary, const std::string& name) {
  for (const Json& arm : summary["arms"])
    if (arm["arm"] == name) return &arm;
  return nullptr;
}

/// -1 or 1 where the interval of the paired difference lies below or above 0, else 0.
int side(const Json& comparison) {
  if (comparison["interval"].is_null()) return 0;
  return comparison["interval"][0] > 0 ? 1 : comparison["interval"][1] < 0 ? -1 : 0;
}
bool significant(const Json& comparison) { return comparison["p_holm"].is_number() && comparison["p_holm"] < 0.05; }

std::string numbers(const Json& comparison, const Unit& unit) {
  std::string text = unit.change(comparison["mean"]) + unit.difference;
  if (comparison["interval"].is_null()) return text;
  text += " (95 % interval " + unit.change(comparison["interval"][0]) + " to " +
          unit.change(comparison["interval"][1]) + ", " + count(comparison["n"], "pair");
  if (comparison["p"].is_number())
    text += ", p " + p_value(comparison["p"]) + ", after Holm " + p_value(comparison["p_holm"]);
  return text + ")";
}

std::string verdict(const Json& comparison, const Unit& unit) {
  const std::string who = quoted(comparison["arm"]) + " against " + quoted(comparison["against"]) + ": ";
  if (comparison["n"] == 0) return who + "no two runs began alike, so the arms are unpaired and not tested.";
  const std::string what = who + numbers(comparison, unit);
  if (comparison["n"] == 1) return what + ", one pair only, which says nothing about chance.";
  if (comparison["p"].is_null()) return what + ": the same score in every pair.";
  const int where = side(comparison);
  const std::string direction = comparison["mean"] > 0 ? "higher" : "lower";
  if (where != 0 && significant(comparison)) return what + ": " + direction + ", by the interval and by the test.";
  if (where != 0) return what + ": " + direction + " by the interval, but not by the corrected test.";
  if (significant(comparison)) return what + ": " + direction + " by the test, but the interval includes 0.";
  return what + ": no difference is shown.";
}

std::string result(const Json& summary, const Unit& unit) {
  const Json& base = summary["arms"][0];
  const Json* best = find_arm(summary, "grapes");
  if (best == nullptr || *best == base) {
    best = &base;
    for (const Json& arm : summary["arms"])
      if (best == &base || arm["mean"] > (*best)["mean"]) best = &arm;
  }
  const std::string score = summary["part"].get<std::string>() + " " + score_name(summary["score"]);
  const std::string model = base["models"].size() == 1 ? " with " + base["models"][0].get<std::string>() : "";
  std::string text = "On " + summary["data"].get<std::string>() + model + ", after " +
                     count(base["epochs"].back(), "epoch") + ", " + quoted(base["arm"]) + " ends at " +
                     unit.level(base["mean"]) + " " + score +
                     (base["n"] == 1 ? std::string(" (one seed)") : " (mean of " + count(base["n"], "seed") + ")");
  if (best == &base) return text + "; there is no other arm to compare it with.";
  text += " and " + quoted((*best)["arm"]) + " at " + unit.level((*best)["mean"]);
  const Json& difference = (*best)["difference"];
  if (difference["n"] == 0) return text + "; the runs are unpaired, so no difference is tested.";
  text += ": a paired difference of " + unit.change(difference["mean"]) + unit.difference;
  if (difference["interval"].is_null()) return text + " from one pair, which says nothing about chance.";
  text += ", 95 % interval " + unit.change(difference["interval"][0]) + " to " + unit.change(difference["interval"][1]);
  return text + (side(difference) == 0 ? ", which includes 0." : ", which does not include 0.");
}

class Finder {
 public:
  explicit Finder(const Json& summary) : summary_(summary), unit_(unit_of(summary["score"])) {}

  std::vector<std::string> all() {
    say(result(summary_, unit_));
    for (const Json& arm : summary_["arms"])
      if (!arm["difference"].is_null()) say(verdict(arm["difference"], unit_));
    power();
    controls();
    factors();
    overlap();
    learning_rates();
    convergence();
    data();
    left_out();
    return std::move(sentences_);
  }

 private:
  void say(std::string sentence) { sentences_.push_back(std::move(sentence)); }

  /// What the test could have shown at all.
  void power() {
    std::size_t pairs = 0;
    std::size_t tests = 0;
    for (const Json& arm : summary_["arms"])
      if (!arm["difference"].is_null() && arm["difference"]["p"].is_number()) {
        pairs = std::max(pairs, arm["difference"]["n"].get<std::size_t>());
        ++tests;
      }
    if (tests == 0) return;
    const double least = smallest_p(static_cast<int>(pairs));
    const double corrected = std::min(1.0, static_cast<double>(tests) * least);
    if (corrected >= 0.05)
      say("With " + count(pairs, "pair") + " the exact Wilcoxon test cannot give a p below " + p_value(least) +
          (tests > 1 ? " (" + p_value(corrected) + " after Holm's correction for " + count(tests, "arm") + ")" : "") +
          ", so no arm can be called significant at 0.05 by it, however large the difference.");
    say("The intervals are Student's t, each for itself: they are not corrected for the number of arms, and they speak "
        "about other seeds, not about other data or networks.");
  }

  /// Whether anything but a change of the effective learning rates is shown.
  void controls() {
    const Json* grapes = find_arm(summary_, "grapes");
    if (grapes == nullptr) return;
    const Json* uniform = nullptr;
    const Json* shuffled = nullptr;
    for (const Json& comparison : summary_["controls"]) {
      say(verdict(comparison, unit_));
      (comparison["against"] == "uniform" ? uniform : shuffled) = &comparison;
    }
    if (uniform == nullptr)
      say("There is no arm `uniform`, so a gain of `grapes` cannot be told from a change of the effective learning "
          "rates.");
    if (shuffled == nullptr)
      say("There is no arm `shuffled`, so it cannot be told whether the factors need to be tied to the weights.");
    if (uniform == nullptr || shuffled == nullptr) return;
    const std::string strength = significant(*uniform) && significant(*shuffled)
                                     ? "by intervals and tests"
                                     : "by the intervals, though not by the corrected tests";
    if (side(*uniform) > 0 && side(*shuffled) > 0)
      say("`grapes` ends above both controls, " + strength +
          ": in this setting it does more than a change of the effective learning rates would, and the tie to the "
          "weights matters.");
    else if (side(*uniform) < 0 || side(*shuffled) < 0)
      say("`grapes` ends below a control, so nothing beyond a change of the effective learning rates speaks for it.");
    else if (side(*uniform) > 0)
      say("`grapes` is told apart from `uniform` but not from `shuffled`: that the nodes differ may matter; that their "
          "factors are tied to the weights is not shown to.");
    else if (side(*shuffled) > 0)
      say("`grapes` is told apart from `shuffled` but not from `uniform`: nothing beyond a change of the effective "
          "learning rates is shown.");
    else
      say("`grapes` is told apart neither from `uniform` (every node its layer's mean factor) nor from `shuffled` (the "
          "same factors at random nodes): nothing beyond a change of the effective learning rates is shown.");
  }

  void factors() {
    const Json* grapes = find_arm(summary_, "grapes");
    if (grapes == nullptr || (*grapes)["factors"].empty()) return;
    std::vector<std::string> layers;
    double widest = 0;
    double lowest = 2;
    for (const Json& layer : (*grapes)["factors"]) {
      layers.push_back(fixed(layer["mean"], 2) + " ± " + fixed(layer["sd"], 2) + " (" + layer_title(layer["layer"]) +
                       ")");
      widest = std::max(widest, layer["sd"].get<double>());
      lowest = std::min(lowest, layer["min"].get<double>());
    }
    say("At the end the factors of `grapes` are " + listed(layers) + " among nodes, the smallest " + fixed(lowest, 2) +
        (widest < 0.1 ? ": close to one constant a layer, which leaves little for the nodes to differ by." : "."));
  }

  void overlap() {
    std::vector<std::string> arms;
    const Json& base = summary_["arms"][0];
    for (const Json& arm : summary_["arms"]) {
      if (arm == base || arm["interval"].is_null() || base["interval"].is_null()) continue;
      if (arm["interval"][0] <= base["interval"][1] && base["interval"][0] <= arm["interval"][1])
        arms.push_back(quoted(arm["arm"]));
    }
    if (!arms.empty())
      say("The intervals of the means of " + listed(arms) + " overlap with that of " + quoted(base["arm"]) +
          "; this alone decides nothing, since paired runs share what their seed does to them: the paired "
          "differences do.");
  }

  void learning_rates() {
    std::set<double> rates;
    for (const Json& arm : summary_["arms"])
      for (const double rate : arm["learning_rates"]) rates.insert(rate);
    const Json& tuning = summary_["tuning"];
    if (tuning.is_null()) {
      if (rates.size() == 1 && summary_["arms"].size() > 1)
        say("All arms ran at the learning rate " + shortest(*rates.begin()) +
            ", which was not tuned for each arm: an arm that scales the error also scales its steps, and may gain or "
            "lose by that alone.");
      else if (rates.size() > 1)
        say("The arms ran at different learning rates, and the records do not tell how these were chosen.");
      return;
    }
    std::vector<std::string> grid, chosen, at_edge, untuned, elsewhere;
    for (const double rate : tuning["grid"]) grid.push_back(shortest(rate));
    const auto [low, high] = std::minmax_element(tuning["grid"].begin(), tuning["grid"].end());
    for (const Json& arm : summary_["arms"]) {
      const auto found = tuning["arms"].find(arm["arm"].get<std::string>());
      if (found == tuning["arms"].end() || (*found)["tried"].empty()) {
        untuned.push_back(quoted(arm["arm"]));
        continue;
      }
      const Json& rate = (*found)["chosen"];
      chosen.push_back(quoted(arm["arm"]) + " " + shortest(rate));
      if (arm["learning_rates"] != Json::array({rate})) elsewhere.push_back(quoted(arm["arm"]));
      if (rate == *low || rate == *high) at_edge.push_back(quoted(arm["arm"]) + " (" + shortest(rate) + ")");
    }
    say("Each arm's learning rate was chosen on validation data from one grid (" + join(grid, ", ") + ") with " +
        count(tuning["seeds"], "seed") + " of " + count(tuning["epochs"], "epoch") + ": " + listed(chosen) +
        "; test data was not used for choosing.");
    if (!at_edge.empty())
      say("The learning rate chosen for " + listed(at_edge) +
          " lies at the edge of the grid: a better one may lie outside it, and the comparison may be unfair to "
          "that arm.");
    if (!elsewhere.empty()) say("But " + listed(elsewhere) + " did not run at the learning rate chosen for it.");
    if (!untuned.empty()) say("No learning rate was tuned for " + listed(untuned) + ".");
  }

  void convergence() {
    const std::string score = summary_["part"].get<std::string>() + " " + score_name(summary_["score"]);
    std::vector<std::string> slowness, rising, failed;
    for (const Json& arm : summary_["arms"]) {
      const Json& fit = arm["slowness"];
      const std::size_t fitted = fit.is_null() ? 0 : fit["n"].get<std::size_t>();
      if (fitted > 0) slowness.push_back(quoted(arm["arm"]) + " " + fixed(fit["mean"], 3));
      if (fitted < arm["n"])
        failed.push_back(std::to_string(fitted) + " of " + arm["n"].dump() + " runs of " + quoted(arm["arm"]));
      if (fitted > 0 && arm["asymptote"]["mean"] > arm["mean"].get<double>() + 0.01)
        rising.push_back(quoted(arm["arm"]) + " (" + unit_.level(arm["asymptote"]["mean"]) + ")");
    }
    if (slowness.size() > 1)
      say("Slowness of the plateau fit, in epochs to half of the asymptote, smaller is faster: " + listed(slowness) +
          "; this describes the curves and is not tested.");
    if (!rising.empty())
      say("The fitted asymptote lies well above the last score for " + listed(rising) +
          ": these runs may not have reached their plateau, and longer ones could end in another order.");
    if (!failed.empty()) say("The plateau could be fitted only to " + listed(failed) + ".");
    std::set<std::int64_t> lengths;
    std::set<std::string> models;
    bool mixed = false;
    for (const Json& arm : summary_["arms"]) {
      for (const std::int64_t length : arm["epochs"]) lengths.insert(length);
      for (const auto& model : arm["models"]) models.insert(model.get<std::string>());
      mixed = mixed || arm["settings"].size() > 1 || arm["learning_rates"].size() > 1;
    }
    if (lengths.size() > 1)
      say("The runs are of different length (" + std::to_string(*lengths.begin()) + " to " +
          count(static_cast<std::size_t>(*lengths.rbegin()), "epoch") +
          "): their final scores are not alike, and the mean curves end where only some go on.");
    if (models.size() > 1)
      say("The runs are of different models (" + listed({models.begin(), models.end()}) +
          "): a difference between arms may be one between models.");
    if (mixed) say("An arm holds runs with different settings: its mean mixes them.");
  }

  void data() {
    const std::string part = summary_["part"];
    const std::string last =
        summary_["stopped_early"]
            ? "Scores are those of the epoch that was best on validation data, where training was stopped"
            : "Scores are those of the last epoch; no epoch was picked by its score";
    const std::string score = summary_["score"];
    if (const std::string meaning = score_meaning(score); !meaning.empty())
      say("A " + score_name(score) + " is " + meaning + ".");
    std::set<std::string> beginnings;
    for (const Json& arm : summary_["arms"])
      for (const auto& settings : arm["settings"]) beginnings.insert(settings.get<std::string>());
    if (part == "test" && beginnings.size() == 1)
      say(last + ", and all runs are scored on the same test set, whose own sampling error no interval here includes.");
    else if (part == "test")
      say(last + "; the runs did not all begin alike, so they need not share one test set.");
    else
      say(last + "; there is no test part, so these are " + part + " scores" +
          (part == "train" ? ", which say how well the data were fitted and nothing about new data."
                           : ", which are too high if anything was chosen by them."));
  }

  void left_out() {
    for (const std::string& line : excluded_runs(summary_)) say("Not counted: " + line + ".");
    std::set<std::string> gone;
    for (const Json& run : summary_["excluded"])
      if (find_arm(summary_, run["arm"]) == nullptr) gone.insert(quoted(run["arm"]));
    if (!gone.empty()) say("No run of " + listed({gone.begin(), gone.end()}) + " finished, so it is not compared.");
    for (const Json& arm : summary_["arms"])
      if (const Json& d = arm["difference"]; !d.is_null() && d["n"] > 0 && d["unpaired"] > 0)
        say(count(d["unpaired"], "run") + " of " + quoted(arm["arm"]) + " without a partner in " +
            quoted(d["against"]) + " that began alike: not in the paired difference.");
  }

  const Json& summary_;
  Unit unit_;
  std::vector<std::string> sentences_;
};

}  // namespace

std::vector<std::string> findings(const Json& summary) { return Finder(summary).all(); }

}  // namespace grapes::report
