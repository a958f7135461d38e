#pragma once

#include "grapes/image/image.h"

#include <cstdint>
#include <string>

namespace grapes {
class Random;
}

namespace grapes::data {

/// Rows and columns in pixels; 0 × 0: not given.
struct PictureSize {
  std::int64_t rows = 0, columns = 0;
  bool given() const { return rows > 0; }
  bool operator==(const PictureSize&) const = default;
};

/// Which part of a picture is an example.
struct Crop {
  enum class Kind { none, center, random } kind = Kind::none;
  std::int64_t side = 0;  ///< rows and columns of the part; 0: those of `resize`
};

/// How a folder of pictures becomes examples of one size.
struct PictureOptions {
  /// Without a crop, pictures get this size, whatever their shape. With one they keep their shape and are scaled until
  /// they just cover it. Not given: they keep their size.
  PictureSize resize = {};
  Crop crop = {};     ///< random: drawn again for each training example; other examples are cropped at the center
  bool gray = false;  ///< color is converted to gray
  bool skip_damaged = false;  ///< leave out files that cannot be decoded, instead of stopping
};

/// "none", "32", "24x32" (rows × columns). @throws UsageError
PictureSize parse_picture_size(const std::string& text);
std::string to_string(const PictureSize& size);
/// "none", "center", "random", "center:224", "random:224". @throws UsageError
Crop parse_crop(const std::string& text);
std::string to_string(const Crop& crop);

/// @throws UsageError for a crop without a size
void check(const PictureOptions& options);
/// The size of a picture of this size after `resize`.
PictureSize scaled_size(const PictureSize& picture, const PictureOptions& options);
/// The size of the example that is made of a picture of this size.
PictureSize example_size(const PictureSize& picture, const PictureOptions& options);

/// Decodes a picture and scales it. @throws DataError with `file`, also if it is then smaller than its crop
image::Raster scaled_picture(const std::string& bytes, bool color, const PictureOptions& options,
                             const std::string& file);
/// Crops a scaled picture, at a random place if `random` is given, else at the center.
image::Raster cropped_picture(const image::Raster& scaled, const PictureOptions& options, Random* random);

}  // namespace grapes::data
