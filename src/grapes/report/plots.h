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

/// How an arm is drawn, everywhere: the paper's arms always alike, others in the slots that are left.
class Styles final {
 public:
  explicit Styles(const std::vector<std::string>& arms);
  bool has(const std::string& arm) const { return slots_.contains(arm); }
  /// The CSS class that colors what is drawn of the arm.
  std::string color(const std::string& arm) const { return "a" + std::to_string(slots_.at(arm)); }
  /// The classes of a kind of mark ("line", "dot", ...) in the arm's color.
  std::string look(const std::string& kind, const std::string& arm) const { return kind + " " + color(arm); }

 private:
  std::map<std::string, std::size_t> slots_;
};

/// A line for each arm that has such points, means and one standard deviation over the seeds, all times `factor`.
Chart curve_chart(const std::string& y_label, const Summary& summary, const Condition& condition, const Styles& styles,
                  double factor, const std::function<Points(const record::Run&)>& points);
/// Validation score of every learning rate that was tried, a ring around the chosen one. The y axis shows the range of
/// the better rates: one that nearly diverged would flatten them.
Chart tuning_chart(const Condition& condition, const std::vector<std::string>& arms, const Score& score,
                   const Styles& styles);
/// The two pictures that tell most, each with its caption as HTML: how the first measure ended and how it came about;
/// of a sweep, whose condition is ignored, the scores and the differences to the baseline against the value.
std::vector<std::pair<std::string, Drawing>> opening(const Summary& summary, const Condition& condition,
                                                     const Styles& styles);

}  // namespace grapes::report
