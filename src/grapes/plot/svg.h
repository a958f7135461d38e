#pragma once

#include <fmt/core.h>

#include <string>
#include <utility>
#include <vector>

/// A small drawing layer: SVG text whose numbers are written alike everywhere, so that the same picture is the same
/// bytes.
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

}  // namespace grapes::plot
