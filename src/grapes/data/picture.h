#pragma once

#include "grapes/data/open.h"

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::data {

/// A contact sheet: a PNG of rows × columns examples of the training part (augmented, if asked for: then each row shows
/// one example as it is and `columns - 1` draws of it). @throws DataError if the examples are not images
void contact_sheet(const Splits& splits, const Options& options, int rows, int columns, std::uint64_t seed,
                   const std::string& png_path);

/// One image for a trained model: a PNG, converted to the input shape (gray or color; scaled by area if the size
/// differs; said in `note`).
/// @param pad  as in Options: images that fit into so many pixels are padded to them, not scaled; 0: none are
/// @return input_shape, float32 in 0 ... 1: before normalization
at::Tensor read_png(const std::string& path, const std::vector<std::int64_t>& input_shape, std::string* note = nullptr,
                    std::int64_t pad = 0);

/// Examples without targets for a trained model: a PNG (as above), IDX images (plain or .gz), a CSV whose columns are
/// those of the training data (or numbers only, by position), an NPY array.
/// @param pad  as in the model's Options: PNGs and IDX images that fit into so many pixels are padded to them
/// @return [n, input_shape...] float32, before normalization
/// @throws DataError
at::Tensor read_inputs(const std::string& path, const DatasetInfo& info, std::string* note = nullptr,
                       std::int64_t pad = 0);

}  // namespace grapes::data
