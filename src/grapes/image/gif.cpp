#include "grapes/image/format.h"

#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace grapes::image {
namespace {

int gif_read(GifFileType* gif, GifByteType* into, int size) {
  auto* rest = static_cast<std::string_view*>(gif->UserData);
  const std::size_t count = std::min(rest->size(), static_cast<std::size_t>(size));
  std::memcpy(into, rest->data(), count);
  rest->remove_prefix(count);
  return static_cast<int>(count);
}

/// A file that is read up to the pixels of its first frame.
class Gif {
 public:
  explicit Gif(std::string_view bytes) : rest_(bytes) {
    int error = D_GIF_SUCCEEDED;
    gif_ = DGifOpen(&rest_, gif_read, &error);
    if (!gif_) throw Damage(reason(error));
    try {
      go_to_first();
    } catch (...) {
      DGifCloseFile(gif_, nullptr);
      throw;
    }
  }
  ~Gif() { DGifCloseFile(gif_, nullptr); }
  Gif(const Gif&) = delete;
  Gif& operator=(const Gif&) = delete;

  Header header() const { return {gif_->SHeight, gif_->SWidth, !is_gray(palette_)}; }

  /// The frame on its screen, which is transparent elsewhere.
  Raster decode() {
    const GifImageDesc& frame = gif_->Image;
    if (frame.Left + frame.Width > gif_->SWidth || frame.Top + frame.Height > gif_->SHeight)
      throw Damage("its first frame lies outside the screen");
    const std::int64_t colors = header().color ? 3 : 1, channels = colors + 1;
    Raster raster{gif_->SHeight, gif_->SWidth, channels, {}};
    raster.pixels.resize(static_cast<std::size_t>(raster.rows * raster.columns * channels));
    std::vector<GifPixelType> line(static_cast<std::size_t>(frame.Width));
    for (const auto& [first, step] : passes()) {
      for (int row = first; row < frame.Height; row += step) {
        check(DGifGetLine(gif_, line.data(), frame.Width));
        std::uint8_t* into = raster.pixels.data() + ((frame.Top + row) * raster.columns + frame.Left) * channels;
        for (const GifPixelType index : line) {
          if (3U * index + 3 > palette_.size()) throw Damage("a pixel has a color outside the palette");
          std::copy_n(palette_.data() + std::size_t{3} * index, colors, into);
          into[colors] = index == transparent_ ? 0 : 255;
          into += channels;
        }
      }
    }
    return raster;
  }

 private:
  struct Pass {
    int first, step;
  };

  static std::string reason(int error) {
    const char* text = GifErrorString(error);
    return text ? text : "giflib gives no reason";
  }
  void check(int status) const {
    if (status == GIF_ERROR) throw Damage(reason(gif_->Error));
  }

  /// The order of the rows in the file.
  std::vector<Pass> passes() const {
    if (!gif_->Image.Interlace) return {{0, 1}};
    return {{0, 8}, {4, 8}, {2, 4}, {1, 2}};
  }

  void go_to_first() {
    GifRecordType kind = UNDEFINED_RECORD_TYPE;
    while (kind != IMAGE_DESC_RECORD_TYPE) {
      check(DGifGetRecordType(gif_, &kind));
      if (kind == TERMINATE_RECORD_TYPE) throw Damage("it has no picture");
      if (kind == EXTENSION_RECORD_TYPE) read_extension();
    }
    check(DGifGetImageDesc(gif_));
    const ColorMapObject* map = gif_->Image.ColorMap ? gif_->Image.ColorMap : gif_->SColorMap;
    if (!map) throw Damage("it has no palette");
    for (int i = 0; i < map->ColorCount; ++i)
      palette_.insert(palette_.end(), {map->Colors[i].Red, map->Colors[i].Green, map->Colors[i].Blue});
  }

  void read_extension() {
    int code = 0;
    GifByteType* block = nullptr;
    check(DGifGetExtension(gif_, &code, &block));
    while (block) {
      GraphicsControlBlock control;
      if (code == GRAPHICS_EXT_FUNC_CODE && DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
        transparent_ = control.TransparentColor;
      check(DGifGetExtensionNext(gif_, &block));
    }
  }

  std::string_view rest_;
  GifFileType* gif_ = nullptr;
  std::vector<std::uint8_t> palette_;
  int transparent_ = NO_TRANSPARENT_COLOR;
};

}  // namespace

Format gif() {
  return {"GIF",
          {".gif"},
          [](std::string_view bytes) { return bytes.starts_with("GIF87a") || bytes.starts_with("GIF89a"); },
          [](std::string_view bytes) { return Gif(bytes).header(); },
          [](std::string_view bytes) { return Gif(bytes).decode(); }};
}

}  // namespace grapes::image
