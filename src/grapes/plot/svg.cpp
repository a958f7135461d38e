#include "grapes/plot/svg.h"

#include "grapes/base/text.h"
#include "grapes/plot/format.h"

#include <algorithm>
#include <cmath>

namespace grapes::plot {

std::string escape(const std::string& text) {
  std::string result;
  for (const char c : text)
    result += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : std::string(1, c);
  return result;
}

std::string coordinate(double value) {
  const double rounded = std::round(value * 100) / 100;
  return rounded == 0 ? "0" : shortest(rounded);
}

std::string coordinates(const std::vector<Point>& points) {
  std::string text;
  for (const auto& [x, y] : points) text += (text.empty() ? "" : " ") + coordinate(x) + "," + coordinate(y);
  return text;
}

std::string Drawing::element(const std::string& label, const std::string& css) const {
  return fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>)"
      "\n",
      coordinate(width_), coordinate(height_), escape(label), css.empty() ? "" : "<style>" + css + "</style>", body_);
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

std::vector<double> whole(std::vector<double> ticks) {
  std::erase_if(ticks, [](double tick) { return std::abs(tick - std::round(tick)) > 1e-9; });
  return ticks;
}

std::string tick_label(double value, const std::vector<double>& ticks) {
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 0;
  bool even = step > 0;
  for (std::size_t i = 1; i < ticks.size(); ++i) even = even && std::abs(ticks[i] - ticks[i - 1] - step) < 0.01 * step;
  if (!even) {
    const double digits = std::pow(10, 3 - std::floor(std::log10(std::max(1e-12, std::abs(value)))));
    return shortest(std::round(value * digits) / digits);
  }
  int decimals = 0;
  for (double part = step; decimals < 12 && std::abs(part - std::round(part)) > 1e-6 * part; part *= 10) ++decimals;
  return fixed(value, decimals);
}

}  // namespace grapes::plot
