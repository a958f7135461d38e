#include "grapes/image/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>

namespace grapes::image {
namespace {

// Compressions of a BMP.
constexpr std::uint32_t bmp_plain = 0, bmp_rle8 = 1, bmp_rle4 = 2, bmp_masks = 3, bmp_alpha_masks = 6;

/// A Windows bitmap: a file header of 14 bytes, an information header, masks or a palette, and rows from the bottom to
/// the top (from the top if the height is negative), each padded to 4 bytes.
class Bmp {
 public:
  explicit Bmp(std::string_view bytes) : bytes_(bytes) {
    const std::uint32_t header_size = number(14, 4);
    old_ = header_size == 12;  // of OS/2 and Windows 2
    if (!old_ && header_size < 40) throw Damage(fmt::format("its header says that it has {} bytes", header_size));
    columns_ = old_ ? std::int64_t{number(18, 2)} : signed_number(18);
    rows_ = old_ ? std::int64_t{number(20, 2)} : signed_number(22);
    top_down_ = rows_ < 0;
    rows_ = std::abs(rows_);
    bits_ = number(old_ ? 24 : 28, 2);
    compression_ = old_ ? bmp_plain : number(30, 4);
    check();
    if (bits_ <= 8) read_palette(header_size);
    if (bits_ > 8) read_masks(header_size);
  }

  Header header() const { return {rows_, columns_, bits_ > 8 || !is_gray(palette_)}; }

  Raster decode() const {
    if (compression_ == bmp_rle8 || compression_ == bmp_rle4) return from_palette(upright(runs()), palette_);
    return bits_ <= 8 ? from_palette(upright(indices()), palette_) : upright(colors());
  }

 private:
  std::uint32_t number(std::size_t at, int size) const { return little_endian(bytes_, at, size); }
  std::int64_t signed_number(std::size_t at) const { return static_cast<std::int32_t>(number(at, 4)); }
  std::size_t begin() const { return number(10, 4); }

  void check() const {
    const bool runs = (compression_ == bmp_rle8 && bits_ == 8) || (compression_ == bmp_rle4 && bits_ == 4);
    const bool masks = (compression_ == bmp_masks || compression_ == bmp_alpha_masks) && (bits_ == 16 || bits_ == 32);
    const bool plain = compression_ == bmp_plain && (bits_ == 1 || bits_ == 2 || bits_ == 4 || bits_ == 8 ||
                                                     bits_ == 16 || bits_ == 24 || bits_ == 32);
    if (!runs && !masks && !plain)
      throw Damage(fmt::format("{} bits per pixel with compression {}", bits_, compression_));
  }

  void read_palette(std::uint32_t header_size) {
    const std::size_t used = old_ ? 0 : number(46, 4), full = std::size_t{1} << bits_;
    const std::size_t count = used == 0 || used > full ? full : used, size = old_ ? 3 : 4;
    for (std::size_t i = 0; i < count; ++i)
      for (const std::size_t c : {2, 1, 0})  // blue comes first
        palette_.push_back(static_cast<std::uint8_t>(number(14 + header_size + i * size + c, 1)));
  }

  void read_masks(std::uint32_t header_size) {
    if (compression_ == bmp_plain) {
      masks_ = bits_ == 16 ? std::array<std::uint32_t, 4>{0x7c00, 0x3e0, 0x1f, 0}
                           : std::array<std::uint32_t, 4>{0xff0000, 0xff00, 0xff, 0};
      return;
    }
    for (std::size_t c = 0; c < 3; ++c) masks_[c] = number(54 + 4 * c, 4);
    if (header_size >= 56 || compression_ == bmp_alpha_masks) masks_[3] = number(66, 4);
  }

  /// The bytes of the picture, in rows of `stride` bytes.
  std::string_view stored_rows(std::size_t stride) const {
    const std::size_t size = stride * static_cast<std::size_t>(rows_);
    if (begin() > bytes_.size() || bytes_.size() - begin() < size)
      throw Damage(
          fmt::format("the file is truncated: its {} rows need {} bytes from byte {} on", rows_, size, begin()));
    return bytes_.substr(begin(), size);
  }
  std::size_t stride() const { return (static_cast<std::size_t>(columns_) * bits_ + 31) / 32 * 4; }

  Raster empty(std::int64_t channels) const {
    return {rows_, columns_, channels,
            std::vector<std::uint8_t>(static_cast<std::size_t>(rows_ * columns_ * channels))};
  }

