#include "grapes/report/plots.h"
#include "grapes/report/report.h"

#include <algorithm>
#include <utility>

namespace grapes::report {

/// Of each condition a row: how the score came about, and how it ends. Of a sweep, scores and differences.
std::string picture(const Summary& summary) {
  const Styles styles(summary.arms);
  std::vector<std::pair<Drawing, Drawing>> rows;
  std::vector<std::string> headings;
  std::string label = summary.tasks > 0 ? "Left: accuracy on the first task while it and the others are learned"
                                        : "Left: the score against the epoch";
  label += ", means over seeds with bands of one standard deviation. Right: every seed, the mean, its 95 % interval.";
  if (!summary.swept.empty()) {
    rows.emplace_back(plot::line_chart(sweep_chart(summary, styles, false)),
                      plot::line_chart(sweep_chart(summary, styles, true)));
    headings.push_back(summary.title);
    label = "Left: final scores. Right: paired differences to the baseline. Bands are 95 % intervals.";
  } else {
    for (const Condition& condition : summary.conditions) {
      const std::vector<Arm> arms = without_methods(condition);
      const Drawing ends = dot_plot(arms, summary.primary(), styles);
      Chart progress = progress_chart(summary, arms, styles);
      progress.height = std::max(280.0, ends.height());
      rows.emplace_back(plot::line_chart(progress), ends);
      headings.push_back(summary.title + (condition.title.empty() ? "" : ". " + condition.title));
    }
  }
  const double top = summary.swept.empty() ? 56 : 78;
  double height = 24, y = 0;
  for (const auto& [left, right] : rows) height += top - 12 + std::max(left.height(), right.height());
  Drawing all(972, height);
  all.card("");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& [left, right] = rows[i];
    all.text({20, y + 34}, headings[i], "heading");
    all.text({20, y + 58}, summary.swept, "small muted");
    all.place(left, {16, y + top});
    all.place(right, {496, y + top});
    y += top - 12 + std::max(left.height(), right.height());
  }
  return all.element(summary.title + ". " + label, plot::plot_style());
}

}  // namespace grapes::report
