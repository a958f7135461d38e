#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

/// A small drawing layer, SVG text whose numbers are written alike everywhere, so that the same picture is the same
/// bytes; and line charts. Their colors are CSS variables, so that they follow the reader's light or dark scheme.
namespace grapes::plot {

using Point = std::pair<double, double>;

/// For text and attribute values.
std::string escape(const std::string& text);
/// At most two decimals, none that are zero, a plain minus sign.
std::string coordinate(double value);
/// "0,1 2,3".
std::string coordinates(const std::vector<Point>& points);

/// One picture in its own coordinates, x to the right, y down. `look` is the CSS classes of an element, see
/// plot_style().
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
  /// @param turned  reads upwards
  void text(Point at, const std::string& text, const std::string& look = "", bool turned = false) {
    add(R"svg(<text transform="translate({} {}){}" class="{}">{}</text>)svg", at.first, at.second,
        std::string(turned ? " rotate(-90)" : ""), look, escape(text));
  }
  /// Everything drawn until `close` has this look; `hint` is shown to a reader who points at it.
  void open(const std::string& look, const std::string& hint = "") {
    add(R"(<g class="{}">)", look);
    if (!hint.empty()) add("<title>{}</title>", escape(hint));
  }
  void close() { add("</g>"); }
  /// Another drawing, moved.
  void place(const Drawing& other, Point corner) {
    add(R"svg(<g transform="translate({} {})">{}</g>)svg", corner.first, corner.second, other.body_);
  }
  /// Another drawing in the same coordinates, cut to a rectangle.
  void cut(const Drawing& other, Point corner, double width, double height) {
    add(R"(<svg x="{0}" y="{1}" width="{2}" height="{3}" viewBox="{0} {1} {2} {3}">{4}</svg>)", corner.first,
        corner.second, width, height, other.body_);
  }
  /// The background and heading of a picture that stands alone.
  void card(const std::string& heading) {
    add(R"(<rect x="0.5" y="0.5" width="{}" height="{}" class="card" rx="10"/>)", width_ - 1, height_ - 1);
    text({20, 34}, heading, "heading");
  }

  /// More room at the bottom.
  void grow(double by) { height_ += by; }
  double width() const { return width_; }
  double height() const { return height_; }
  /// The whole element; `label` says what it shows to those who do not see it, `css` goes inside.
  std::string element(const std::string& label, const std::string& css = "") const;

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

/// From numbers to coordinates; `low` maps to `from`, `high` to `to`. A logarithmic one needs low > 0.
struct Scale {
  double low, high, from, to;
  bool logarithmic = false;
  double operator()(double value) const;
};

/// Round numbers from low to high, about `count` of them; for a logarithmic axis 1, 2, 5 times powers of ten.
std::vector<double> ticks(double low, double high, int count, bool logarithmic = false);
/// Those of them that are whole numbers.
std::vector<double> whole(std::vector<double> ticks);
/// Evenly spaced ticks all with the decimals that their distance asks for; others each as short as it is.
std::string tick_label(double value, const std::vector<double>& ticks);

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
