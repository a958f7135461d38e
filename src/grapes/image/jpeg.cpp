#include "grapes/image/format.h"

#include <jerror.h>
#include <jpeglib.h>

#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdio>  // before jpeglib.h, which needs FILE

namespace grapes::image {
namespace {

/// libjpeg reports an error by a function that must not return.
struct JpegErrors {
  jpeg_error_mgr base;  // first, because libjpeg knows only this part
  std::jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> message;
};

[[noreturn]] void leave(j_common_ptr jpeg) {
  auto* errors = reinterpret_cast<JpegErrors*>(jpeg->err);
  jpeg->err->format_message(jpeg, errors->message.data());
  std::longjmp(errors->jump, 1);
}

/// A warning about missing pixels is an error here: libjpeg would fill them with gray.
void heed(j_common_ptr jpeg, int level) {
  if (level >= 0) return;  // information without effect on the pixels
  const int code = jpeg->err->msg_code;
  if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE) leave(jpeg);
}

class JpegReader {
 public:
  JpegReader() {
    jpeg_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = leave;
    errors_.base.emit_message = heed;
    guarded([this] { jpeg_create_decompress(&jpeg_); });
  }
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  Header header(std::string_view bytes) {
    constexpr int exif_marker = JPEG_APP0 + 1;
    constexpr std::string_view exif("Exif\0\0", 6);
    guarded([&] {
      jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
      jpeg_save_markers(&jpeg_, exif_marker, 0xffff);
      jpeg_read_header(&jpeg_, TRUE);
    });
    Header header{jpeg_.image_height, jpeg_.image_width, jpeg_.num_components > 1};
    for (const jpeg_marker_struct* marker = jpeg_.marker_list; marker; marker = marker->next) {
      const std::string_view content(reinterpret_cast<const char*>(marker->data), marker->data_length);
      if (marker->marker == exif_marker && content.starts_with(exif))
        header.orientation = exif_orientation(content.substr(exif.size()));
    }
    return header;
  }

  Raster decode(std::string_view bytes) {
    header(bytes);
    const bool inks = jpeg_.jpeg_color_space == JCS_CMYK || jpeg_.jpeg_color_space == JCS_YCCK;
    if (jpeg_.num_components > 1) jpeg_.out_color_space = inks ? JCS_CMYK : JCS_RGB;
    guarded([this] { jpeg_start_decompress(&jpeg_); });
    Raster raster{jpeg_.output_height, jpeg_.output_width, jpeg_.output_components, {}};
    const auto stride = static_cast<std::size_t>(raster.columns * raster.channels);
    raster.pixels.resize(stride * static_cast<std::size_t>(raster.rows));
    guarded([&] {
      while (jpeg_.output_scanline < jpeg_.output_height) {
        JSAMPROW row = raster.pixels.data() + jpeg_.output_scanline * stride;
        jpeg_read_scanlines(&jpeg_, &row, 1);
      }
    });
    return inks ? from_inks(raster) : raster;
  }

 private:
  /// @param step  must not have local variables with destructors, because an error leaves it by longjmp
  template <class Step>
  void guarded(const Step& step) {
    if (setjmp(errors_.jump)) throw Damage(errors_.message.data());  // NOLINT(cert-err52-cpp): libjpeg's interface
    step();
  }

  /// Cyan, magenta, yellow and black as colors: R = (1 − C)(1 − K), and so on. Adobe stores 1 − ink.
  Raster from_inks(const Raster& inks) const {
    const int white = jpeg_.saw_Adobe_marker ? 0 : 255;
    Raster colors{inks.rows, inks.columns, 3, std::vector<std::uint8_t>(inks.pixels.size() / 4 * 3)};
    const auto light = [&](std::uint8_t ink) { return white == 0 ? int{ink} : white - ink; };
    for (std::size_t i = 0; i < inks.pixels.size() / 4; ++i)
      for (std::size_t c = 0; c < 3; ++c)
        colors.pixels[3 * i + c] =
            static_cast<std::uint8_t>((light(inks.pixels[4 * i + c]) * light(inks.pixels[4 * i + 3]) + 127) / 255);
    return colors;
  }

  jpeg_decompress_struct jpeg_{};
  JpegErrors errors_{};
};

}  // namespace

Format jpeg() {
  return {"JPEG",
          {".jpg", ".jpeg", ".jpe", ".jfif"},
          [](std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); },
          [](std::string_view bytes) { return JpegReader().header(bytes); },
          [](std::string_view bytes) { return JpegReader().decode(bytes); }};
}

}  // namespace grapes::image
