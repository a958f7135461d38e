#include "grapes/report/table.h"

#include "grapes/base/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace grapes::report {
namespace {

const std::string none = "–";

/// Of a measure that can be of either sign, the sign is written.
bool is_change(const Measure& measure) { return measure.key.ends_with("transfer"); }

std::string mean_and_sd(const Spread& spread, const Measure& measure) {
  if (spread.empty()) return none;
  const Unit& unit = measure.unit;
  const std::string center = is_change(measure) ? unit.change(spread.mean) : unit.number(spread.mean);
  return spread.n() < 2 ? center : center + " ± " + unit.number(spread.sd);
}

std::string rates(const Arm& arm) {
  std::vector<std::string> texts;
  for (const double rate : arm.learning_rates) texts.push_back(shortest(rate));
  if (texts.empty()) return none;
  return texts.size() <= 2 ? join(texts, ", ") : texts.front() + "…" + texts.back();
}

Column level(const Measure& measure) {
  const bool partial = measure.key == "epochs_to_target";  // some runs may never reach it
  return {measure.name + measure.unit.suffix,
          measure.meaning + ", mean ± standard deviation over seeds" +
              (measure.compared ? ", below it the 95 % interval" : "") +
              (measure.better == Measure::Better::more ? "; more" : "; less") + " is better",
          [=](const Arm& arm) {
            const Spread& spread = arm[measure];
            if (!partial) return mean_and_sd(spread, measure);
            if (spread.empty()) return std::string("never");
            return mean_and_sd(spread, measure) +
                   (spread.n() < arm.runs.size() ? fmt::format(" ({} of {})", spread.n(), arm.runs.size()) : "");
          },
          [=](const Arm& arm) {
            return measure.compared ? interval_text(arm[measure], measure.unit, is_change(measure)) : "";
          }};
}

/// The table as text, in as many blocks as it takes to fit a terminal, the first column in each.
std::string fitted(const Rows& rows) {
  const auto width = [&](std::size_t column) {
    std::size_t most = 0;
    for (const auto& row : rows) most = std::max(most, display_width(row[column]));
    return most;
  };
  std::string text;
  for (std::size_t begin = 1, end = 1; begin < rows.front().size(); begin = end) {
    std::vector<std::size_t> shown = {0};
    for (std::size_t used = width(0); end < rows.front().size() && (end == begin || used + 2 + width(end) <= 100);
         ++end) {
      used += 2 + width(end);
      shown.push_back(end);
    }
    Rows block(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (const std::size_t column : shown) block[i].push_back(rows[i][column]);
    text += (text.empty() ? "" : "\n") + columns(block, "lr");
  }
  return text;
}

/// A row a name, a column a condition.
Rows over_conditions(const Summary& summary, const std::string& heading, const std::vector<std::string>& names,
                     const std::function<std::string(const Condition&, const std::string& name)>& cell) {
  Rows rows = {{heading}};
  for (const Condition& condition : summary.conditions) rows[0].push_back(condition.name);
  for (const std::string& name : names) {
    rows.push_back({name});
    for (const Condition& condition : summary.conditions) rows.back().push_back(cell(condition, name));
  }
  return rows;
}

std::string name_of(const Difference& one) { return one.arm + " − " + one.against; }

/// Differences of the first measure, or their changes.
Rows difference_rows(const Summary& summary, const std::string& heading, std::vector<Difference> Condition::*list) {
  std::vector<std::string> names;
  for (const Condition& condition : summary.conditions)
    for (const Difference& one : condition.*list)
      if (one.measure == summary.primary().key && std::find(names.begin(), names.end(), name_of(one)) == names.end())
        names.push_back(name_of(one));
  return over_conditions(summary, heading, names, [&](const Condition& condition, const std::string& name) {
    for (const Difference& one : condition.*list)
      if (name_of(one) == name && one.measure == summary.primary().key && !one.spread.empty())
        return summary.primary().unit.change(one.spread.mean) +
               (one.spread.interval ? " ± " + summary.primary().unit.number(one.spread.interval->high - one.spread.mean)
                                    : "") +
               (one.significant() ? "*" : "") +
               (one.spread.n() < summary.most_runs() ? fmt::format(" (n = {})", one.spread.n()) : "");
    return none;
  });
}

}  // namespace

std::vector<Column> columns_of(const Summary& summary, const Condition& condition) {
  const Measure& first = summary.primary();
  const auto difference = [&](const std::function<std::string(const Difference&)>& of) {
    return [=, &summary, &condition](const Arm& arm) {
      const Difference* one = condition.find(arm.name, summary.baseline, summary.primary());
      return one == nullptr ? none : of(*one);
    };
  };
  const auto p = [](const std::optional<double>& value) { return value ? p_value(*value) : none; };
  std::vector<Column> all = {
      {"arm", "the label under which runs are grouped", [](const Arm& arm) { return arm.name; }},
      {"n", "finished runs, one for each seed", [](const Arm& arm) { return std::to_string(arm.runs.size()); }},
      {"rate", "the learning rate the runs began with", rates},
      level(first),
      {"against " + summary.baseline + " [95 %]",
       "mean of the paired differences" + std::string(first.unit.suffix.empty() ? "" : ", in points") +
           ", with Student’s t interval",
       difference([&](const Difference& one) {
         return one.spread.empty() ? "unpaired" : change_text(one.spread, {first.unit.factor, first.unit.decimals});
       })},
      {"p", "Wilcoxon signed-rank test of the pairs, two-sided, exact up to 25 pairs",
       difference([p](const Difference& one) { return p(one.p); })},
      {"Holm p", "p after Holm’s correction for the number of arms",
       difference([p](const Difference& one) { return p(one.p_holm); })}};
  for (const Measure& measure : summary.measures)
    if (&measure != &first) all.push_back(level(measure));
  return all;
}

std::vector<SweepTable> sweep_tables(const Summary& summary) {
  const Measure& measure = summary.primary();
  const auto of_arm = [&](const std::function<std::string(const Condition&, const Arm&)>& cell) {
    return over_conditions(summary, "arm", summary.arms, [&](const Condition& condition, const std::string& name) {
      const Arm* arm = condition.find(name);
      return arm == nullptr ? "diverged" : cell(condition, *arm);
    });
  };
  std::vector<SweepTable> tables = {
      {measure.name + measure.unit.suffix, of_arm([&](const Condition&, const Arm& arm) {
         return level_text(arm[measure], {measure.unit.factor, measure.unit.decimals}) +
                (arm.runs.size() < summary.most_runs() ? fmt::format(" (n = {})", arm.runs.size()) : "");
       })},
      {"Paired differences", difference_rows(summary, "difference", &Condition::differences)}};
  Rows changes = difference_rows(summary, "change since " + summary.conditions.front().name, &Condition::changes);
  for (std::vector<std::string>& row : changes) row.erase(row.begin() + 1);  // where nothing can have changed
  if (changes.size() > 1) tables.push_back({"Changes of the differences", changes});
  tables.push_back({"Learning rates", of_arm([](const Condition& condition, const Arm& arm) {
                      return rates(arm) + (condition.at_edge(arm.name) ? " (edge)" : "");
                    })});
  return tables;
}

std::string table(const Summary& summary) {
  std::string text;
  const auto add = [&](const std::string& block) { text += (text.empty() ? "" : "\n") + block; };
  if (!summary.swept.empty()) {
    for (const SweepTable& one : sweep_tables(summary)) add(fitted(one.rows));
    return text;
  }
  for (const Condition& condition : summary.conditions) {
    if (!condition.title.empty()) add(condition.title + "\n");
    const std::vector<Column> all = columns_of(summary, condition);
    Rows score(1 + condition.arms.size()), others = score;
    for (std::size_t c = 0; c < all.size(); ++c)
      for (Rows* rows : {&score, &others})
        if (c == 0 || (c <= 6) == (rows == &score)) {  // the score and its tests stand above the other measures
          (*rows)[0].push_back(all[c].name);
          for (std::size_t i = 0; i < condition.arms.size(); ++i)
            (*rows)[i + 1].push_back(shortened(all[c].cell(condition.arms[i]), c == 0 ? 20 : 100));
        }
    add(fitted(score));
    add(fitted(others));
  }
  for (const std::string& line : excluded_runs(summary)) text += "\nnot counted: " + line;
  return summary.excluded.empty() ? text : text + "\n";
}

}  // namespace grapes::report
