#include "grapes/report/plots.h"
#include "grapes/report/report.h"

#include <algorithm>
#include <utility>

namespace grapes::report {
namespace {

/// Two plots side by side below a heading.
struct PictureRow {
  std::string heading, note;
  Drawing left, right;
  double top() const { return note.empty() ? 56 : 78; }
  double height() const { return top() - 12 + std::max(left.height(), right.height()); }
};

Drawing stacked(const std::vector<PictureRow>& rows) {
  double height = 24;
  for (const PictureRow& row : rows) height += row.height();
  Drawing all(972, height);
  all.card("");
  double y = 0;
  for (const PictureRow& row : rows) {
    all.text({20, y + 34}, row.heading, "heading");
    if (!row.note.empty()) all.text({20, y + 58}, row.note, "small muted");
    all.place(row.left, {16, y + row.top()});
    all.place(row.right, {496, y + row.top()});
    y += row.height();
  }
  return all;
}

}  // namespace

std::string picture(const Summary& summary) {
  const Styles styles(summary.arms);
  std::vector<PictureRow> rows;
  std::string left = summary.tasks > 0 ? "accuracy on the first task while it and the others are learned"
                                       : "the score against the epoch";
  std::string right = "every seed, the mean and its 95 % interval";
  if (!summary.swept.empty()) {
    rows.push_back({summary.title, summary.swept, plot::line_chart(sweep_chart("scores", summary, styles, false)),
                    plot::line_chart(sweep_chart("changes", summary, styles, true))});
    left = "final scores against the value";
    right = "paired differences to the baseline; bands are 95 % intervals";
  } else {
    for (const Condition& condition : summary.conditions) {
      const std::vector<Arm> arms = without_methods(condition);
      const Drawing ends = dot_plot(arms, summary.primary(), styles);
      Chart progress = progress_chart("curves-" + std::to_string(rows.size()), summary, arms, styles);
      progress.height = std::max(280.0, ends.height());
      rows.push_back({summary.title + (condition.title.empty() ? "" : ". " + condition.title), "",
                      plot::line_chart(progress), ends});
    }
    left += ", means over seeds with bands of one standard deviation";
  }
  return stacked(rows).element("picture", summary.title, "Left: " + left + ". Right: " + right + ".",
                               plot::plot_style());
}

}  // namespace grapes::report
