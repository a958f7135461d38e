#include "grapes/report/continual.h"
#include "grapes/report/format.h"
#include "grapes/report/statistics.h"

#include <algorithm>

namespace grapes::report {
using record::Json;
namespace {

const Json* arm_in(const Json& setting, const std::string& name) {
  for (const Json& arm : setting["arms"])
    if (arm["arm"] == name) return &arm;
  return nullptr;
}

const Json* control_of(const Json& setting, const std::string& arm, const std::string& against,
                       const std::string& measure) {
  for (const Json& control : setting["controls"])
    if (control["arm"] == arm && control["against"] == against && control["measure"] == measure) return &control;
  return nullptr;
}

/// -1 or 1 where the interval of the paired difference lies below or above 0, else 0.
int side_of(const Json& difference) {
  if (!difference["interval"].is_array()) return 0;
  return difference["interval"][0] > 0 ? 1 : difference["interval"][1] < 0 ? -1 : 0;
}

std::string points(const Json& difference) {
  std::string text = with_sign(100 * difference["mean"].get<double>(), 2);
  if (difference["interval"].is_array())
    text += " [" + with_sign(100 * difference["interval"][0].get<double>(), 2) + ", " +
            with_sign(100 * difference["interval"][1].get<double>(), 2) + "]";
  return text;
}

/// "higher by 1.20 [0.80, 1.60] points"; what is not told apart is said so.
std::string outcome(const Json& difference) {
  if (!difference["mean"].is_number()) return "not paired, so not compared";
  const std::string numbers = points(difference) + " points";
  if (!difference["interval"].is_array()) return numbers + ", one pair, which says nothing about chance";
  const int where = side_of(difference);
  std::string text = numbers + (where == 0 ? ", no difference is shown" : where > 0 ? ", higher" : ", lower");
  if (where != 0 && !(difference["p_holm"].is_number() && difference["p_holm"] < 0.05))
    text += " by the interval, not by the corrected test";
  return text;
}

std::string level(const Json& spread) {
  std::string text = fixed(100 * spread["mean"].get<double>(), 2) + " %";
  if (spread["interval"].is_array())
    text += " [" + fixed(100 * spread["interval"][0].get<double>(), 2) + ", " +
            fixed(100 * spread["interval"][1].get<double>(), 2) + "]";
  return text;
}

/// How it ends, and how much of that the larger steps alone give.
std::string ending(const Json& setting, const std::string& baseline) {
  const Json* const grapes = arm_in(setting, "grapes");
  const Json* const base = arm_in(setting, baseline);
  if (grapes == nullptr || base == nullptr || grapes == base) return "";
  std::string text = "`grapes` ends with " + level((*grapes)["average_accuracy"]) + " on all tasks, `" + baseline +
                     "` with " + level((*base)["average_accuracy"]) + ": " +
                     outcome((*grapes)["differences"]["average_accuracy"]);
  if (const Json* const uniform = control_of(setting, "uniform", baseline, "average_accuracy"))
    text += "; `uniform`, as large steps for all nodes of a layer alike, differs from `" + baseline + "` by " +
            points(*uniform);
  return text + ".";
}

void of_forgetting(const Json& setting, const std::string& baseline, std::vector<std::string>& said) {
  const Json* const grapes = arm_in(setting, "grapes");
  const Json* const base = arm_in(setting, baseline);
  if (grapes == nullptr || base == nullptr || grapes == base) return;
  const Json& differences = (*grapes)["differences"];
  said.push_back("`grapes` forgets " + level((*grapes)["forgetting"]) + ", `" + baseline + "` " +
                 level((*base)["forgetting"]) + ": " + outcome(differences["forgetting"]) +
                 ". It learns each task to " + level((*grapes)["learning_accuracy"]) + " against " +
                 level((*base)["learning_accuracy"]) + ": " + outcome(differences["learning_accuracy"]) + ".");
}

/// What is due to the nodes' factors, and what to larger steps.
void attribution(const Json& setting, const std::string& baseline, std::vector<std::string>& said) {
  const auto both = [&](const char* one, const std::string& other) {
    const Json* const accuracy = control_of(setting, one, other, "average_accuracy");
    const Json* const forgetting = control_of(setting, one, other, "forgetting");
    if (accuracy == nullptr || forgetting == nullptr) return std::string();
    return "average accuracy " + outcome(*accuracy) + "; forgetting " + outcome(*forgetting);
  };
  if (const std::string text = both("grapes", "uniform"); !text.empty())
    said.push_back(
        "Due to modulation by node (`grapes` against `uniform`, the same mean factor for all nodes of a "
        "layer): " +
        text + ".");
  if (const std::string text = both("grapes", "shuffled"); !text.empty())
    said.push_back(
        "Due to its tie to the weights (`grapes` against `shuffled`, the same factors at random nodes): " + text + ".");
  if (const std::string text = both("uniform", baseline); !text.empty())
    said.push_back("Due to other learning rates of the layers alone (`uniform` against `" + baseline + "`): " + text +
                   ".");
}

void of_constant(const Json& setting, std::vector<std::string>& said) {
  const Json* const constant = arm_in(setting, "constant:2");
  const Json* const grapes = arm_in(setting, "grapes");
  if (constant == nullptr || grapes == nullptr) return;
  said.push_back(
      "`constant:2` is what the authors' published notebook computes: it sums over a layer's weights at once, so that "
      "every factor is 2, and the error is doubled at each hidden layer on its way down. It tells no nodes apart. "
      "Average accuracy " +
      level((*constant)["average_accuracy"]) + ", forgetting " + level((*constant)["forgetting"]) + "; `grapes` " +
      level((*grapes)["average_accuracy"]) + " and " + level((*grapes)["forgetting"]) + ".");
}

void of_methods(const Json& setting, std::vector<std::string>& said) {
  std::string text;
  for (const Json& control : setting["controls"]) {
    const std::string arm = control["arm"];
    if (!arm.ends_with("+grapes") || control["measure"] != "average_accuracy") continue;
    text += (text.empty() ? "" : "; ") + ("on `" + control["against"].get<std::string>() + "` ") + outcome(control);
  }
  if (!text.empty())
    said.push_back("GRAPES on top of other methods, average accuracy against the method alone: " + text + ".");
}

/// The strongest of what the factors went with.
void of_reasons(const Json& setting, std::vector<std::string>& said) {
  const Json* const grapes = arm_in(setting, "grapes");
  if (grapes == nullptr) return;
  std::string change, hurt;
  for (const Json& weight : (*grapes)["why"]) {
    const auto add = [&](std::string& text, const Json& value) {
      if (!value.is_object()) return;
      text += (text.empty() ? "" : ", ") + weight["name"].get<std::string>() + " " +
              with_sign(value["mean"].get<double>(), 2);
      if (value["interval"].is_array())
        text += " [" + with_sign(value["interval"][0].get<double>(), 2) + ", " +
                with_sign(value["interval"][1].get<double>(), 2) + "]";
    };
    add(change, weight["factor_change"]);
    add(hurt, weight["factor_loss_increase"]);
  }
  if (!change.empty())
    said.push_back("Rank correlation, over the nodes of `grapes`, of the factor with how far a node's weights moved: " +
                   change + "; with how much that hurt the tasks before: " + hurt + ".");
}

void of_chance(const Json& setting, std::vector<std::string>& said) {
  std::size_t n = 0;
  for (const Json& arm : setting["arms"]) n = std::max(n, arm["n"].get<std::size_t>());
  if (n < 2) {
    said.push_back("One seed says nothing about chance: ask for more with --seeds.");
    return;
  }
  const double least = smallest_p(static_cast<int>(n));
  std::string text = "n = " + std::to_string(n) + " seeds: the exact test of one comparison cannot give a p below " +
                     p_value(least) + ", however large the difference";
  text +=
      least * static_cast<double>(std::max<std::size_t>(1, setting["arms"].size() - 1)) > 0.05
          ? ", and after Holm's correction not one below 0.05: here the intervals speak, and they are not corrected."
          : ".";
  said.push_back(text);
}

void of_edges(const Json& summary, std::vector<std::string>& said) {
  const Json& tuning = summary["tuning"];
  if (!tuning.is_object()) return;
  const auto grid = tuning["grid"].get<std::vector<double>>();
  std::string names;
  for (const auto& [arm, found] : tuning["arms"].items())
    if (!found["tried"].empty() && grid.size() > 1 &&
        (found["chosen"] == grid.front() || found["chosen"] == grid.back()))
      names += (names.empty() ? "`" : ", `") + arm + "`";
  if (!names.empty())
    said.push_back("At the edge of the grid of learning rates, which may hide a better one: " + names + ".");
}

}  // namespace

Findings findings_continual(const Json& summary) {
  Findings findings;
  const std::string baseline = summary["baseline"];
  for (const Json& setting : summary["settings"]) {
    std::vector<std::string> said;
    const std::string end = ending(setting, baseline);
    if (findings.lead.empty() && !end.empty())
      findings.lead = setting["title"].get<std::string>() + ": " + end;
    else if (!end.empty())
      said.push_back(end);
    of_forgetting(setting, baseline, said);
    attribution(setting, baseline, said);
    of_constant(setting, said);
    of_methods(setting, said);
    findings.settings.push_back(said);
  }
  const Json& last = summary["settings"].back();
  if (findings.lead.empty()) {
    const Json& arm = last["arms"][0];
    findings.lead = "`" + arm["arm"].get<std::string>() + "` ends with " + level(arm["average_accuracy"]) +
                    " on all tasks, after forgetting " +
                    (arm["forgetting"].is_object() ? level(arm["forgetting"]) : std::string("nothing")) + ".";
  }
  of_reasons(last, findings.all);
  of_chance(last, findings.all);
  of_edges(summary, findings.all);
  return findings;
}

}  // namespace grapes::report
