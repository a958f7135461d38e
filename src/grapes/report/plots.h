#pragma once

#include "grapes/plot/chart.h"
#include "grapes/report/summary.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// The plots of a comparison.
namespace grapes::report {
using plot::Chart;
using plot::Drawing;

/// How an arm is drawn, everywhere: the paper's arms always alike, others in the slots that are left.
class Styles final {
 public:
  explicit Styles(const std::vector<std::string>& arms);
  /// The CSS class that colors what is drawn of the arm.
  std::string color(const std::string& arm) const { return "a" + std::to_string(slots_.at(arm)); }
  /// The classes of a kind of mark ("line", "dot", ...) in the arm's color.
  std::string look(const std::string& kind, const std::string& arm) const { return kind + " " + color(arm); }

 private:
  std::map<std::string, std::size_t> slots_;
};

/// A line for each arm that has such points.
Chart curve_chart(const std::string& x_label, const std::string& y_label, const std::vector<Arm>& arms,
                  const Styles& styles, double factor, const std::function<Points(const record::Run&)>& points);
/// How the first measure came about: of one task the score against the epoch, of several the mean accuracy on those
/// learned so far, or the accuracy on `task`.
Chart progress_chart(const Summary& summary, const std::vector<Arm>& arms, const Styles& styles,
                     std::optional<std::size_t> task = {});
/// Of a sweep: the first measure against the value, or its differences to the baseline; bands are 95 % intervals.
Chart sweep_chart(const Summary& summary, const Styles& styles, bool differences);

/// A row for each arm: every seed as a dot, the mean, its 95 % interval. A line marks the mean of the first arm.
Drawing dot_plot(const std::vector<Arm>& arms, const Measure& measure, const Styles& styles);

/// Validation score of every learning rate that was tried, a ring around the chosen one. The y axis shows the range of
/// the better rates: one that nearly diverged would flatten them. @param tuning  see compare.json
Chart tuning_chart(const record::Json& tuning, const std::vector<std::string>& arms, const Score& score,
                   const Styles& styles);

/// How the factors of a layer lie, epoch by epoch: the stronger the color, the more units; the line is their mean.
/// `low`: the lower end of the y axis, whose upper end is 2.
Drawing factor_strip(const Arm& arm, const std::string& layer, double low, const std::string& x_label,
                     const Styles& styles);
/// The lower end that shows all factors of all arms; nothing if there are none.
std::optional<double> lowest_factor(const std::vector<Arm>& arms);
/// The mean factor of a layer against the epoch; empty if it is not modulated.
Curve factor_curve(const Arm& arm, const std::string& layer);

/// Rows: after which task; columns: accuracy on which task, %. The stronger the color, the higher; mean and
/// 95 % interval are told where one points; of few tasks, the mean and half the width of its interval are written.
Drawing heat_map(const Arm& arm, const Styles& styles);

}  // namespace grapes::report
