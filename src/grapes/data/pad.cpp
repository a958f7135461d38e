#include "grapes/data/pad.h"

#include "grapes/base/error.h"

#include <ATen/ATen.h>

namespace grapes::data {

at::Tensor padded(const at::Tensor& pictures, std::int64_t side, const std::string& name) {
  const std::int64_t rows = pictures.size(-2), columns = pictures.size(-1), below = side - rows, right = side - columns;
  if (below < 0 || right < 0) {
    throw UsageError("--pad " + std::to_string(side) + ": the pictures of " + name + " are larger, " +
                     std::to_string(rows) + " x " + std::to_string(columns));
  }
  return at::constant_pad_nd(pictures, {right / 2, right - right / 2, below / 2, below - below / 2});
}

}  // namespace grapes::data
