#pragma once

#include "grapes/plot/chart.h"
#include "grapes/report/summary.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// The plots of a comparison.
namespace grapes::report {
using plot::Chart;
using plot::Drawing;

/// Assigns a color and a line style to each arm. The arms of the paper always get the same ones.
class Styles final {
 public:
  explicit Styles(const std::vector<std::string>& arms);
  bool has(const std::string& arm) const { return slots_.contains(arm); }
  /// Returns the CSS class with the arm's color.
  std::string color(const std::string& arm) const { return "a" + std::to_string(slots_.at(arm)); }
  /// Returns the CSS classes for a mark ("line", "dot", ...) in the arm's color.
  std::string look(const std::string& kind, const std::string& arm) const { return kind + " " + color(arm); }

 private:
  std::map<std::string, std::size_t> slots_;
};

/// Draws a line for each arm that has points: means over the seeds with a band of one standard deviation, multiplied by
/// `factor`.
Chart curve_chart(const std::string& y_label, const Summary& summary, const Condition& condition, const Styles& styles,
                  double factor, const std::function<Points(const record::Run&)>& points);
/// Draws the validation score of every learning rate that was tried, with a ring around the chosen one. The y axis
/// shows the range of the better rates, because a rate that nearly diverged would flatten the others.
Chart tuning_chart(const Condition& condition, const std::vector<std::string>& arms, const Score& score,
                   const Styles& styles);
/// Draws the two plots that open the page, each with its caption as HTML: the final values of the first measure and its
/// curves. For a sweep these are the scores and the differences to the baseline against the value; the condition is
/// ignored.
std::vector<std::pair<std::string, Drawing>> opening(const Summary& summary, const Condition& condition,
                                                     const Styles& styles);

}  // namespace grapes::report
