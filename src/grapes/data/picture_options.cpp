#include "grapes/data/picture_options.h"

#include "grapes/base/error.h"
#include "grapes/base/random.h"
#include "grapes/base/text.h"

#include <fmt/format.h>

#include <cmath>

namespace grapes::data {
namespace {

constexpr std::int64_t most_pixels = 1 << 14;

bool read_pixels(const std::string& text, std::int64_t& pixels) {
  const auto number = to_integer(text);
  if (!number || *number < 1 || *number > most_pixels) return false;
  pixels = *number;
  return true;
}

/// Returns where a centered part of length `inside` begins in a length of `whole`, as in torchvision.
std::int64_t middle(std::int64_t whole, std::int64_t inside) {
  return std::llrint(static_cast<double>(whole - inside) / 2);  // halves to even
}

}  // namespace

PictureSize parse_picture_size(const std::string& text) {
  PictureSize size;
  if (text == "none") return size;
  const std::vector<std::string> sides = split(text, 'x');
  if (sides.size() > 2 || !read_pixels(sides.front(), size.rows) || !read_pixels(sides.back(), size.columns))
    throw UsageError(fmt::format("expected none, SIDE or ROWSxCOLUMNS, from 1 to {} pixels", most_pixels));
  return size;
}

std::string to_string(const PictureSize& size) {
  if (!size.given()) return "none";
  return size.rows == size.columns ? std::to_string(size.rows) : fmt::format("{}x{}", size.rows, size.columns);
}

Crop parse_crop(const std::string& text) {
  const std::vector<std::string> parts = split(text, ':');
  Crop crop;
  if (parts.front() == "center") crop.kind = Crop::Kind::center;
  if (parts.front() == "random") crop.kind = Crop::Kind::random;
  const bool side = parts.size() == 2 && crop.kind != Crop::Kind::none && read_pixels(parts.back(), crop.side);
  if ((crop.kind == Crop::Kind::none && text != "none") || (parts.size() > 1 && !side))
    throw UsageError(fmt::format(
        "expected none, center, random, center:SIDE or random:SIDE, with 1 to {} pixels a side", most_pixels));
  return crop;
}

std::string to_string(const Crop& crop) {
  if (crop.kind == Crop::Kind::none) return "none";
  const std::string kind = crop.kind == Crop::Kind::center ? "center" : "random";
  return crop.side == 0 ? kind : fmt::format("{}:{}", kind, crop.side);
}

void check(const PictureOptions& options) {
  if (options.crop.kind != Crop::Kind::none && options.crop.side == 0 && !options.resize.given())
    throw UsageError("crop", fmt::format("{0} needs a size: give {0}:224, or set resize", to_string(options.crop)));
}

PictureSize scaled_size(const PictureSize& picture, const PictureOptions& options) {
  const PictureSize& wanted = options.resize;
  if (!wanted.given()) return picture;
  if (options.crop.kind == Crop::Kind::none) return wanted;
  if (picture.rows * wanted.columns <= picture.columns * wanted.rows)  // the rows decide
    return {wanted.rows, picture.columns * wanted.rows / picture.rows};
  return {picture.rows * wanted.columns / picture.columns, wanted.columns};
}

PictureSize example_size(const PictureSize& picture, const PictureOptions& options) {
  if (options.crop.kind == Crop::Kind::none) return scaled_size(picture, options);
  return options.crop.side == 0 ? options.resize : PictureSize{options.crop.side, options.crop.side};
}

image::Raster scaled_picture(const std::string& bytes, bool color, const PictureOptions& options,
                             const std::string& file) {
  image::Raster raster = image::decode(bytes, color, file);
  const PictureSize picture = {raster.rows, raster.columns};
  const PictureSize scaled = scaled_size(picture, options), example = example_size(picture, options);
  if (scaled.rows < example.rows || scaled.columns < example.columns)
    throw DataError(
        fmt::format("{}: {} x {} pixels (rows x columns), expected at least the {} x {} of the crop; resize "
                    "makes pictures larger",
                    file, scaled.rows, scaled.columns, example.rows, example.columns));
  return scaled == picture ? raster : image::resized(raster, scaled.rows, scaled.columns);
}

image::Raster cropped_picture(const image::Raster& scaled, const PictureOptions& options, Random* random) {
  const PictureSize size = example_size({scaled.rows, scaled.columns}, options);
  if (size == PictureSize{scaled.rows, scaled.columns}) return scaled;
  std::int64_t top = middle(scaled.rows, size.rows), left = middle(scaled.columns, size.columns);
  if (random) {
    top = static_cast<std::int64_t>(random->below(static_cast<std::uint64_t>(scaled.rows - size.rows + 1)));
    left = static_cast<std::int64_t>(random->below(static_cast<std::uint64_t>(scaled.columns - size.columns + 1)));
  }
  return image::cropped(scaled, top, left, size.rows, size.columns);
}

}  // namespace grapes::data
