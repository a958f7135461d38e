#pragma once

#include "grapes/data/open.h"

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::data {

/// Writes a contact sheet: a PNG of rows × columns training examples. With augmentation or random crops, each row shows
/// one example and `columns - 1` changed versions of it. A recording of an event camera is summed over time; darker is
/// blue and brighter red. @throws DataError if the examples are not images
void contact_sheet(const Splits& splits, int rows, int columns, std::uint64_t seed, const std::string& png_path);

/// Reads a picture for a trained model and converts it to the input shape: gray or color, resized and cropped at the
/// center as in training, or scaled if the size still differs (reported in `note`).
/// @param options  of the model; images of at most `pad` rows and columns are padded, not scaled
/// @return input_shape, float32 in 0 ... 1, before normalization
at::Tensor read_picture(const std::string& path, const std::vector<std::int64_t>& input_shape, const Options& options,
                        std::string* note = nullptr);

/// Reads examples without targets for a trained model: a picture (as above), IDX images (plain or .gz), the arrays of
/// NumPy, or a table with the columns of the training data (or without names, by position).
/// @param options  of the model: how to read tables; images of at most `pad` rows and columns are padded
/// @return [n, input_shape...] float32, before normalization
/// @throws DataError
at::Tensor read_inputs(const std::string& path, const DatasetInfo& info, const Options& options,
                       std::string* note = nullptr);

}  // namespace grapes::data
