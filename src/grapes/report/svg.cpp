#include "grapes/report/svg.h"

#include "grapes/base/text.h"
#include "grapes/report/format.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace grapes::report::svg {
namespace {

std::string list(const std::vector<Point>& points) {
  std::string text;
  for (const auto& [x, y] : points) text += (text.empty() ? "" : " ") + coordinate(x) + "," + coordinate(y);
  return text;
}

std::string attribute(const char* name, double value) {
  return " " + std::string(name) + "=\"" + coordinate(value) + "\"";
}

}  // namespace

std::string escape(const std::string& text) {
  std::string result;
  for (const char c : text) switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  return result;
}

std::string coordinate(double value) {
  const double rounded = std::round(value * 100) / 100;
  return rounded == 0 ? "0" : shortest(rounded);
}

void Drawing::line(Point from, Point to, const std::string& attributes) {
  body_ += "<line" + attribute("x1", from.first) + attribute("y1", from.second) + attribute("x2", to.first) +
           attribute("y2", to.second) + " " + attributes + "/>";
}

void Drawing::polyline(const std::vector<Point>& points, const std::string& attributes) {
  body_ += "<polyline points=\"" + list(points) + "\" " + attributes + "/>";
}

void Drawing::polygon(const std::vector<Point>& points, const std::string& attributes) {
  body_ += "<polygon points=\"" + list(points) + "\" " + attributes + "/>";
}

void Drawing::circle(Point center, double radius, const std::string& attributes) {
  body_ += "<circle" + attribute("cx", center.first) + attribute("cy", center.second) + attribute("r", radius) + " " +
           attributes + "/>";
}

void Drawing::rectangle(Point corner, double width, double height, const std::string& attributes) {
  body_ += "<rect" + attribute("x", corner.first) + attribute("y", corner.second) + attribute("width", width) +
           attribute("height", height) + " " + attributes + "/>";
}

void Drawing::text(Point at, const std::string& text, const std::string& attributes) {
  body_ += "<text" + attribute("x", at.first) + attribute("y", at.second) + " " + attributes + ">" + escape(text) +
           "</text>";
}

void Drawing::clip(const std::string& id, Point corner, double width, double height) {
  body_ += "<clipPath id=\"" + id + "\">";
  rectangle(corner, width, height, "");
  body_ += "</clipPath>";
}

void Drawing::place(const Drawing& other, Point corner) {
  open("transform=\"translate(" + coordinate(corner.first) + " " + coordinate(corner.second) + ")\"");
  body_ += other.body_;
  close();
}

std::string Drawing::element(const std::string& id, const std::string& title, const std::string& description,
                             const std::string& style) const {
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + coordinate(width_) + " " + coordinate(height_) +
         "\" role=\"img\" aria-labelledby=\"" + id + "-title " + id + "-desc\"><title id=\"" + id + "-title\">" +
         escape(title) + "</title><desc id=\"" + id + "-desc\">" + escape(description) + "</desc>" +
         (style.empty() ? "" : "<style>" + style + "</style>") + body_ + "</svg>\n";
}

double Scale::operator()(double value) const {
  const double share =
      logarithmic ? (std::log(value) - std::log(low)) / (std::log(high) - std::log(low)) : (value - low) / (high - low);
  return from + share * (to - from);
}

std::vector<double> ticks(double low, double high, int count, bool logarithmic) {
  std::vector<double> result;
  if (logarithmic) {
    for (int power = static_cast<int>(std::floor(std::log10(low))); std::pow(10, power) <= high; ++power)
      for (const double digit : {1.0, 2.0, 5.0})
        if (const double tick = digit * std::pow(10, power); tick >= low && tick <= high) result.push_back(tick);
    if (result.size() >= 2) return result;
    result.clear();
  }
  const double raw = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double digit : {5.0, 2.0, 1.0})
    if (1.2 * digit * power >= raw) step = digit * power;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i) result.push_back(i * step);
  return result;
}

std::string tick_label(double value, const std::vector<double>& ticks) {
  double least = std::numeric_limits<double>::infinity();
  double most = 0;
  for (std::size_t i = 1; i < ticks.size(); ++i) {
    least = std::min(least, ticks[i] - ticks[i - 1]);
    most = std::max(most, ticks[i] - ticks[i - 1]);
  }
  if (most == 0 || most > 1.01 * least) {  // a logarithmic axis: each as short as it is
    const double digits = std::pow(10, 3 - std::floor(std::log10(std::max(1e-12, std::abs(value)))));
    return shortest(std::round(value * digits) / digits);
  }
  int decimals = 0;
  const auto needs_more = [&](double step) { return std::abs(step - std::round(step)) > 1e-6 * step; };
  for (double step = least; decimals < 12 && needs_more(step); step *= 10) ++decimals;
  return fixed(value, decimals);
}

}  // namespace grapes::report::svg
