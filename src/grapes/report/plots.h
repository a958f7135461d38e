#pragma once

#include "grapes/plot/chart.h"
#include "grapes/report/summary.h"

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

/// The plots of a comparison.
namespace grapes::report {
using plot::Chart;
using plot::Drawing;

/// Returns the CSS class of each arm's color and line style. The arms of the paper always have the same ones.
using Colors = std::map<std::string, std::string>;
Colors colors_of(const std::vector<std::string>& arms);

/// Draws a line for each arm that has points: means over the seeds with a band of one standard deviation, multiplied by
/// `factor`.
Chart curve_chart(const std::string& y_label, const Summary& summary, const Condition& condition, const Colors& colors,
                  double factor, const std::function<Points(const record::Run&)>& points);
/// Draws the validation score of every learning rate that was tried, with a ring around the chosen one. The y axis
/// shows the range of the better rates, because a rate that nearly diverged would flatten the others.
Chart tuning_chart(const Condition& condition, const std::vector<std::string>& arms, const Measure& score,
                   const Colors& colors);
/// Draws the two plots that open a section, each with its caption as HTML: the final values of the first measure and
/// its curves. For a sweep these are the scores and the differences to the baseline against the value.
std::vector<std::pair<std::string, Drawing>> opening(const Summary& summary, Section section, const Colors& colors);

}  // namespace grapes::report
