#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace grapes::data {

struct PngHeader {
  std::int64_t rows = 0, columns = 0;
  bool color = false;
};
/// @throws DataError with `file`
PngHeader png_header(std::string_view bytes, const std::string& file);

/// Decodes the pixels, 8 bits each. Transparent pixels are blended with black.
/// @return [1, rows, columns] uint8 for gray, or [3, rows, columns]
/// @throws DataError with `file`
at::Tensor decode_png(std::string_view bytes, bool color, const std::string& file);

/// @param image  [1 or 3, rows, columns] uint8
std::string encode_png(const at::Tensor& image);

}  // namespace grapes::data
