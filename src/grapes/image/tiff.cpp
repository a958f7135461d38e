#include "grapes/image/format.h"

#include <tiffio.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>

namespace grapes::image {
namespace {

/// A file in memory, as libtiff reads it.
struct TiffBytes {
  std::string_view bytes;
  toff_t position = 0;
  std::string error = {};
};

TiffBytes& tiff_bytes(thandle_t handle) { return *static_cast<TiffBytes*>(handle); }

tmsize_t tiff_read(thandle_t handle, void* into, tmsize_t size) {
  TiffBytes& file = tiff_bytes(handle);
  const toff_t begin = std::min<toff_t>(file.position, file.bytes.size());
  const std::size_t count = std::min<std::size_t>(static_cast<std::size_t>(size), file.bytes.size() - begin);
  std::memcpy(into, file.bytes.data() + begin, count);
  file.position = begin + count;
  return static_cast<tmsize_t>(count);
}

toff_t tiff_seek(thandle_t handle, toff_t offset, int from) {
  TiffBytes& file = tiff_bytes(handle);
  const toff_t base = from == SEEK_SET ? 0 : from == SEEK_CUR ? file.position : file.bytes.size();
  return file.position = base + offset;
}

int tiff_error(TIFF*, void* user, const char*, const char* text, va_list values) {
  auto* file = static_cast<TiffBytes*>(user);
  std::array<char, 256> message{};
  std::vsnprintf(message.data(), message.size(), text, values);
  if (file->error.empty()) file->error = message.data();  // the first is the cause of the others
  return 1;
}

/// A field that the file should have, but that lies beyond its end, is an error here. libtiff would ignore it, and
/// without a palette it would read colors as gray.
int tiff_warning(TIFF* tiff, void* user, const char* module, const char* text, va_list values) {
  const bool beyond_end = std::string_view(text).starts_with("IO error during reading of");
  return beyond_end ? tiff_error(tiff, user, module, text, values) : 1;
}

/// An open file. Errors go to the file, not to libtiff's handlers, which all threads would share.
class Tiff {
 public:
  explicit Tiff(std::string_view bytes) : file_{bytes} {
    constexpr tmsize_t memory = tmsize_t{1} << 31;
    const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(),
                                                                                   TIFFOpenOptionsFree);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), memory);
    TIFFOpenOptionsSetErrorHandlerExtR(options.get(), tiff_error, &file_);
    TIFFOpenOptionsSetWarningHandlerExtR(options.get(), tiff_warning, &file_);
    const auto write = [](thandle_t, void*, tmsize_t) { return tmsize_t{0}; };
    const auto close = [](thandle_t) { return 0; };
    const auto size = [](thandle_t handle) { return toff_t{tiff_bytes(handle).bytes.size()}; };
    tiff_ =
        TIFFClientOpenExt("", "rm", &file_, tiff_read, write, tiff_seek, close, size, nullptr, nullptr, options.get());
    if (tiff_ && file_.error.empty()) return;
    if (tiff_) TIFFClose(tiff_);
    fail();
  }
  ~Tiff() { TIFFClose(tiff_); }
  Tiff(const Tiff&) = delete;
  Tiff& operator=(const Tiff&) = delete;

  Header header() const {
    std::uint32_t rows = 0, columns = 0;
    std::uint16_t photometric = PHOTOMETRIC_MINISBLACK, orientation = ORIENTATION_TOPLEFT;
    TIFFGetField(tiff_, TIFFTAG_IMAGELENGTH, &rows);
    TIFFGetField(tiff_, TIFFTAG_IMAGEWIDTH, &columns);
    TIFFGetField(tiff_, TIFFTAG_PHOTOMETRIC, &photometric);
    TIFFGetFieldDefaulted(tiff_, TIFFTAG_ORIENTATION, &orientation);
    const bool gray = photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE;
    return {rows, columns, !gray, orientation};
  }

  Raster decode() {
    std::array<char, 1024> reason{};
    if (!TIFFRGBAImageOK(tiff_, reason.data())) throw Damage(reason.data());
    const Header stored = header();
    std::vector<std::uint32_t> pixels(static_cast<std::size_t>(stored.rows * stored.columns));
    // With the orientation of the file, libtiff leaves the pixels in their order. It could mirror them but not rotate.
    if (!TIFFReadRGBAImageOriented(tiff_, static_cast<std::uint32_t>(stored.columns),
                                   static_cast<std::uint32_t>(stored.rows), pixels.data(), stored.orientation, 1))
      fail();
    // libtiff multiplies colors by alpha, but not gray.
    const std::int64_t channels = stored.color ? 3 : has_separate_alpha() ? 2 : 1;
    Raster raster{stored.rows, stored.columns, channels, {}};
    raster.pixels.reserve(pixels.size() * static_cast<std::size_t>(channels));
    for (const std::uint32_t pixel : pixels) {
      raster.pixels.push_back(TIFFGetR(pixel));
      if (channels == 2) raster.pixels.push_back(TIFFGetA(pixel));
      if (channels < 3) continue;
      raster.pixels.push_back(TIFFGetG(pixel));
      raster.pixels.push_back(TIFFGetB(pixel));
    }
    return raster;
  }

 private:
  bool has_separate_alpha() const {
    std::uint16_t count = 0, *kinds = nullptr;
    return TIFFGetField(tiff_, TIFFTAG_EXTRASAMPLES, &count, &kinds) && count > 0 && kinds[0] == EXTRASAMPLE_UNASSALPHA;
  }
  [[noreturn]] void fail() const { throw Damage(file_.error.empty() ? "libtiff gives no reason" : file_.error); }

  TiffBytes file_;
  TIFF* tiff_ = nullptr;
};

}  // namespace

Format tiff() {
  return {"TIFF",
          {".tif", ".tiff"},
          [](std::string_view bytes) {
            const std::string_view begin = bytes.substr(0, 4);
            return begin == std::string_view("II*\0", 4) || begin == std::string_view("MM\0*", 4) ||
                   begin == std::string_view("II+\0", 4) || begin == std::string_view("MM\0+", 4);
          },
          [](std::string_view bytes) { return Tiff(bytes).header(); },
          [](std::string_view bytes) { return Tiff(bytes).decode(); }};
}

}  // namespace grapes::image
