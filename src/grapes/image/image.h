#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// Pictures in the formats that people have: JPEG, PNG, TIFF, WebP, GIF and BMP.
namespace grapes::image {

/// Pixels row by row, 8 bits per channel, the channels of a pixel next to each other.
struct Raster {
  std::int64_t rows = 0, columns = 0;
  std::int64_t channels = 0;  ///< 1: gray, 2: gray and alpha, 3: red, green and blue, 4: the same and alpha
  std::vector<std::uint8_t> pixels = {};
};

/// What a file says about its picture before the pixels are decoded.
struct Header {
  std::int64_t rows = 0, columns = 0;
  bool color = false;
  int orientation = 1;  ///< Exif's number for how the stored picture has to be turned, 1 ... 8
};

/// Whether the extension is that of a format that decode() reads.
bool has_image_name(const std::filesystem::path& path);
/// The names of the formats, for messages: "JPEG, PNG, ...".
std::string format_names();

/// Reads the header. The format is found by the first bytes of the file, not by its name.
/// @return rows and columns of the picture as decode() turns it
/// @throws DataError with `file`: an unknown format, an invalid header, or more than 16,384 rows or columns
Header header(std::string_view bytes, const std::string& file);

/// Decodes the picture, of a file with several the first. It is turned as its Exif orientation says, transparent pixels
/// are blended with black, inks become colors, and 16 bits are rounded to 8.
/// @param color  true: red, green and blue; false: gray, of a color 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601)
/// @return 1 or 3 channels
/// @throws DataError with `file` if any pixel is missing or cannot be decoded
Raster decode(std::string_view bytes, bool color, const std::string& file);

/// @param raster  1 or 3 channels
std::string encode_png(const Raster& raster);

/// Scales a picture. Each new pixel is the mean of the old ones around it, weighted by a triangle as wide as two new
/// pixels (or old ones, where the picture grows). The result is that of Pillow's `resize` with BILINEAR, bit for bit.
Raster resized(const Raster& raster, std::int64_t rows, std::int64_t columns);

/// The rectangle of `rows` × `columns` pixels whose upper left pixel is (top, left).
Raster cropped(const Raster& raster, std::int64_t top, std::int64_t left, std::int64_t rows, std::int64_t columns);

}  // namespace grapes::image
