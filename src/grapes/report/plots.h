#pragma once

#include "grapes/report/arms.h"
#include "grapes/report/svg.h"

#include <map>
#include <string>
#include <vector>

/// The plots of a comparison. Their colors are CSS variables, so that they follow the reader's light or dark scheme.
namespace grapes::report {

/// The colors and line styles, for a page or inside a picture that stands alone.
std::string plot_style();

/// How an arm is drawn, everywhere: the paper's arms always alike, others in the slots that are left.
class Styles final {
 public:
  explicit Styles(const std::vector<std::string>& arms);
  /// Class and dash attributes of a line, `line` or another class beside the arm's color.
  std::string attributes(const std::string& arm, const std::string& kind) const;

 private:
  std::map<std::string, std::size_t> slots_;
};

/// Where the lines of a plot are, and its axes around them.
struct Frame {
  double left, top, right, bottom;
};
void axes(svg::Drawing& drawing, const Frame& frame, const svg::Scale& x, const svg::Scale& y,
          const std::vector<double>& x_ticks, const std::vector<double>& y_ticks, const std::string& x_label,
          const std::string& y_label);

struct Series {
  std::string arm;
  Curve curve;                     ///< mean and, as a band, one standard deviation to either side
  std::vector<svg::Point> marked;  ///< points with a ring around them
  bool dots = false;               ///< a dot at each point
};

struct Chart {
  std::string id;  ///< unique on the page
  std::string x_label, y_label;
  std::vector<Series> series;
  double width = 460, height = 300;
  bool labels = true;  ///< the arms' names at the ends of their lines
  bool logarithmic_x = false;
  bool logarithmic_y = false;        ///< only where all values are above 0
  bool from_the_start = false;       ///< the first epochs set the y axis too; else they may leave the picture below
  std::vector<double> x_ticks = {};  ///< empty: round numbers
};
svg::Drawing line_chart(const Chart& chart, const Styles& styles);

/// A row for each arm: every seed as a dot, the mean, its 95 % interval. `arms` is summary["arms"].
svg::Drawing dot_plot(const record::Json& summary, const Styles& styles);

/// Validation score of every learning rate that was tried, a ring around the chosen one. @param tuning  see
/// compare.json
svg::Drawing tuning_chart(const std::string& id, const record::Json& tuning, const std::vector<std::string>& arms,
                          const std::string& score, const Styles& styles);

/// How the factors of a layer lie, epoch by epoch: the stronger the color, the more nodes; the line is their mean.
/// `low`: the lower end of the y axis, whose upper end is 2.
svg::Drawing factor_strip(const Arm& arm, const std::string& layer, double low, const Styles& styles);
/// The lower end that shows all factors of all arms; nothing if there are none.
std::optional<double> lowest_factor(const std::vector<Arm>& arms);

}  // namespace grapes::report
