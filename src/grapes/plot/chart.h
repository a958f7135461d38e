#pragma once

#include "grapes/plot/svg.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

/// Line charts, and what all plots share. Their colors are CSS variables, so that they follow the reader's light or
/// dark scheme.
namespace grapes::plot {

/// The colors and line styles, for a page or inside a picture that stands alone.
std::string plot_style();

/// The colors are the CSS classes a0, a1, ... of so many slots; from a3 on lines are broken as well.
constexpr std::size_t color_slots = 8;

/// Where the lines of a plot are, and its axes around them.
struct Frame {
  double left, top, right, bottom;
};
void axes(Drawing& drawing, const Frame& frame, const Scale& x, const Scale& y, const std::vector<double>& x_ticks,
          const std::vector<double>& y_ticks, const std::string& x_label, const std::string& y_label);

struct Curve {
  std::vector<double> x, mean, low, high;  ///< low, high: a band
  void add(double at, double center, double from, double to) {
    x.push_back(at), mean.push_back(center), low.push_back(from), high.push_back(to);
  }
};

struct Series {
  std::string name, color;  ///< color: a CSS class
  Curve curve;
  std::vector<Point> marked = {};  ///< points with a ring around them
  bool dots = false;               ///< a dot at each point
};
void draw(Drawing& drawing, const Series& series, const Scale& x, const Scale& y);

struct Chart {
  std::string x_label, y_label;
  std::vector<Series> series = {};  ///< none empty
  double width = 460, height = 300;
  bool labels = true;                ///< the names at the ends of their lines
  bool logarithmic_x = false;        ///< with x_ticks
  bool logarithmic_y = false;        ///< only where all values are above 0
  bool from_the_start = false;       ///< the first epochs set the y axis too; else they may leave the picture below
  std::vector<double> x_ticks = {};  ///< empty: round numbers
  double floor =
      -std::numeric_limits<double>::infinity();  ///< the y axis begins no lower; a mark stands for points below
};
Drawing line_chart(const Chart& chart);

/// The range of some numbers.
struct Extent {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  /// Never empty, and with some air at both ends.
  Extent padded(double share) const;
};

}  // namespace grapes::plot
