#include "grapes/image/format.h"

#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

namespace grapes::image {
namespace {

WebPData webp_data(std::string_view bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

int webp_orientation(std::string_view bytes) {
  const WebPData data = webp_data(bytes);
  const std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)> file(WebPDemux(&data), WebPDemuxDelete);
  WebPChunkIterator chunk;
  if (!file || !WebPDemuxGetChunk(file.get(), "EXIF", 1, &chunk)) return 1;
  std::string_view block(reinterpret_cast<const char*>(chunk.chunk.bytes), chunk.chunk.size);
  constexpr std::string_view exif("Exif\0\0", 6);  // some programs keep JPEG's prefix
  if (block.starts_with(exif)) block.remove_prefix(exif.size());
  const int orientation = exif_orientation(block);
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

WebPBitstreamFeatures webp_features(std::string_view bytes) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(webp_data(bytes).bytes, bytes.size(), &features);
  if (status == VP8_STATUS_NOT_ENOUGH_DATA) throw Damage("the file is truncated");
  if (status != VP8_STATUS_OK) throw Damage("its header is invalid");
  return features;
}

Header webp_header(std::string_view bytes) {
  const WebPBitstreamFeatures features = webp_features(bytes);
  return {features.height, features.width, true, webp_orientation(bytes)};
}

/// The first picture of an animation.
void decode_first(std::string_view bytes, Raster& raster) {
  const WebPData data = webp_data(bytes);
  const std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)> frames(WebPAnimDecoderNew(&data, nullptr),
                                                                                  WebPAnimDecoderDelete);
  std::uint8_t* pixels = nullptr;
  int time = 0;
  if (!frames || !WebPAnimDecoderGetNext(frames.get(), &pixels, &time)) throw Damage("its first frame is damaged");
  raster.pixels.assign(pixels, pixels + raster.rows * raster.columns * raster.channels);
}

Raster decode_webp(std::string_view bytes) {
  const WebPBitstreamFeatures features = webp_features(bytes);
  Raster raster{features.height, features.width, features.has_alpha || features.has_animation ? 4 : 3, {}};
  if (features.has_animation) {
    decode_first(bytes, raster);
    return raster;
  }
  const auto stride = static_cast<int>(raster.columns * raster.channels);
  raster.pixels.resize(static_cast<std::size_t>(stride * raster.rows));
  const auto into = raster.channels == 4 ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (!into(webp_data(bytes).bytes, bytes.size(), raster.pixels.data(), raster.pixels.size(), stride))
    throw Damage("its pixels are damaged or truncated");
  return raster;
}

}  // namespace

Format webp() {
  return {"WebP",
          {".webp"},
          [](std::string_view bytes) {
            return bytes.starts_with("RIFF") && bytes.size() > 12 && bytes.substr(8, 4) == "WEBP";
          },
          webp_header,
          decode_webp};
}

}  // namespace grapes::image