  Raster upright(const Raster& stored) const {
    if (top_down_) return stored;
    Raster turned = stored;
    const std::int64_t width = columns_ * stored.channels;
    for (std::int64_t row = 0; row < rows_; ++row)
      std::copy_n(stored.pixels.begin() + (rows_ - 1 - row) * width, width, turned.pixels.begin() + row * width);
    return turned;
  }

  Raster indices() const {
    const std::string_view stored = stored_rows(stride());
    Raster raster = empty(1);
    std::uint8_t* into = raster.pixels.data();
    for (std::int64_t row = 0; row < rows_; ++row)
      for (std::size_t column = 0; column < static_cast<std::size_t>(columns_); ++column) {
        const std::size_t bit = column * bits_;  // the leftmost pixel is in the highest bits
        const auto byte = static_cast<std::uint8_t>(stored[static_cast<std::size_t>(row) * stride() + bit / 8]);
        *into++ = static_cast<std::uint8_t>(byte >> (8 - bits_ - bit % 8) & ((1U << bits_) - 1));
      }
    return raster;
  }

  Raster colors() const {
    const std::string_view stored = stored_rows(stride());
    const std::size_t channels = masks_[3] == 0 ? 3 : 4;
    Raster raster = empty(static_cast<std::int64_t>(channels));
    std::uint8_t* into = raster.pixels.data();
    const int size = static_cast<int>(bits_ / 8);
    for (std::int64_t row = 0; row < rows_; ++row)
      for (std::int64_t column = 0; column < columns_; ++column) {
        const std::uint32_t pixel = little_endian(
            stored, static_cast<std::size_t>(row) * stride() + static_cast<std::size_t>(column * size), size);
        for (std::size_t c = 0; c < channels; ++c) {
          const std::uint64_t most = masks_[c] >> std::countr_zero(masks_[c] | 1U << 31);
          const std::uint64_t value = (pixel & masks_[c]) >> std::countr_zero(masks_[c] | 1U << 31);
          *into++ = static_cast<std::uint8_t>(most == 0 ? 0 : (value * 255 + most / 2) / most);
        }
      }
    return raster;
  }

  /// Run-length encoding: (n, color) for n pixels; (0, n) and n colors; (0, 0) end of row; (0, 1) end; (0, 2, x, y)
  /// move.
  Raster runs() const {
    Raster raster = empty(1);
    std::int64_t row = 0, column = 0;
    const auto put = [&](std::uint32_t color) {
      if (row >= rows_ || column >= columns_) throw Damage("a run of pixels leaves the picture");
      raster.pixels[static_cast<std::size_t>(row * columns_ + column++)] = static_cast<std::uint8_t>(color);
    };
    const auto color = [&](std::uint32_t byte, std::uint32_t which) {  // with 4 bits, two colors take turns
      return bits_ == 8 ? byte : which % 2 == 0 ? byte >> 4 : byte & 15;
    };
    for (std::size_t at = begin();;) {
      const std::uint32_t count = number(at, 1), what = number(at + 1, 1);
      at += 2;
      for (std::uint32_t i = 0; i < count; ++i) put(color(what, i));
      if (count > 0) continue;
      if (what == 1) return raster;
      if (what == 0) {
        ++row;
        column = 0;
      } else if (what == 2) {
        column += number(at, 1);
        row += number(at + 1, 1);
        at += 2;
      } else {
        const std::uint32_t per_byte = 8 / bits_, size = (what + per_byte - 1) / per_byte;
        for (std::uint32_t i = 0; i < what; ++i) put(color(number(at + i / per_byte, 1), i));
        at += size + size % 2;
      }
    }
  }

  std::string_view bytes_;
  bool old_ = false, top_down_ = false;
  std::int64_t rows_ = 0, columns_ = 0;
  std::uint32_t bits_ = 0, compression_ = 0;
  std::vector<std::uint8_t> palette_;
  std::array<std::uint32_t, 4> masks_{};  // of red, green, blue and alpha
};

}  // namespace

Format bmp() {
  return {"BMP",
          {".bmp", ".dib"},
          [](std::string_view bytes) { return bytes.starts_with("BM"); },
          [](std::string_view bytes) { return Bmp(bytes).header(); },
          [](std::string_view bytes) { return Bmp(bytes).decode(); }};
}

}  // namespace grapes::image
