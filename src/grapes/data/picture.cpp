#include "grapes/data/picture.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/data/arrays.h"
#include "grapes/data/pictures.h"
#include "grapes/data/sampler.h"
#include "grapes/data/transform.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

namespace grapes::data {
namespace {

constexpr std::int64_t gap = 4;  // pixels between the images of a sheet

bool is_image(at::IntArrayRef shape) { return shape.size() == 3 && (shape[0] == 1 || shape[0] == 3); }

/// Whether time steps are those of an event camera: one or two polarities, rows, columns.
bool is_recording(const DatasetInfo& info) {
  return info.sequence && info.input_shape.size() == 3 && info.input_shape[0] <= 2;
}

/// Sums a recording [time, polarities, rows, columns] over time, and scales it so that the largest value is 1. Of two
/// polarities, darker is drawn in blue and brighter in red.
at::Tensor drawn(const at::Tensor& recording) {
  at::Tensor sum = recording.sum(0);
  sum = sum / sum.max().clamp_min(1e-9);
  return sum.size(0) == 1 ? sum : at::cat({sum[1], at::zeros_like(sum[0]), sum[0]}).view({3, sum.size(1), sum.size(2)});
}

/// Converts [channels, rows, columns] in 0 ... 1 to bytes and enlarges each pixel to `zoom` × `zoom`.
at::Tensor enlarged(const at::Tensor& image, std::int64_t zoom) {
  return image.clamp(0, 1).mul(255).round().to(at::kByte).repeat_interleave(zoom, 1).repeat_interleave(zoom, 2);
}

/// Pads images as in training if they fit. Otherwise the caller scales them or reports an error.
at::Tensor padded_if_it_fits(const at::Tensor& images, std::int64_t pad, const std::string& path) {
  return std::max(images.size(-2), images.size(-1)) <= pad ? padded(images, pad, path) : images;
}

}  // namespace

void contact_sheet(const Splits& splits, int rows, int columns, std::uint64_t seed, const std::string& png_path) {
  std::vector<std::int64_t> shape = splits.info.input_shape;
  const bool recording = is_recording(splits.info);
  if (recording && shape[0] == 2) shape[0] = 3;
  if (!recording && !is_image(shape))
    throw DataError(splits.name + ": a contact sheet needs images; the examples are not images");
  if (rows < 1 || columns < 1) throw UsageError("a contact sheet needs at least one row and one column");
  const bool draws = splits.train != splits.train_plain;
  const std::int64_t count = std::min<std::int64_t>(draws ? rows : std::int64_t{rows} * columns, splits.train->size());
  const at::Tensor chosen = shuffled_order(splits.train->size(), seed, 0).narrow(0, 0, count);

  const std::int64_t zoom = std::max<std::int64_t>(1, 64 / std::max(shape[1], shape[2]));
  const std::int64_t height = shape[1] * zoom + gap, width = shape[2] * zoom + gap;
  at::Tensor sheet = at::full({shape[0], rows * height + gap, columns * width + gap}, 128, at::kByte);
  const auto place = [&](const at::Tensor& example, std::int64_t row, std::int64_t column) {
    const at::Tensor image = recording ? drawn(example) : example;
    sheet.narrow(1, gap + row * height, height - gap)
        .narrow(2, gap + column * width, width - gap)
        .copy_(enlarged(image, zoom));
  };
  const auto pictures = [&](const Dataset& set, std::uint64_t draw) {
    return splits.normalization.undo(set.get(chosen, draw).inputs);
  };
  if (!draws) {
    const at::Tensor images = pictures(*splits.train_plain, seed);
    for (std::int64_t i = 0; i < count; ++i) place(images[i], i / columns, i % columns);
  } else {
    for (std::int64_t column = 0; column < columns; ++column) {
      const at::Tensor images = column == 0 ? pictures(*splits.train_plain, seed)
                                            : pictures(*splits.train, seed + static_cast<std::uint64_t>(column));
      for (std::int64_t row = 0; row < count; ++row) place(images[row], row, column);
    }
  }
  write_file(png_path, image::encode_png(to_raster(sheet)));
}

at::Tensor read_picture(const std::string& path, const std::vector<std::int64_t>& input_shape, const Options& options,
                        std::string* note) {
  if (!is_image(input_shape)) throw DataError(path + ": is an image, but this model was not trained on images");
  const image::Raster scaled = scaled_picture(read_file(path), input_shape[0] == 3, options.pictures, path);
  const image::Raster picture = cropped_picture(scaled, options.pictures, nullptr);
  const at::Tensor pixels = padded_if_it_fits(to_tensor(picture), options.pad, path);
  if (pixels.size(1) == input_shape[1] && pixels.size(2) == input_shape[2]) return pixels.to(at::kFloat) / 255;
  if (note) {
    *note = fmt::format("{}: scaled from {} x {} to {} x {} pixels", path, picture.rows, picture.columns,
                        input_shape[1], input_shape[2]);
  }
  return to_tensor(image::resized(picture, input_shape[1], input_shape[2])).to(at::kFloat) / 255;
}

at::Tensor read_inputs(const std::string& path, const DatasetInfo& info, const Options& options, std::string* note) {
  if (image::has_image_name(path)) return read_picture(path, info.input_shape, options, note).unsqueeze(0);
  if (is_table(path)) {
    std::vector<std::int64_t> shape = info.input_shape;
    shape.insert(shape.begin(), -1);
    return table_inputs(path, options.table, info).reshape(shape);
  }
  at::Tensor inputs = array_inputs(path);
  if (is_image(inputs.sizes().slice(1))) inputs = padded_if_it_fits(inputs, options.pad, path);
  if (inputs.sizes().slice(1) != at::IntArrayRef(info.input_shape))
    throw DataError(fmt::format("{}: examples of shape [{}], expected [{}] as in training", path,
                                fmt::join(inputs.sizes().slice(1), ", "), fmt::join(info.input_shape, ", ")));
  return inputs.scalar_type() == at::kByte ? inputs.to(at::kFloat) / 255 : inputs.to(at::kFloat);
}

}  // namespace grapes::data
