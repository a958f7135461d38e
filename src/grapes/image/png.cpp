#include "grapes/base/error.h"
#include "grapes/image/format.h"

#include <png.h>

namespace grapes::image {
namespace {

constexpr std::string_view png_magic = "\x89PNG\r\n\x1a\n";

/// libpng's simplified interface, freed at the end.
class Png {
 public:
  Png() { image.version = PNG_IMAGE_VERSION; }
  ~Png() { png_image_free(&image); }
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;

  void begin(std::string_view bytes) {
    if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size())) throw Damage(image.message);
    image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // else libpng assumes that 16-bit values are linear
  }

  png_image image{};
};

/// The orientation in the chunk eXIf, which precedes the pixels or follows them.
int png_orientation(std::string_view bytes) {
  std::size_t at = png_magic.size();
  while (bytes.size() >= 12 && at <= bytes.size() - 12) {  // length, name, content, checksum
    const std::size_t length = big_endian(bytes, at, 4);
    if (length > bytes.size() - at - 12) break;
    if (bytes.substr(at + 4, 4) == "eXIf") return exif_orientation(bytes.substr(at + 8, length));
    at += 12 + length;
  }
  return 1;
}

Header png_header(std::string_view bytes) {
  Png png;
  png.begin(bytes);
  return {png.image.height, png.image.width, (png.image.format & PNG_FORMAT_FLAG_COLOR) != 0, png_orientation(bytes)};
}

Raster decode_png(std::string_view bytes) {
  Png png;
  png.begin(bytes);
  png.image.format &= PNG_FORMAT_FLAG_COLOR | PNG_FORMAT_FLAG_ALPHA;  // 8 bits, no palette
  Raster raster{png.image.height, png.image.width, PNG_IMAGE_PIXEL_CHANNELS(png.image.format), {}};
  raster.pixels.resize(PNG_IMAGE_SIZE(png.image));
  if (!png_image_finish_read(&png.image, nullptr, raster.pixels.data(), 0, nullptr)) throw Damage(png.image.message);
  return raster;
}

}  // namespace

Format png() {
  return {"PNG", {".png"}, [](std::string_view bytes) { return bytes.starts_with(png_magic); }, png_header, decode_png};
}

std::string encode_png(const Raster& raster) {
  Png png;
  png.image.height = static_cast<png_uint_32>(raster.rows);
  png.image.width = static_cast<png_uint_32>(raster.columns);
  png.image.format = raster.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png.image);
  std::string bytes(size, '\0');
  if (!png_image_write_to_memory(&png.image, bytes.data(), &size, 0, raster.pixels.data(), 0, nullptr))
    throw RunError(std::string("cannot write a PNG: ") + png.image.message);
  bytes.resize(size);
  return bytes;
}

}  // namespace grapes::image
