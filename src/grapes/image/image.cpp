#include "grapes/image/image.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/image/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

namespace grapes::image {
namespace {

const std::vector<Format>& formats() {
  static const std::vector<Format> table = {jpeg(), png(), tiff(), webp(), gif(), bmp()};
  return table;
}

const Format& format_of(std::string_view bytes, const std::string& file) {
  for (const Format& format : formats())
    if (format.matches(bytes)) return format;
  throw DataError(
      fmt::format("{}: {}, expected {}", file, bytes.empty() ? "an empty file" : "not a picture", format_names()));
}

template <class Read>
auto read(const Format& format, const std::string& file, Read read) {
  try {
    return read();
  } catch (const Damage& damage) {
    throw DataError(fmt::format("{}: not a valid {} ({})", file, format.name, damage.what()));
  }
}

Header checked_header(const Format& format, std::string_view bytes, const std::string& file) {
  constexpr std::int64_t most = 1 << 14;  // a header can claim a picture that does not fit into memory
  const Header header = read(format, file, [&] { return format.header(bytes); });
  if (header.rows < 1 || header.columns < 1 || header.rows > most || header.columns > most)
    throw DataError(fmt::format("{}: a {} of {} x {} pixels, expected 1 to {} in each direction", file, format.name,
                                header.columns, header.rows, most));
  return header;
}

/// The picture without its alpha channel, on a black background.
Raster blended(Raster raster) {
  if (raster.channels % 2 == 1) return raster;
  const std::int64_t kept = raster.channels - 1, count = raster.rows * raster.columns;
  const std::uint8_t* from = raster.pixels.data();
  std::uint8_t* into = raster.pixels.data();
  for (std::int64_t i = 0; i < count; ++i, from += raster.channels, into += kept)
    for (std::int64_t c = 0; c < kept; ++c) into[c] = static_cast<std::uint8_t>((from[c] * from[kept] + 127) / 255);
  raster.channels = kept;
  raster.pixels.resize(static_cast<std::size_t>(count * kept));
  return raster;
}

Raster in_gray(const Raster& raster) {
  Raster gray{raster.rows, raster.columns, 1, std::vector<std::uint8_t>(raster.pixels.size() / 3)};
  for (std::size_t i = 0; i < gray.pixels.size(); ++i) {
    const std::uint8_t* rgb = raster.pixels.data() + 3 * i;
    // The weights in units of 2^-16, as in Pillow.
    gray.pixels[i] = static_cast<std::uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
  }
  return gray;
}

Raster in_color(const Raster& raster) {
  Raster color{raster.rows, raster.columns, 3, std::vector<std::uint8_t>(raster.pixels.size() * 3)};
  for (std::size_t i = 0; i < raster.pixels.size(); ++i)
    std::fill_n(color.pixels.begin() + static_cast<std::ptrdiff_t>(3 * i), 3, raster.pixels[i]);
  return color;
}

/// Rotates or mirrors a stored picture. Exif numbers the positions of its first row and column: 1 top left, 2 top
/// right, 3 bottom right, 4 bottom left; 5 ... 8 are the same with rows and columns exchanged first, in the order left
/// top, right top, right bottom, left bottom.
Raster turned(const Raster& stored, int orientation) {
  if (orientation <= 1 || orientation > 8) return stored;
  const bool exchanged = orientation >= 5;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  Raster upright = stored;
  if (exchanged) std::swap(upright.rows, upright.columns);
  std::uint8_t* into = upright.pixels.data();
  for (std::int64_t row = 0; row < upright.rows; ++row)
    for (std::int64_t column = 0; column < upright.columns; ++column, into += stored.channels) {
      const std::int64_t r = from_bottom ? upright.rows - 1 - row : row;
      const std::int64_t c = from_right ? upright.columns - 1 - column : column;
      const std::int64_t place = exchanged ? c * stored.columns + r : r * stored.columns + c;
      std::copy_n(stored.pixels.data() + place * stored.channels, stored.channels, into);
    }
  return upright;
}

}  // namespace

bool has_image_name(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::any_of(formats().begin(), formats().end(), [&](const Format& format) {
    return std::find(format.extensions.begin(), format.extensions.end(), extension) != format.extensions.end();
  });
}

std::string format_names() {
  std::vector<std::string> names;
  for (const Format& format : formats()) names.push_back(format.name);
  return join(names, ", ");
}

Header header(std::string_view bytes, const std::string& file) {
  Header found = checked_header(format_of(bytes, file), bytes, file);
  if (found.orientation >= 5) std::swap(found.rows, found.columns);
  return found;
}

Raster decode(std::string_view bytes, bool color, const std::string& file) {
  const Format& format = format_of(bytes, file);
  const Header stored = checked_header(format, bytes, file);
  const Raster raster = blended(read(format, file, [&] { return format.decode(bytes); }));
  if (color == (raster.channels == 3)) return turned(raster, stored.orientation);
  return turned(color ? in_color(raster) : in_gray(raster), stored.orientation);
}

Raster cropped(const Raster& raster, std::int64_t top, std::int64_t left, std::int64_t rows, std::int64_t columns) {
  Raster part{rows, columns, raster.channels, {}};
  part.pixels.reserve(static_cast<std::size_t>(rows * columns * raster.channels));
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto begin = raster.pixels.begin() + ((top + row) * raster.columns + left) * raster.channels;
    part.pixels.insert(part.pixels.end(), begin, begin + columns * raster.channels);
  }
  return part;
}

bool is_gray(const std::vector<std::uint8_t>& palette) {
  for (std::size_t i = 0; i + 2 < palette.size(); i += 3)
    if (palette[i] != palette[i + 1] || palette[i] != palette[i + 2]) return false;
  return true;
}

Raster from_palette(const Raster& indices, const std::vector<std::uint8_t>& palette) {
  const std::size_t channels = is_gray(palette) ? 1 : 3;
  Raster raster{indices.rows, indices.columns, static_cast<std::int64_t>(channels), {}};
  raster.pixels.reserve(indices.pixels.size() * channels);
  for (const std::uint8_t index : indices.pixels) {
    if (3U * index + 3 > palette.size())
      throw Damage(fmt::format("a pixel has color {} of a palette of {}", index, palette.size() / 3));
    for (std::size_t c = 0; c < channels; ++c) raster.pixels.push_back(palette[3U * index + c]);
  }
  return raster;
}

}  // namespace grapes::image
