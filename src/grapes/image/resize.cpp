#include "grapes/image/image.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace grapes::image {
namespace {

constexpr int fraction_bits = 22;  // 8 bits of a value, 22 of a weight and 2 to spare are 32

/// Which old pixels make a new one along an axis: `first` and the following ones, with weights that sum to 2^22.
struct Window {
  std::int64_t first = 0;
  std::vector<std::int32_t> weights = {};
};

std::vector<Window> windows(std::int64_t from, std::int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to), width = std::max(scale, 1.0);
  std::vector<Window> all(static_cast<std::size_t>(to));
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto begin = std::max<std::int64_t>(static_cast<std::int64_t>(center - width + 0.5), 0);
    const auto end = std::min(static_cast<std::int64_t>(center + width + 0.5), from);
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t x = begin; x < end; ++x) {
      weights.push_back(std::max(0.0, 1 - std::abs((static_cast<double>(x) - center + 0.5) / width)));
      sum += weights.back();
    }
    all[i].first = begin;
    for (const double weight : weights)
      all[i].weights.push_back(static_cast<std::int32_t>(std::floor(weight / sum * (1 << fraction_bits) + 0.5)));
  }
  return all;
}

/// Combines pixels that lie `step` bytes apart.
std::uint8_t combined(const std::uint8_t* first, std::ptrdiff_t step, const std::vector<std::int32_t>& weights) {
  std::int32_t sum = 1 << (fraction_bits - 1);
  for (const std::int32_t weight : weights) {
    sum += *first * weight;
    first += step;
  }
  return static_cast<std::uint8_t>(std::clamp(sum >> fraction_bits, 0, 255));
}

Raster with_columns(const Raster& raster, std::int64_t columns) {
  Raster scaled{raster.rows, columns, raster.channels, {}};
  scaled.pixels.resize(static_cast<std::size_t>(scaled.rows * columns * scaled.channels));
  const std::vector<Window> all = windows(raster.columns, columns);
  std::uint8_t* into = scaled.pixels.data();
  for (std::int64_t row = 0; row < raster.rows; ++row) {
    const std::uint8_t* line = raster.pixels.data() + row * raster.columns * raster.channels;
    for (const Window& window : all)
      for (std::int64_t c = 0; c < raster.channels; ++c)
        *into++ = combined(line + window.first * raster.channels + c, raster.channels, window.weights);
  }
  return scaled;
}

Raster with_rows(const Raster& raster, std::int64_t rows) {
  Raster scaled{rows, raster.columns, raster.channels, {}};
  const std::int64_t width = raster.columns * raster.channels;
  scaled.pixels.resize(static_cast<std::size_t>(rows * width));
  std::uint8_t* into = scaled.pixels.data();
  for (const Window& window : windows(raster.rows, rows))
    for (std::int64_t i = 0; i < width; ++i)
      *into++ = combined(raster.pixels.data() + window.first * width + i, width, window.weights);
  return scaled;
}

}  // namespace

Raster resized(const Raster& raster, std::int64_t rows, std::int64_t columns) {
  const Raster wide = columns == raster.columns ? raster : with_columns(raster, columns);
  return rows == raster.rows ? wide : with_rows(wide, rows);
}

}  // namespace grapes::image
