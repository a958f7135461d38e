#include "grapes/base/text.h"
#include "grapes/report/report.h"

#include <fmt/format.h>

#include <algorithm>

namespace grapes::report {
namespace {

using Rows = std::vector<std::vector<std::string>>;
const std::string none = "–";

/// A column of a table whose rows are of this kind.
template <class Row>
struct Column {
  std::string name;
  std::string meaning;  ///< one line, for the page
  std::function<std::string(const Row&)> cell;
};
template <class Row>
Table table_of(const std::string& title, const std::vector<Row>& rows, const std::vector<Column<Row>>& columns) {
  Table table{title, Rows(1 + rows.size())};
  for (const auto& [name, meaning, cell] : columns) {
    table.rows[0].push_back(name);
    if (!meaning.empty()) table.terms.emplace_back(name, meaning);
    for (std::size_t i = 0; i < rows.size(); ++i) table.rows[i + 1].push_back(cell(rows[i]));
  }
  return table;
}

std::string name_of(const Difference& one) { return shortened(one.arm, 20) + " − " + one.against; }

std::string rates(const Arm& arm) {
  std::vector<std::string> texts;
  for (const double rate : arm.learning_rates) texts.push_back(shortest(rate));
  if (texts.empty()) return none;
  return texts.size() <= 2 ? join(texts, ", ") : texts.front() + "…" + texts.back();
}

std::string p_text(const std::optional<double>& p) { return p ? p_value(*p) : none; }

/// "88.10 ± 0.20 [87.20, 88.90]", and how many of the runs have such a number if not all have.
std::string cell(const Arm& arm, const Measure& measure) {
  const Spread& spread = arm[measure];
  if (spread.empty()) return measure.key == "epochs_to_target" ? "never" : none;
  const bool sign = measure.key.ends_with("transfer");
  std::string text = sign ? measure.unit.change(spread.mean) : measure.unit.number(spread.mean);
  if (spread.interval) text += " ± " + measure.unit.number(spread.sd) + " " + interval_text(spread, measure.unit, sign);
  return text + (spread.n() < arm.runs.size() ? fmt::format(" ({} of {})", spread.n(), arm.runs.size()) : "");
}

Table measures_of(const Summary& summary, const Condition& condition) {
  std::vector<Column<Arm>> columns = {
      {"arm", "the label under which runs are grouped", [](const Arm& arm) { return shortened(arm.name, 20); }},
      {"n", "finished runs, one for each seed", [](const Arm& arm) { return std::to_string(arm.runs.size()); }},
      {"rate", "the learning rate the runs began with", rates}};
  for (const Measure& measure : summary.measures)
    columns.push_back({measure.name + measure.unit.suffix,
                       measure.meaning + (measure.better == Measure::Better::more ? "; more" : "; less") + " is better",
                       [&](const Arm& arm) { return cell(arm, measure); }});
  Table table = table_of("Measures", condition.arms, columns);
  table.terms.emplace_back("± and [ ]", "standard deviation over seeds, and the 95 % interval of the mean");
  return table;
}

Table comparisons_of(const Summary& summary, const Condition& condition) {
  std::vector<Difference> rows;
  std::map<std::string, const Measure*> measures;
  for (const Measure& measure : summary.measures) measures[measure.key] = &measure;
  for (const Difference& one : condition.differences)
    if (measures[one.measure]->compared) rows.push_back(one);
  std::vector<Column<Difference>> columns = {
      {"comparison", "", name_of},
      {"measure", "", [&](const Difference& one) { return measures[one.measure]->name; }},
      {summary.primary().unit.difference.empty() ? "difference [95 %]" : "points [95 %]",
       "mean of the paired differences with Student’s t interval",
       [&](const Difference& one) {
         const Unit& unit = measures[one.measure]->unit;
         return one.spread.empty() ? none : change_text(one.spread, {unit.factor, unit.decimals});
       }},
      {"pairs", "runs that began alike", [](const Difference& one) { return std::to_string(one.spread.n()); }},
      {"p", "Wilcoxon signed-rank test of the pairs, two-sided, exact up to 25 pairs",
       [](const Difference& one) { return p_text(one.p); }},
      {"Holm p", "p after Holm’s correction for the number of arms, or of controls",
       [](const Difference& one) { return p_text(one.p_holm); }},
      {"reading", "", reading}};
  if (summary.tasks == 0) columns.erase(columns.begin() + 1);
  Table table = table_of("Comparisons", rows, columns);
  for (const auto& [arm, against, meaning] : controls_of(summary.arms))
    table.terms.emplace_back(arm + " − " + against, meaning);
  return table;
}

/// Of a sweep: rows by name, a column a condition.
Table over_conditions(const Summary& summary, const std::string& title, const std::string& heading,
                      const std::vector<std::string>& names,
                      const std::function<std::string(const Condition&, const std::string& name)>& cell) {
  std::vector<Column<std::string>> columns = {{heading, "", [](const std::string& name) { return name; }}};
  for (const Condition& condition : summary.conditions)
    columns.push_back({condition.name, "", [&](const std::string& name) { return cell(condition, name); }});
  return table_of(title, names, columns);
}

/// Of a sweep: differences of the first measure, or their changes.
Table differences_over_conditions(const Summary& summary, const std::string& title, const std::string& heading,
                                  std::vector<Difference> Condition::*list) {
  const Measure& measure = summary.primary();
  std::vector<std::string> names;
  for (const Condition& condition : summary.conditions)
    for (const Difference& one : condition.*list)
      if (one.measure == measure.key && std::find(names.begin(), names.end(), name_of(one)) == names.end())
        names.push_back(name_of(one));
  return over_conditions(summary, title, heading, names, [&](const Condition& condition, const std::string& name) {
    for (const Difference& one : condition.*list)
      if (name_of(one) == name && one.measure == measure.key && !one.spread.empty())
        return change_text(one.spread, {measure.unit.factor, measure.unit.decimals}) + (one.significant() ? "*" : "") +
               (one.spread.n() < summary.most_runs() ? fmt::format(" (n = {})", one.spread.n()) : "");
    return none;
  });
}

/// The table as text, in as many blocks as it takes to fit a terminal, the first column in each.
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
  std::vector<Table> all;
  if (summary.swept.empty()) {
    all = {measures_of(summary, condition), comparisons_of(summary, condition)};
  } else {
    const Measure& measure = summary.primary();
    const auto of_arms = [&](const std::string& title,
                             const std::function<std::string(const Condition&, const Arm&)>& cell) {
      all.push_back(
          over_conditions(summary, title, "arm", summary.arms, [&](const Condition& at, const std::string& name) {
            const Arm* arm = at.find(name);
            return arm == nullptr ? "diverged" : cell(at, *arm);
          }));
    };
    of_arms(measure.name + measure.unit.suffix, [&](const Condition&, const Arm& arm) {
      return level_text(arm[measure], {measure.unit.factor, measure.unit.decimals}) +
             (arm.runs.size() < summary.most_runs() ? fmt::format(" (n = {})", arm.runs.size()) : "");
    });
    all.push_back(differences_over_conditions(summary, "Paired differences", "difference", &Condition::differences));
    all.push_back(differences_over_conditions(summary, "Changes of the differences",
                                              "change since " + summary.conditions.front().name, &Condition::changes));
    for (auto& row : all.back().rows) row.erase(row.begin() + 1);  // where nothing can have changed
    of_arms("Learning rates",
            [](const Condition& at, const Arm& arm) { return rates(arm) + (at.at_edge(arm.name) ? " (edge)" : ""); });
  }
  std::erase_if(all, [](const Table& table) { return table.rows.size() == 1; });
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
