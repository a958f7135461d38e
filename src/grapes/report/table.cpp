#include "grapes/base/text.h"
#include "grapes/report/report.h"

#include <fmt/format.h>

#include <algorithm>

namespace grapes::report {
namespace {

using Rows = std::vector<std::vector<std::string>>;
const std::string none = "–";

/// "grapes", and of a sweep "grapes at 4".
std::string heading(const std::string& name, const Condition& condition) {
  return name + (condition.value ? " at " + condition.name : "");
}

std::string rates(const Arm& arm) {
  std::vector<std::string> texts;
  for (const double rate : arm.learning_rates) texts.push_back(shortest(rate));
  if (texts.empty()) return none;
  return (texts.size() <= 2 ? join(texts, ", ") : texts.front() + "…" + texts.back()) + (arm.at_edge ? " (edge)" : "");
}

std::string p_text(const std::optional<double>& p) { return p ? p_value(*p) : none; }

/// Writes "88.10 ± 0.20 [87.20, 88.90]", and the number of runs that have the value if some do not.
std::string level(const Spread& spread, const Measure& measure, const Arm& arm) {
  if (spread.empty()) return measure.key == "epochs_to_target" ? "never" : none;
  const bool sign = measure.key.ends_with("transfer");
  std::string text = sign ? measure.unit.change(spread.mean) : measure.unit.number(spread.mean);
  if (spread.interval)
    text += " ± " + measure.unit.number(spread.sd) + " " + interval_text(spread.interval, measure.unit, sign);
  return text + (spread.n() < arm.runs.size() ? fmt::format(" ({} of {})", spread.n(), arm.runs.size()) : "");
}

/// "+1.20 [+0.40, +2.00]".
std::string change(const Paired& one, const Measure& measure) {
  return one.spread.empty() ? none : change_text(one, {measure.unit.factor, measure.unit.decimals});
}

Table measure_table(const Summary& summary, Section section) {
  Table table{
      "Measures",
      {{"arm", "n", "rate"}},
      {{"arm", "the label under which runs are grouped"},
       {"n", "finished runs, one for each seed"},
       {"rate", "initial learning rate of the runs; (edge): the smallest or largest of those tried for this arm"}}};
  for (const Measure& measure : summary.measures) table.add(measure);
  for (const std::string& name : summary.arms)
    for (const Condition& condition : section) {
      const Arm* arm = condition.find(name);
      if (arm == nullptr && summary.swept.empty()) continue;
      table.rows.push_back({heading(shortened(name, 20), condition), arm ? std::to_string(arm->runs.size()) : "0",
                            arm ? rates(*arm) : none});
      for (const Measure& measure : summary.measures)
        table.rows.back().push_back(arm ? level((*arm)[measure], measure, *arm) : "diverged");
    }
  table.terms.emplace_back("± and [ ]", "standard deviation over seeds, and the 95 % interval of the mean");
  return table;
}

/// Returns whether this holds for any difference.
bool has(Section section, const std::function<bool(const Difference&)>& holds) {
  return std::ranges::any_of(
      section, [&](const Condition& condition) { return std::ranges::any_of(condition.differences, holds); });
}

/// Says what the readings mean if there is a smallest effect of interest.
std::string verdict_rule(const Summary& summary) {
  const Unit& unit = summary.primary().unit;
  return fmt::format(
      "better, worse: the interval excludes 0, and the mean difference is at least the smallest effect of interest, "
      "{}{}; negligible: the interval excludes 0, but the mean difference is smaller; no difference: the equivalence "
      "test rejects at 0.05; not resolved: none of these. Where there is an interval over seeds and examples, it "
      "decides, "
      "and the equivalence test has its standard error",
      unit.number(summary.margin()), unit.difference);
}

Table comparison_table(const Summary& summary, Section section, const std::vector<Measure>& measures) {
  const bool named = measures.size() > 1;
  const std::string points = summary.primary().unit.difference.empty() ? "difference [95 %]" : "points [95 %]";
  const bool crossed = has(section, [](const Difference& one) { return one.crossed.has_value(); });
  const bool judged = has(section, [](const Difference& one) { return one.verdict.has_value(); });
  Table table{
      "Comparisons",
      {{named || summary.tasks == 0 ? "comparison" : measures.front().name, points, "pairs", "p", "Holm p"}},
      {{points,
        "mean of the paired differences with its simultaneous interval: with 95 % probability, the intervals of all "
        "arms, or of all controls, contain the true differences; in a sweep, those of all rows"},
       {"pairs", "pairs of runs with the same start"},
       {"p", "Wilcoxon signed-rank test of the pairs, two-sided, exact up to 25 pairs"},
       {"Holm p", "p after Holm’s correction for the number of arms, or of controls; in a sweep, for all rows"}}};
  const auto column = [&](const std::string& heading, const std::string& meaning) {
    table.rows[0].push_back(heading);
    table.terms.emplace_back(heading, meaning);
  };
  if (crossed)
    column("seeds and examples [95 %]",
           "the simultaneous interval over seeds and test examples, because the test set is a sample too");
  if (judged)
    column(
        "equivalence p",
        "two one-sided t tests against the smallest effect of interest; below 0.05 if the difference lies within it");
  table.rows[0].push_back("reading");
  if (judged) table.terms.emplace_back("reading", verdict_rule(summary));
  if (section.size() > 1) {
    table.rows[0].push_back("change since " + section.front().name);
    table.terms.emplace_back(
        table.rows[0].back(),
        "the difference minus that at the first value, seed by seed; it shows which arm loses more; "
        "*: p below 0.05 after Holm’s correction over all changes");
  }
  for (const Comparison& pair : comparisons_of(summary.arms, summary.baseline)) {
    for (const Condition& condition : section)
      for (const Measure& measure : measures) {
        const Difference* one = condition.find(pair.arm, pair.against, measure);
        if (one == nullptr) continue;
        const std::string name = heading(shortened(pair.arm, 20) + " − " + pair.against, condition);
        table.rows.push_back({name + (named ? ", " + measure.name : ""), change(*one, measure),
                              std::to_string(one->spread.n()), p_text(one->p), p_text(one->p_holm)});
        if (crossed) table.rows.back().push_back(one->crossed ? interval_text(one->crossed, measure.unit, true) : none);
        if (judged) table.rows.back().push_back(p_text(one->p_equivalence));
        table.rows.back().push_back(reading(*one));
        if (section.size() > 1)
          table.rows.back().push_back(change(one->change, measure) + (one->change.significant() ? "*" : ""));
      }
    if (pair.control()) table.terms.emplace_back(pair.arm + " − " + pair.against, pair.meaning);
  }
  return table;
}

/// Returns the table as text, in blocks that fit a terminal. Each block repeats the first column.
std::string fitted(const Rows& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], display_width(row[c]));
  std::string text;
  for (std::size_t begin = 1, end = 1; begin < widths.size(); begin = end) {
    Rows block(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) block[i].push_back(rows[i][0]);
    for (std::size_t used = widths[0]; end < widths.size() && (end == begin || used + 2 + widths[end] <= 100); ++end) {
      used += 2 + widths[end];
      for (std::size_t i = 0; i < rows.size(); ++i) block[i].push_back(rows[i][end]);
    }
    text += (text.empty() ? "" : "\n") + columns(block, "lr");
  }
  return text;
}

}  // namespace

