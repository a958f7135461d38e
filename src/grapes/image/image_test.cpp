#include "grapes/image/image.h"

#include "grapes/base/error.h"

#include <gif_lib.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jpeglib.h>
#include <tiffio.h>
#include <webp/encode.h>

#include <algorithm>
#include <cmath>
#include <cstdio>  // before jpeglib.h, which needs FILE
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace grapes::image {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::uint8_t at(const Raster& raster, std::int64_t row, std::int64_t column, std::int64_t channel = 0) {
  return raster.pixels[static_cast<std::size_t>((row * raster.columns + column) * raster.channels + channel)];
}

/// A picture without large steps, which JPEG keeps nearly as it is.
Raster waves(std::int64_t rows, std::int64_t columns, std::int64_t channels) {
  Raster raster{rows, columns, channels, {}};
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      for (std::int64_t k = 0; k < channels; ++k)
        raster.pixels.push_back(
            static_cast<std::uint8_t>(128 + 100 * std::sin(static_cast<double>(c) / 9 + static_cast<double>(k)) *
                                                std::cos(static_cast<double>(r) / 7)));
  return raster;
}

int largest_difference(const Raster& a, const Raster& b) {
  if (a.rows != b.rows || a.columns != b.columns || a.channels != b.channels) return 256;
  int most = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) most = std::max(most, std::abs(a.pixels[i] - b.pixels[i]));
  return most;
}

std::string refused(const std::string& bytes) {
  try {
    decode(bytes, true, "f");
  } catch (const DataError& error) {
    return error.what();
  }
  return "(nothing was refused)";
}

/// A block of Exif data with an orientation, as TIFF files begin.
std::string exif_block(char orientation) {
  return std::string("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 19) + orientation + std::string(6, '\0');
}

std::string jpeg_file(const Raster& raster, J_COLOR_SPACE space, const std::string& exif = "") {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;  // NOLINT(google-runtime-int): libjpeg's type
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_width = static_cast<JDIMENSION>(raster.columns);
  jpeg.image_height = static_cast<JDIMENSION>(raster.rows);
  jpeg.input_components = static_cast<int>(raster.channels);
  jpeg.in_color_space = space;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 98, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  if (!exif.empty()) {
    const std::string marker = std::string("Exif\0\0", 6) + exif;
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(marker.data()),
                      static_cast<unsigned>(marker.size()));
  }
  for (std::int64_t row = 0; row < raster.rows; ++row) {
    auto* line = const_cast<JSAMPROW>(raster.pixels.data() + row * raster.columns * raster.channels);  // NOLINT
    jpeg_write_scanlines(&jpeg, &line, 1);
  }
  jpeg_finish_compress(&jpeg);
  std::string file(reinterpret_cast<const char*>(bytes), size);
  std::free(bytes);
  jpeg_destroy_compress(&jpeg);
  return file;
}

TEST(Jpeg, KeepsGrayAndColor) {
  const Raster gray = waves(20, 30, 1), color = waves(20, 30, 3);
  const std::string gray_file = jpeg_file(gray, JCS_GRAYSCALE), color_file = jpeg_file(color, JCS_RGB);
  EXPECT_FALSE(header(gray_file, "f").color);
  EXPECT_TRUE(header(color_file, "f").color);
  EXPECT_LE(largest_difference(decode(gray_file, false, "f"), gray), 4);
  EXPECT_LE(largest_difference(decode(color_file, true, "f"), color), 8);
}

TEST(Jpeg, ConvertsCmykToRgb) {
  Raster inks{8, 8, 4, {}};  // Adobe's files store 255 - ink: full cyan, half black
  for (int i = 0; i < 64; ++i) inks.pixels.insert(inks.pixels.end(), {0, 255, 255, 128});
  const Raster color = decode(jpeg_file(inks, JCS_CMYK), true, "f");
  EXPECT_NEAR(at(color, 3, 3, 0), 0, 3);
  EXPECT_NEAR(at(color, 3, 3, 1), 128, 3);
  EXPECT_NEAR(at(color, 3, 3, 2), 128, 3);
}

