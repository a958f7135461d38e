#pragma once

#include "grapes/image/image.h"

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace grapes::image {

/// Why a file cannot be decoded; image.cpp adds the file and the format.
class Damage final : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A row of the table of formats.
struct Format {
  std::string name;
  std::vector<std::string> extensions;
  bool (*matches)(std::string_view bytes);   ///< whether a file that begins so has this format
  Header (*header)(std::string_view bytes);  ///< of the stored picture, before it is turned. @throws Damage
  Raster (*decode)(std::string_view bytes);  ///< the stored picture, at most 16,384 × 16,384. @throws Damage
};

Format jpeg();
Format png();
Format tiff();
Format webp();
Format gif();
Format bmp();

/// Finds the orientation in a block of Exif data, which is laid out as a TIFF file.
/// @return 1 ... 8; 1 if the block has none
int exif_orientation(std::string_view block);

/// Whole numbers at a place in a file. @throws Damage beyond its end
std::uint32_t little_endian(std::string_view bytes, std::size_t at, int size);
std::uint32_t big_endian(std::string_view bytes, std::size_t at, int size);

/// Whether all colors of a palette are gray.
/// @param palette  red, green and blue of each color
bool is_gray(const std::vector<std::uint8_t>& palette);

/// Looks up the colors of an indexed picture. @return 1 channel if the palette is gray, else 3
Raster from_palette(const Raster& indices, const std::vector<std::uint8_t>& palette);

}  // namespace grapes::image
