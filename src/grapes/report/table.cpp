#include "grapes/base/text.h"
#include "grapes/report/report.h"

#include <fmt/format.h>

#include <algorithm>

namespace grapes::report {
namespace {

using Rows = std::vector<std::vector<std::string>>;
const std::string none = "–";

/// A row of a table: an arm or a pair of arms in a condition. `arm` is null if none of its runs finished.
struct Row {
  const Condition* condition;
  std::string name;
  const Arm* arm = nullptr;
  const Difference* difference = nullptr;
  /// "grapes", and of a sweep "grapes at 4".
  std::string heading() const { return name + (condition->value ? " at " + condition->name : ""); }
};
struct Column {
  std::string name;
  std::string meaning;  ///< one line, for the page
  std::function<std::string(const Row&)> cell;
};
Table table_of(const std::string& title, const std::vector<Row>& rows, const std::vector<Column>& columns) {
  Table table{title, Rows(1 + rows.size())};
  for (const auto& [name, meaning, cell] : columns) {
    table.rows[0].push_back(name);
    if (!meaning.empty()) table.terms.emplace_back(name, meaning);
    for (std::size_t i = 0; i < rows.size(); ++i) table.rows[i + 1].push_back(cell(rows[i]));
  }
  return table;
}

std::string rates(const Row& row) {
  std::vector<std::string> texts;
  for (const double rate : row.arm->learning_rates) texts.push_back(shortest(rate));
  if (texts.empty()) return none;
  return (texts.size() <= 2 ? join(texts, ", ") : texts.front() + "…" + texts.back()) +
         (row.arm->at_edge ? " (edge)" : "");
}

std::string p_text(const std::optional<double>& p) { return p ? p_value(*p) : none; }

/// Writes "88.10 ± 0.20 [87.20, 88.90]", and the number of runs that have the value if some do not.
std::string level(const Arm& arm, const Measure& measure) {
  const Spread& spread = arm[measure];
  if (spread.empty()) return measure.key == "epochs_to_target" ? "never" : none;
  const bool sign = measure.key.ends_with("transfer");
  std::string text = sign ? measure.unit.change(spread.mean) : measure.unit.number(spread.mean);
  if (spread.interval) text += " ± " + measure.unit.number(spread.sd) + " " + interval_text(spread, measure.unit, sign);
  return text + (spread.n() < arm.runs.size() ? fmt::format(" ({} of {})", spread.n(), arm.runs.size()) : "");
}

/// "+1.20 [+0.40, +2.00]".
std::string change(const Difference& one, const Measure& measure) {
  return one.spread.empty() ? none : change_text(one.spread, {measure.unit.factor, measure.unit.decimals});
}

Table measures_of(const Summary& summary, const std::vector<const Condition*>& conditions) {
  std::vector<Row> rows;
  for (const std::string& name : summary.arms)
    for (const Condition* one : conditions)
      if (const Arm* arm = one->find(name); arm != nullptr || !summary.swept.empty())
        rows.push_back({one, shortened(name, 20), arm});
  std::vector<Column> columns = {
      {"arm", "the label under which runs are grouped", [](const Row& row) { return row.heading(); }},
      {"n", "finished runs, one for each seed",
       [](const Row& row) { return row.arm == nullptr ? "0" : std::to_string(row.arm->runs.size()); }},
      {"rate", "the learning rate the runs began with; (edge): the smallest or largest of those tried",
       [](const Row& row) { return row.arm == nullptr ? none : rates(row); }}};
  for (const Measure& measure : summary.measures)
    columns.push_back({measure.name + measure.unit.suffix,
                       measure.meaning + (measure.better == Measure::Better::more ? "; more" : "; less") + " is better",
                       [&](const Row& row) { return row.arm == nullptr ? "diverged" : level(*row.arm, measure); }});
  Table table = table_of("Measures", rows, columns);
  table.terms.emplace_back("± and [ ]", "standard deviation over seeds, and the 95 % interval of the mean");
  return table;
}

Table comparisons_of(const Summary& summary, const std::vector<const Condition*>& conditions) {
  std::vector<std::string> names;
  std::vector<Row> all, rows;
  std::map<std::string, const Measure*> measures;
  for (const Measure& measure : summary.measures) measures[measure.key] = &measure;
  for (const Condition* condition : conditions)
    for (const Difference& one : condition->differences) {
      if (!measures[one.measure]->compared) continue;
      all.push_back({condition, shortened(one.arm, 20) + " − " + one.against, nullptr, &one});
      if (std::find(names.begin(), names.end(), all.back().name) == names.end()) names.push_back(all.back().name);
    }
  for (const std::string& name : names)
    std::copy_if(all.begin(), all.end(), std::back_inserter(rows), [&](const Row& row) { return row.name == name; });
  std::vector<Column> columns = {
      {"comparison", "",
       [&](const Row& row) {
         return row.heading() + (summary.tasks > 0 ? ", " + measures[row.difference->measure]->name : "");
       }},
      {summary.primary().unit.difference.empty() ? "difference [95 %]" : "points [95 %]",
       "mean of the paired differences with Student’s t interval",
       [&](const Row& row) { return change(*row.difference, *measures[row.difference->measure]); }},
      {"pairs", "runs that began alike", [](const Row& row) { return std::to_string(row.difference->spread.n()); }},
      {"p", "Wilcoxon signed-rank test of the pairs, two-sided, exact up to 25 pairs",
       [](const Row& row) { return p_text(row.difference->p); }},
      {"Holm p", "p after Holm’s correction for the number of arms, or of controls; of a sweep, for all rows",
       [](const Row& row) { return p_text(row.difference->p_holm); }},
      {"reading", "", [](const Row& row) { return reading(*row.difference); }}};
  if (conditions.size() > 1)
    columns.push_back({"change since " + conditions.front()->name,
                       "the difference less the same one at the first value, seed by seed: which arm loses more; *: "
                       "p below 0.05 after Holm’s correction over all changes",
                       [&](const Row& row) {
                         for (const Difference& one : row.condition->changes)
                           if (one.arm == row.difference->arm && one.against == row.difference->against &&
                               one.measure == row.difference->measure)
                             return change(one, *measures[one.measure]) + (one.significant() ? "*" : "");
                         return none;
                       }});
  Table table = table_of("Comparisons", rows, columns);
  for (const auto& [arm, against, meaning] : controls_of(summary.arms))
    table.terms.emplace_back(arm + " − " + against, meaning);
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

std::vector<Table> tables(const Summary& summary, const Condition& condition) {
  std::vector<const Condition*> conditions = {&condition};
  if (!summary.swept.empty()) conditions.clear();
  for (const Condition& one : summary.conditions)
    if (!summary.swept.empty()) conditions.push_back(&one);
  std::vector<Table> all = {measures_of(summary, conditions), comparisons_of(summary, conditions)};
  if (all.back().rows.size() == 1) all.pop_back();
  return all;
}

std::string table(const Summary& summary) {
  std::string text;
  for (const Condition& condition : summary.conditions) {
    if (!summary.swept.empty() && &condition != &summary.conditions.front()) continue;
    if (!condition.title.empty()) text += (text.empty() ? "" : "\n") + condition.title + "\n";
    for (const Table& one : tables(summary, condition)) text += (text.empty() ? "" : "\n") + fitted(one.rows);
  }
  for (const std::string& line : excluded_runs(summary)) text += "\nnot counted: " + line;
  return summary.excluded.empty() ? text : text + "\n";
}

}  // namespace grapes::report