TEST(Jpeg, RejectsEveryTruncation) {
  const std::string file = jpeg_file(waves(16, 16, 3), JCS_RGB);
  for (std::size_t n = 4; n < file.size() - 4; n += 7)
    EXPECT_THAT(refused(file.substr(0, n)), HasSubstr("f: not a valid JPEG (")) << n;
}

TEST(Orientation, FollowsExif) {
  // A bright corner of the stored picture, and where it has to be in the picture that people see.
  Raster stored{16, 32, 1, std::vector<std::uint8_t>(16 * 32, 20)};
  for (int r = 0; r < 8; ++r) std::fill_n(stored.pixels.begin() + r * 32, 8, 220);
  struct Case {
    char orientation;
    std::int64_t rows, row, column;
  };
  for (const Case& c : {Case{1, 16, 0, 0},
                        {2, 16, 0, 31},
                        {3, 16, 15, 31},
                        {4, 16, 15, 0},
                        {5, 32, 0, 0},
                        {6, 32, 0, 15},
                        {7, 32, 31, 15},
                        {8, 32, 31, 0}}) {
    const std::string file = jpeg_file(stored, JCS_GRAYSCALE, exif_block(c.orientation));
    EXPECT_EQ(header(file, "f").rows, c.rows) << int{c.orientation};
    const Raster raster = decode(file, false, "f");
    EXPECT_EQ(raster.rows, c.rows) << int{c.orientation};
    EXPECT_GT(at(raster, c.row, c.column), 150) << int{c.orientation};
    EXPECT_LT(at(raster, raster.rows - 1 - c.row, raster.columns - 1 - c.column), 80) << int{c.orientation};
  }
  const std::string wrong = jpeg_file(stored, JCS_GRAYSCALE, exif_block(9));
  EXPECT_EQ(header(wrong, "f").rows, 16);
  EXPECT_EQ(header(jpeg_file(stored, JCS_GRAYSCALE, "MM nonsense"), "f").rows, 16);
}

TEST(Png, RoundTrips) {
  for (const bool color : {false, true}) {
    const Raster raster = waves(3, 5, color ? 3 : 1);
    EXPECT_EQ(decode(encode_png(raster), color, "f").pixels, raster.pixels);
    EXPECT_EQ(header(encode_png(raster), "f").color, color);
  }
}

TEST(Png, RejectsEveryTruncationThatLosesPixels) {
  const std::string bytes = encode_png(waves(9, 9, 1));
  const std::size_t end_chunk = 12;  // an IEND chunk without further information
  for (std::size_t n = 0; n < bytes.size() - end_chunk - 4; ++n)
    EXPECT_THAT(refused(bytes.substr(0, n)), HasSubstr("f: ")) << n;
}

TEST(Colors, ConvertToGrayByBrightnessAndGrayToColor) {
  const Raster colors{1, 4, 3, {255, 0, 0, 0, 255, 0, 0, 0, 255, 200, 200, 200}};
  EXPECT_THAT(decode(encode_png(colors), false, "f").pixels, ElementsAre(76, 150, 29, 200));
  EXPECT_THAT(decode(encode_png({1, 2, 1, {7, 9}}), true, "f").pixels, ElementsAre(7, 7, 7, 9, 9, 9));
}

