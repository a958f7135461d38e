#pragma once

#include <string>
#include <utility>
#include <vector>

/// A small drawing layer: SVG text whose numbers are written alike everywhere, so that the same picture is the same
/// bytes.
namespace grapes::report::svg {

using Point = std::pair<double, double>;

/// For text and attribute values.
std::string escape(const std::string& text);
/// At most two decimals, none that are zero, a plain minus sign.
std::string coordinate(double value);

/// One picture in its own coordinates, x to the right, y down. `attributes` goes into the element as it stands.
class Drawing final {
 public:
  Drawing(double width, double height) : width_(width), height_(height) {}

  void line(Point from, Point to, const std::string& attributes);
  void polyline(const std::vector<Point>& points, const std::string& attributes);
  void polygon(const std::vector<Point>& points, const std::string& attributes);
  void circle(Point center, double radius, const std::string& attributes);
  void rectangle(Point corner, double width, double height, const std::string& attributes);
  void text(Point at, const std::string& text, const std::string& attributes = "");
  /// Everything drawn until `close` is inside.
  void open(const std::string& attributes) { body_ += "<g " + attributes + ">"; }
  void close() { body_ += "</g>"; }
  /// What a reader is told who points at the group that is open.
  void hint(const std::string& text) { body_ += "<title>" + escape(text) + "</title>"; }
  /// A clipping rectangle, to be named as clip-path="url(#id)".
  void clip(const std::string& id, Point corner, double width, double height);
  /// Another drawing, moved.
  void place(const Drawing& other, Point corner);

  double width() const { return width_; }
  double height() const { return height_; }
  /// The whole element; `id` must be the only one of its kind on a page, `style` is CSS that goes inside.
  std::string element(const std::string& id, const std::string& title, const std::string& description,
                      const std::string& style = "") const;

 private:
  double width_;
  double height_;
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
/// Evenly spaced ticks all with the decimals that their distance asks for; others each as short as it is.
std::string tick_label(double value, const std::vector<double>& ticks);

}  // namespace grapes::report::svg
