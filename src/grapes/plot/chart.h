#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

/// Drawing of SVG, and line charts. Numbers are formatted the same everywhere, so equal images are equal bytes. Colors
/// are CSS variables that follow the light or dark scheme of the reader.
namespace grapes::plot {

using Point = std::pair<double, double>;

/// Escapes text and attribute values.
std::string escape(const std::string& text);
/// Writes at most two decimals without trailing zeros, with an ASCII minus sign.
std::string coordinate(double value);
/// Writes "0,1 2,3".
std::string coordinates(const std::vector<Point>& points);

/// An image with coordinates of its own, x to the right and y down. `look` gives the CSS classes of an element, see
/// plot.css.
class Drawing final {
 public:
  Drawing(double width, double height) : width_(width), height_(height) {}

  void line(Point a, Point b, const std::string& look) {
    add(R"(<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>)", a.first, a.second, b.first, b.second, look);
  }
  void polyline(const std::vector<Point>& points, const std::string& look) {
    add(R"(<polyline points="{}" class="{}"/>)", coordinates(points), look);
  }
  void polygon(const std::vector<Point>& points, const std::string& look) {
    add(R"(<polygon points="{}" class="{}"/>)", coordinates(points), look);
  }
  void circle(Point center, double radius, const std::string& look) {
    add(R"(<circle cx="{}" cy="{}" r="{}" class="{}"/>)", center.first, center.second, radius, look);
  }
  void rectangle(Point corner, double width, double height, const std::string& look, double opacity = 1) {
    add(R"(<rect x="{}" y="{}" width="{}" height="{}" class="{}" opacity="{}"/>)", corner.first, corner.second, width,
        height, look, opacity);
  }
  /// @param turned  rotates the text so that it reads upward
  void text(Point at, const std::string& text, const std::string& look = "", bool turned = false) {
    add(R"svg(<text transform="translate({} {}){}" class="{}">{}</text>)svg", at.first, at.second,
        std::string(turned ? " rotate(-90)" : ""), look, escape(text));
  }
  /// Opens a group: everything drawn until `close` has this look. Browsers show `hint` as a tooltip.
  void open(const std::string& look, const std::string& hint = "") {
    add(R"(<g class="{}">)", look);
    if (!hint.empty()) add("<title>{}</title>", escape(hint));
  }
  void close() { add("</g>"); }
  /// Adds another drawing at an offset.
  void place(const Drawing& other, Point corner) {
    add(R"svg(<g transform="translate({} {})">{}</g>)svg", corner.first, corner.second, other.body_);
  }
  /// Adds another drawing with the same coordinates, clipped to a rectangle.
  void cut(const Drawing& other, Point corner, double width, double height) {
    add(R"(<svg x="{0}" y="{1}" width="{2}" height="{3}" viewBox="{0} {1} {2} {3}">{4}</svg>)", corner.first,
        corner.second, width, height, other.body_);
  }

  /// Adds space at the bottom.
  void grow(double by) { height_ += by; }
  double width() const { return width_; }
  double height() const { return height_; }
  /// Returns the whole element, for a page that has plot.css. `label` describes the image for screen readers.
  std::string element(const std::string& label) const;
  /// Returns a standalone image, with a background and plot.css.
  std::string image(const std::string& label) const;

 private:
  static std::string written(double value) { return coordinate(value); }
  static const std::string& written(const std::string& text) { return text; }
  template <class... Values>
  void add(const char* format, const Values&... values) {
    body_ += fmt::format(fmt::runtime(format), written(values)...);
  }

  double width_, height_;
  std::string body_;
};

/// Maps numbers to coordinates: `low` to `from` and `high` to `to`. A logarithmic scale needs low > 0.
struct Scale {
  double low, high, from, to;
  bool logarithmic = false;
  double operator()(double value) const;
};

/// Returns about `count` round numbers from low to high; on a logarithmic axis 1, 2 and 5 times powers of ten.
std::vector<double> ticks(double low, double high, int count, bool logarithmic = false);
/// Returns those ticks that are whole numbers.
std::vector<double> whole(std::vector<double> ticks);
/// Writes evenly spaced ticks with the same number of decimals, and other ticks as short as possible.
std::string tick_label(double value, const std::vector<double>& ticks);

/// CSS with colors and line styles, for a page or a standalone image: plot.css.
extern const char* const plot_style;
/// The number of colors, the CSS classes a0, a1, ...
constexpr std::size_t color_slots = 8;

/// The area of a plot's lines, and its axes.
struct Frame {
  double left, top, right, bottom;
};
void axes(Drawing& drawing, const Frame& frame, const Scale& x, const Scale& y, const std::vector<double>& x_ticks,
          const std::vector<double>& y_ticks, const std::string& x_label, const std::string& y_label);

struct Curve {
  std::vector<double> x, mean, low, high;  ///< low and high bound a band
  void add(double at, double center, double from, double to) {
    x.push_back(at), mean.push_back(center), low.push_back(from), high.push_back(to);
  }
};

struct Series {
  std::string name, color;  ///< color: a CSS class
  Curve curve;
  std::vector<Point> marked = {};  ///< points that get a ring
  bool dots = false;               ///< draw a dot at each point
};

struct Chart {
  std::string x_label, y_label;
  std::vector<Series> series = {};  ///< no series may be empty
  double width = 460, height = 300;
  bool legend = true;                ///< write the names at the right, in the order in which the lines end
  bool logarithmic_x = false;        ///< needs x_ticks
  bool logarithmic_y = false;        ///< used only if all values are above 0
  std::vector<double> x_ticks = {};  ///< empty: round numbers
  /// Lower end of the y axis. Points below it become marks at the edge.
  double floor = -std::numeric_limits<double>::infinity();
};
Drawing line_chart(Chart chart);

/// The range of numbers.
struct Extent {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  /// Returns the range with a margin at both ends; it is never empty.
  Extent padded(double share) const;
};

}  // namespace grapes::plot