/// Writes a TIFF by libtiff, from samples of `bits` bits.
class TiffFile {
 public:
  TiffFile(std::uint32_t rows, std::uint32_t columns, std::uint16_t samples, std::uint16_t bits, int photometric) {
    path_ = std::filesystem::temp_directory_path() /
            ("grapes-tiff-" + std::to_string(reinterpret_cast<std::uintptr_t>(this)));
    tiff_ = TIFFOpen(path_.c_str(), "w");
    set(TIFFTAG_IMAGELENGTH, rows);
    set(TIFFTAG_IMAGEWIDTH, columns);
    set(TIFFTAG_SAMPLESPERPIXEL, samples);
    set(TIFFTAG_BITSPERSAMPLE, bits);
    set(TIFFTAG_PHOTOMETRIC, photometric);
    set(TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    set(TIFFTAG_ROWSPERSTRIP, rows);
  }
  ~TiffFile() { std::filesystem::remove(path_); }
  TiffFile(const TiffFile&) = delete;
  TiffFile& operator=(const TiffFile&) = delete;

  template <class... Values>
  void set(std::uint32_t tag, Values... values) {
    ASSERT_EQ(TIFFSetField(tiff_, tag, values...), 1);
  }
  std::string bytes(std::vector<std::uint8_t> samples) {
    TIFFWriteEncodedStrip(tiff_, 0, samples.data(), static_cast<tmsize_t>(samples.size()));
    TIFFClose(tiff_);
    std::ostringstream content;
    content << std::ifstream(path_, std::ios::binary).rdbuf();
    return content.str();
  }

 private:
  std::filesystem::path path_;
  TIFF* tiff_ = nullptr;
};

TEST(Tiff, ReadsColorGrayCmyk16BitsAndAlpha) {
  const std::string color = TiffFile(1, 2, 3, 8, PHOTOMETRIC_RGB).bytes({1, 2, 3, 4, 5, 6});
  EXPECT_THAT(decode(color, true, "f").pixels, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_TRUE(header(color, "f").color);
  const std::string inverted = TiffFile(1, 2, 1, 8, PHOTOMETRIC_MINISWHITE).bytes({0, 200});
  EXPECT_THAT(decode(inverted, false, "f").pixels, ElementsAre(255, 55));
  EXPECT_FALSE(header(inverted, "f").color);
  const std::string deep = TiffFile(1, 2, 1, 16, PHOTOMETRIC_MINISBLACK).bytes({0xff, 0xff, 0, 0x80});  // little-endian
  EXPECT_THAT(decode(deep, false, "f").pixels, ElementsAre(255, 128));
  const std::string inks = TiffFile(1, 1, 4, 8, PHOTOMETRIC_SEPARATED).bytes({255, 0, 0, 0});  // cyan
  EXPECT_THAT(decode(inks, true, "f").pixels, ElementsAre(0, 255, 255));
  TiffFile alpha(1, 2, 2, 8, PHOTOMETRIC_MINISBLACK);
  const std::uint16_t kind = EXTRASAMPLE_UNASSALPHA;
  alpha.set(TIFFTAG_EXTRASAMPLES, 1, &kind);
  EXPECT_THAT(decode(alpha.bytes({200, 255, 200, 51}), false, "f").pixels, ElementsAre(200, 40));
}

TEST(Tiff, AppliesTheOrientationAndRejectsDamagedFiles) {
  TiffFile file(1, 3, 1, 8, PHOTOMETRIC_MINISBLACK);
  file.set(TIFFTAG_ORIENTATION, ORIENTATION_RIGHTTOP);
  const std::string bytes = file.bytes({1, 2, 3});
  EXPECT_EQ(header(bytes, "f").rows, 3);
  EXPECT_THAT(decode(bytes, false, "f").pixels, ElementsAre(1, 2, 3));
  EXPECT_THAT(refused(bytes.substr(0, bytes.size() / 2)), HasSubstr("f: not a valid TIFF ("));
  TiffFile numbers(1, 1, 1, 32, PHOTOMETRIC_MINISBLACK);
  numbers.set(TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_IEEEFP);
  EXPECT_THAT(refused(numbers.bytes({0, 0, 0, 0})), HasSubstr("32-bit"));
}

TEST(WebP, ReadsColorAndAlphaAndRejectsTruncations) {
  const Raster color = waves(9, 7, 3);
  std::uint8_t* packed = nullptr;
  std::size_t size = WebPEncodeLosslessRGB(color.pixels.data(), 7, 9, 21, &packed);
  const std::string file(reinterpret_cast<const char*>(packed), size);
  WebPFree(packed);
  EXPECT_EQ(decode(file, true, "f").pixels, color.pixels);
  for (std::size_t n = 16; n + 8 < file.size(); n += 5)
    EXPECT_THAT(refused(file.substr(0, n)), HasSubstr("f: not a valid WebP (")) << n;
  const std::vector<std::uint8_t> halves = {200, 100, 50, 51, 200, 100, 50, 255};
  size = WebPEncodeLosslessRGBA(halves.data(), 2, 1, 8, &packed);
  const std::string transparent(reinterpret_cast<const char*>(packed), size);
  WebPFree(packed);
  EXPECT_THAT(decode(transparent, true, "f").pixels, ElementsAre(40, 20, 10, 200, 100, 50));
}

int gif_write(GifFileType* gif, const GifByteType* bytes, int size) {
  static_cast<std::string*>(gif->UserData)
      ->append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  return size;
}

/// Two frames of 2 × 2 pixels at (left, 0) on a screen of 3 × 2; color 3 is transparent.
std::string gif_file(std::vector<GifColorType> palette, int left) {
  std::string file;
  int error = 0;
  GifFileType* gif = EGifOpen(&file, gif_write, &error);
  ColorMapObject* map = GifMakeMapObject(4, palette.data());
  EGifPutScreenDesc(gif, 3, 2, 2, 0, map);
  for (int frame = 0; frame < 2; ++frame) {
    const GraphicsControlBlock control{0, false, 10, 3};
    GifByteType extension[4];
    EGifGCBToExtension(&control, extension);
    EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, 4, extension);
    EGifPutImageDesc(gif, left, 0, 2, 2, false, nullptr);
    for (int row = 0; row < 2; ++row) {
      GifPixelType line[2] = {static_cast<GifPixelType>(frame == 0 ? row : 2),
                              static_cast<GifPixelType>(frame == 0 ? 2 + row : 2)};
      EGifPutLine(gif, line, 2);
    }
  }
  EGifCloseFile(gif, &error);
  GifFreeMapObject(map);
  return file;
}

TEST(Gif, ReadsTheFirstFrameOnABlackBackground) {
  const std::vector<GifColorType> grays = {{10, 10, 10}, {20, 20, 20}, {30, 30, 30}, {99, 99, 99}};
  const std::string gray = gif_file(grays, 1);
  EXPECT_FALSE(header(gray, "f").color);
  EXPECT_THAT(decode(gray, false, "f").pixels, ElementsAre(0, 10, 30, 0, 20, 0));
  const std::string color = gif_file({{1, 2, 3}, {4, 5, 6}, {7, 8, 9}, {0, 0, 0}}, 0);
  EXPECT_TRUE(header(color, "f").color);
  EXPECT_THAT(decode(color, true, "f").pixels, ElementsAre(1, 2, 3, 7, 8, 9, 0, 0, 0, 4, 5, 6, 0, 0, 0, 0, 0, 0));
  EXPECT_THAT(refused(gray.substr(0, 30)), HasSubstr("f: not a valid GIF ("));
  EXPECT_THAT(refused(gif_file(grays, 2)), HasSubstr("outside the screen"));
}

std::string little(std::uint32_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
  return bytes;
}

/// @param rest  palette or masks, then the pixels
std::string bmp_file(std::int32_t columns, std::int32_t rows, std::uint32_t bits, std::uint32_t compression,
                     const std::string& before, const std::string& pixels, std::uint32_t colors = 0) {
  const auto begin = static_cast<std::uint32_t>(54 + before.size());
  return "BM" + little(begin + static_cast<std::uint32_t>(pixels.size()), 4) + little(0, 4) + little(begin, 4) +
         little(40, 4) + little(static_cast<std::uint32_t>(columns), 4) + little(static_cast<std::uint32_t>(rows), 4) +
         little(1, 2) + little(bits, 2) + little(compression, 4) + little(0, 12) + little(colors, 4) + little(0, 4) +
         before + pixels;
}

TEST(Bmp, ReadsEveryDepth) {
  using namespace std::string_literals;
  const std::string color =
      bmp_file(2, 2, 24, 0, "", "\1\2\3\4\5\6\0\0\7\x8\x9\xa\xb\xc\0\0"s);  // the last row comes first
  EXPECT_THAT(decode(color, true, "f").pixels, ElementsAre(9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4));
  const std::string down = bmp_file(1, -2, 32, 0, "", "\1\2\3\0\4\5\6\0"s);
  EXPECT_THAT(decode(down, true, "f").pixels, ElementsAre(3, 2, 1, 6, 5, 4));
  const std::string palette = "\x0a\x0a\x0a\0\x14\x14\x14\0\x1e\x1e\x1e\0\x28\x28\x28\0"s;
  const std::string bytes = bmp_file(3, 1, 8, 0, palette, "\0\3\2\0"s, 4);
  EXPECT_FALSE(header(bytes, "f").color);
  EXPECT_THAT(decode(bytes, false, "f").pixels, ElementsAre(10, 40, 30));
  EXPECT_THAT(decode(bmp_file(3, 1, 4, 0, palette, "\x03\x20\0\0"s, 4), false, "f").pixels, ElementsAre(10, 40, 30));
  EXPECT_THAT(decode(bmp_file(3, 1, 1, 0, palette.substr(0, 8), "\xa0\0\0\0"s), false, "f").pixels,
              ElementsAre(20, 10, 20));
  EXPECT_THAT(decode(bmp_file(1, 1, 16, 0, "", "\x1f\x7c\0\0"s), true, "f").pixels, ElementsAre(255, 0, 255));
  const std::string masks = little(0xf800, 4) + little(0x7e0, 4) + little(0x1f, 4);
  EXPECT_THAT(decode(bmp_file(1, 1, 16, 3, masks, "\xe0\x07\0\0"s), true, "f").pixels, ElementsAre(0, 255, 0));
  // 2 times color 3, then end of row; 3 colors as they are; end.
  const std::string runs = bmp_file(3, 2, 8, 1, palette, "\2\3\0\0\0\3\0\1\2\0\0\1"s, 4);
  EXPECT_THAT(decode(runs, false, "f").pixels, ElementsAre(10, 20, 30, 40, 40, 10));
}

TEST(Bmp, RejectsDamagedFiles) {
  using namespace std::string_literals;
  EXPECT_THAT(refused(bmp_file(2, 2, 24, 0, "", "\1\2\3"s)),
              HasSubstr("f: not a valid BMP (the file is truncated: its 2 rows need 16 bytes"));
  EXPECT_THAT(refused(bmp_file(1, 1, 8, 0, "\0\0\0\0"s, "\7\0\0\0"s, 1)), HasSubstr("color 7 of a palette of 1"));
  EXPECT_THAT(refused(bmp_file(1, 1, 8, 1, "\0\0\0\0"s, "\5\0\0\1"s, 1)),
              HasSubstr("a run of pixels leaves the picture"));
  EXPECT_THAT(refused(bmp_file(1, 1, 7, 0, "", "")), HasSubstr("7 bits per pixel with compression 0"));
  EXPECT_THAT(refused(bmp_file(20000, 1, 24, 0, "", "")), HasSubstr("a BMP of 20000 x 1 pixels, expected 1 to 16384"));
}

TEST(Files, ErrorsNameTheFile) {
  EXPECT_THAT(refused(""), HasSubstr("f: an empty file, expected JPEG, PNG, TIFF, WebP, GIF, BMP"));
  EXPECT_THAT(refused("hello"), HasSubstr("f: not a picture, expected JPEG"));
  EXPECT_TRUE(has_image_name("a/b.JPeG"));
  EXPECT_FALSE(has_image_name("a/b.txt"));
}

TEST(Resize, AveragesWhenShrinkingAndInterpolatesWhenEnlarging) {
  // Triangles of two new pixels' width: the outer pixels of a window of four have half the weight, less at the border.
  EXPECT_THAT(resized({1, 4, 1, {0, 70, 140, 210}}, 1, 2).pixels, ElementsAre(50, 160));
  EXPECT_THAT(resized({1, 2, 1, {0, 100}}, 1, 4).pixels, ElementsAre(0, 25, 75, 100));
  EXPECT_THAT(resized({2, 1, 3, {0, 10, 20, 100, 110, 120}}, 1, 1).pixels, ElementsAre(50, 60, 70));
  const Raster flat{7, 5, 1, std::vector<std::uint8_t>(35, 201)};
  for (const std::uint8_t pixel : resized(flat, 3, 11).pixels) EXPECT_EQ(pixel, 201);
  EXPECT_EQ(resized(waves(6, 6, 3), 6, 6).pixels, waves(6, 6, 3).pixels);
}

TEST(Crop, ReturnsThePixelsOfTheRectangle) {
  EXPECT_THAT(cropped({3, 3, 1, {1, 2, 3, 4, 5, 6, 7, 8, 9}}, 1, 1, 2, 2).pixels, ElementsAre(5, 6, 8, 9));
}

}  // namespace
}  // namespace grapes::image