void Table::add(const Measure& measure) {
  rows[0].push_back(measure.name + measure.unit.suffix);
  const std::string better = measure.better == Measure::Better::more   ? "; more is better"
                             : measure.better == Measure::Better::less ? "; less is better"
                                                                       : "";
  if (!measure.meaning.empty()) terms.emplace_back(rows[0].back(), measure.meaning + better);
}

std::vector<Table> tables(const Summary& summary, Section section) {
  std::vector<Measure> compared = summary.measures;
  std::erase_if(compared, [](const Measure& measure) { return !measure.compared; });
  std::vector<Table> all = {measure_table(summary, section), comparison_table(summary, section, compared)};
  if (all.back().rows.size() == 1) all.pop_back();
  return all;
}

Table tuning_table(const Condition& condition, const Measure& score) {
  Table table{"", {{"arm", "chosen rate", "rates tried"}}};
  const bool points = !score.unit.difference.empty();
  if (points) {
    table.rows[0].push_back("usable rates");
    table.terms.emplace_back("usable rates",
                             "number of rates with a validation score within 1 point of the arm’s best");
  }
  for (const Arm& arm : condition.arms) {
    if (!arm.chosen) continue;
    table.rows.push_back({arm.name, shortest(*arm.chosen) + (arm.at_edge ? " (edge)" : ""), std::to_string(arm.tried)});
    if (points) table.rows.back().push_back(std::to_string(arm.usable));
  }
  return table;
}

Table part_table(const Condition& condition, const PartKind& kind) {
  Table table{"", {{"arm", kind.name}}};
  const std::vector<Measure> measures = kind.measures("");
  for (const Measure& measure : measures) table.add(measure);
  for (const Arm& arm : condition.arms)
    for (const Part& part : parts_of(arm, kind)) {
      table.rows.push_back({arm.name, part.name});
      for (const Measure& measure : measures)
        table.rows.back().push_back(level(part.values.at(measure.key), measure, arm));
    }
  return table;
}

std::string table(const Summary& summary) {
  std::string text;
  const auto add = [&](const std::string& block) { text += (text.empty() ? "" : "\n") + block; };
  std::vector<std::string> elsewhere;
  for (const Measure& measure : summary.measures)
    if (measure.compared && measure.key != summary.primary().key) elsewhere.push_back(measure.name);
  for (const Section section : summary.sections()) {
    if (!section.front().title.empty()) add(section.front().title + "\n");
    add(fitted(measure_table(summary, section).rows));
    const Table comparisons = comparison_table(summary, section, {summary.primary()});
    if (comparisons.rows.size() > 1) add(fitted(comparisons.rows));
  }
  if (!elsewhere.empty()) add("The page also compares " + listed(elsewhere) + ".\n");
  return text;
}

}  // namespace grapes::report
