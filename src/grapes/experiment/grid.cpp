#include "grapes/experiment/grid.h"

#include "grapes/base/text.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

namespace grapes::experiment {
namespace {

/// Rounds to three digits, for short names of folders.
double rounded(double rate) {
  const double unit = std::pow(10, std::floor(std::log10(rate)) - 2);
  return to_double(shortest(std::round(rate / unit)) + "e" + shortest(std::round(std::log10(unit)))).value();
}

std::optional<double> positive(std::string_view text) {
  const auto number = to_double(trim(text));
  return number && std::isfinite(*number) && *number > 0 ? number : std::nullopt;
}

std::optional<double> factor_of(std::string_view text) {
  const bool root = text.starts_with("sqrt");
  const auto number = positive(root ? text.substr(4) : text);
  if (!number || *number <= 1) return std::nullopt;
  return root ? std::sqrt(*number) : *number;
}

/// Returns the rates of "LOW..HIGH:FACTOR"; none if the text is no series.
std::vector<double> series(std::string_view text) {
  const std::size_t dots = text.find(".."), colon = text.rfind(':');
  if (dots == std::string_view::npos || colon == std::string_view::npos || colon < dots) return {};
  const auto low = positive(text.substr(0, dots)), high = positive(text.substr(dots + 2, colon - dots - 2));
  const auto factor = factor_of(trim(text.substr(colon + 1)));
  if (!low || !high || !factor || *high < *low) return {};
  const double ratio = std::log(*high / *low) / std::log(*factor);
  std::vector<double> rates = {*low};
  for (int k = 1; k <= static_cast<int>(ratio + 0.01) && k < 1000; ++k)
    rates.push_back(rounded(*low * std::pow(*factor, k)));
  return rates;
}

}  // namespace

bool read_grid(std::string_view text, std::vector<double>& grid) {
  std::vector<double> read;
  for (const std::string& piece : split(text, ',')) {
    std::vector<double> rates = series(piece);
    if (const auto rate = positive(piece)) rates = {*rate};
    if (rates.empty()) return false;
    read.insert(read.end(), rates.begin(), rates.end());
  }
  grid = std::move(read);
  return true;
}

std::vector<double> continuation(const std::vector<double>& grid, bool up, int count) {
  const double end = up ? grid.back() : grid.front();
  const double ratio = end / (up ? grid[grid.size() - 2] : grid[1]);
  std::vector<double> rates;
  for (int k = 1; k <= count; ++k) rates.push_back(rounded(end * std::pow(ratio, k)));
  return rates;
}

}  // namespace grapes::experiment
