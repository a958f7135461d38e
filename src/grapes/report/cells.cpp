#include "grapes/report/cells.h"

#include "grapes/base/text.h"
#include "grapes/report/format.h"

namespace grapes::report {
using record::Json;
namespace {

const std::string none = "–";

std::string mean_and_sd(const Json& spread, double factor, int decimals) {
  if (spread.is_null()) return none;
  const std::string center = fixed(factor * spread["mean"].get<double>(), decimals);
  return spread["n"] < 2 ? center : center + " ± " + fixed(factor * spread["sd"].get<double>(), decimals);
}

std::string rates(const Json& arm) {
  std::vector<std::string> texts;
  for (const double rate : arm["learning_rates"]) texts.push_back(shortest(rate));
  if (texts.empty()) return none;
  return texts.size() <= 2 ? join(texts, ", ") : texts.front() + "…" + texts.back();
}

std::string difference(const Json& arm, const Unit& unit) {
  const Json& d = arm["difference"];
  if (d.is_null()) return none;
  if (d["n"] == 0) return "unpaired";
  const std::string center = unit.change(d["mean"]);
  if (d["interval"].is_null()) return center;
  return center + " [" + unit.change(d["interval"][0]) + ", " + unit.change(d["interval"][1]) + "]";
}

std::string p(const Json& arm, const char* which) {
  const Json& d = arm["difference"];
  return d.is_null() || d[which].is_null() ? none : p_value(d[which]);
}

std::string to_target(const Json& arm) {
  const Json& reached = arm["epochs_to_target"];
  if (reached.is_null()) return "never";
  const std::string text = mean_and_sd(reached, 1, 1);
  return reached["n"] == arm["n"] ? text : text + " (" + reached["n"].dump() + " of " + arm["n"].dump() + ")";
}

}  // namespace

std::vector<Column> columns(const Json& summary) {
  const Unit unit = unit_of(summary["score"]);
  const std::string score = summary["part"].get<std::string>() + " " + score_name(summary["score"]);
  std::vector<Column> all = {
      {"arm", "the label under which runs are grouped", false,
       [](const Json& a) { return a["arm"].get<std::string>(); }},
      {"n", "finished runs, one for each seed", false, [](const Json& a) { return a["n"].dump(); }},
      {"rate", "the learning rate the runs began with", false, rates},
      {score + unit.suffix,
       "at the last epoch (where training stops early, at the best on validation), mean ± standard deviation over "
       "seeds",
       false, [=](const Json& a) { return mean_and_sd(a, unit.factor, unit.decimals); }},
      {"against " + summary["baseline"].get<std::string>() + " [95 %]",
       "mean paired difference" + (unit.suffix.empty() ? std::string() : ", in points") + ", with Student's t interval",
       false, [=](const Json& a) { return difference(a, unit); }},
      {"p", "Wilcoxon signed-rank test of the pairs, two-sided, exact up to 25 pairs", false,
       [](const Json& a) { return p(a, "p"); }},
      {"Holm p", "the same, corrected for the number of arms", false, [](const Json& a) { return p(a, "p_holm"); }},
      {"slowness", "s of A·e/(s + e) fitted to each run's curve: epochs to half of A", true,
       [](const Json& a) { return mean_and_sd(a["slowness"], 1, 3); }},
      {"asymptote" + unit.suffix, "A of that fit", true,
       [=](const Json& a) { return mean_and_sd(a["asymptote"], unit.factor, unit.decimals); }}};
  if (summary["target"].is_number())
    all.push_back({"epochs to " + unit.level(summary["target"]),
                   "the first epoch that reaches it, over the runs that do", true, to_target});
  all.push_back({"s/epoch", "seconds of training for an epoch, without evaluation", true,
                 [](const Json& a) { return mean_and_sd(a["seconds_per_epoch"], 1, 2); }});
  return all;
}

std::vector<std::string> excluded_runs(const Json& summary) {
  std::vector<std::string> lines;
  for (const Json& run : summary["excluded"]) {
    const std::string state = run["state"];
    std::string line = run["arm"].get<std::string>() + ", seed " + run["seed"].dump() + ": " +
                       (state == "finished"  ? "finished without a score"
                        : state == "running" ? "still running, or killed"
                                             : state) +
                       " after " + count(run["epoch"].get<std::size_t>(), "epoch");
    const std::string message = run["message"];
    lines.push_back(message.empty() ? line : line + " (" + message + ")");
  }
  return lines;
}

}  // namespace grapes::report
