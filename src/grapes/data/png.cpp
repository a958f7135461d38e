#include "grapes/data/png.h"

#include "grapes/base/error.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <png.h>

namespace grapes::data {
namespace {

/// libpng's simplified interface, freed at the end.
class Image {
 public:
  Image() { image.version = PNG_IMAGE_VERSION; }
  ~Image() { png_image_free(&image); }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  void begin(std::string_view bytes, const std::string& file) {
    if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size())) fail(file);
    constexpr std::uint32_t most = 1 << 14;  // a header can ask for more than the memory
    if (image.width > most || image.height > most)
      throw DataError(fmt::format("{}: a PNG of {} x {} pixels, expected at most {} in each direction", file,
                                  std::uint32_t{image.width}, std::uint32_t{image.height}, most));
  }
  [[noreturn]] void fail(const std::string& file) const {
    throw DataError(file + ": not a valid PNG (" + image.message + ")");
  }

  png_image image{};
};

}  // namespace

PngHeader png_header(std::string_view bytes, const std::string& file) {
  Image png;
  png.begin(bytes, file);
  return {png.image.height, png.image.width, (png.image.format & PNG_FORMAT_FLAG_COLOR) != 0};
}

at::Tensor decode_png(std::string_view bytes, bool color, const std::string& file) {
  Image png;
  png.begin(bytes, file);
  png.image.format = color ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  at::Tensor pixels = at::zeros({png.image.height, png.image.width, color ? 3 : 1}, at::kByte);  // black
  if (!png_image_finish_read(&png.image, nullptr, pixels.data_ptr<std::uint8_t>(), 0, nullptr)) png.fail(file);
  return pixels.permute({2, 0, 1}).contiguous();
}

std::string encode_png(const at::Tensor& image) {
  TORCH_CHECK(image.dim() == 3 && (image.size(0) == 1 || image.size(0) == 3) && image.scalar_type() == at::kByte,
              "encode_png: image must be [1 or 3, rows, columns] uint8; got ", image.sizes());
  const at::Tensor pixels = image.permute({1, 2, 0}).contiguous();
  Image png;
  png.image.height = static_cast<png_uint_32>(pixels.size(0));
  png.image.width = static_cast<png_uint_32>(pixels.size(1));
  png.image.format = pixels.size(2) == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png.image);
  std::string bytes(size, '\0');
  if (!png_image_write_to_memory(&png.image, bytes.data(), &size, 0, pixels.data_ptr<std::uint8_t>(), 0, nullptr)) {
    throw RunError(std::string("cannot write a PNG: ") + png.image.message);
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace grapes::data
