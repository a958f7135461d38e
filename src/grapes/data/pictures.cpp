#include "grapes/data/pictures.h"

#include "grapes/base/file.h"
#include "grapes/base/parallel.h"
#include "grapes/base/random.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <utility>

namespace grapes::data {
namespace {

/// Writes pixels channel by channel, as networks take them.
template <class Value>
void put_channels(const image::Raster& raster, Value scale, Value* into) {
  for (std::int64_t c = 0; c < raster.channels; ++c) {
    const std::uint8_t* from = raster.pixels.data() + c;
    for (std::int64_t i = 0; i < raster.rows * raster.columns; ++i, from += raster.channels)
      *into++ = static_cast<Value>(static_cast<Value>(*from) * scale);
  }
}

class Pictures final : public Dataset {
 public:
  Pictures(std::shared_ptr<const PictureFiles> files, at::Tensor targets, DatasetInfo info, bool random_crops)
      : files_(std::move(files)), targets_(std::move(targets)), info_(std::move(info)), random_crops_(random_crops) {}

  std::int64_t size() const override { return targets_.size(0); }
  const DatasetInfo& info() const override { return info_; }
  at::Tensor targets() const override { return targets_; }

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    const at::Tensor numbers = rows.contiguous();
    std::vector<std::int64_t> shape = info_.input_shape;
    shape.insert(shape.begin(), rows.size(0));
    at::Tensor inputs = at::empty(shape, at::kFloat);
    const std::int64_t* number = numbers.data_ptr<std::int64_t>();
    auto* into = inputs.data_ptr<float>();
    const std::int64_t width = shape[1] * shape[2] * shape[3];
    for_each_number(rows.size(0), files_->threads(), [&](std::int64_t b) {
      Random random(stream_seed(seed, "random-crop", static_cast<std::uint64_t>(number[b])));
      files_->with(number[b], [&](const image::Raster& scaled) {
        put_channels(cropped_picture(scaled, files_->options(), random_crops_ ? &random : nullptr), 1.0F / 255,
                     into + b * width);
      });
    });
    return {std::move(inputs), targets_.index_select(0, rows)};
  }

 private:
  const std::shared_ptr<const PictureFiles> files_;
  const at::Tensor targets_;
  const DatasetInfo info_;
  const bool random_crops_;
};

}  // namespace

PictureFiles::PictureFiles(std::vector<std::filesystem::path> paths, bool color, PictureOptions options, bool hold)
    : paths_(std::move(paths)), color_(color), options_(options), threads_(at::get_num_threads()) {
  if (!hold) return;
  std::vector<image::Raster> all(paths_.size());
  for_each_number(static_cast<std::int64_t>(all.size()), threads_,
                  [&](std::int64_t i) { all[static_cast<std::size_t>(i)] = read(i); });
  held_ = std::move(all);
}

image::Raster PictureFiles::read(std::int64_t number) const {
  const std::filesystem::path& path = paths_.at(static_cast<std::size_t>(number));
  return scaled_picture(read_file(path), color_, options_, path.string());
}

DatasetPtr pictures(std::shared_ptr<const PictureFiles> files, at::Tensor targets, DatasetInfo info,
                    bool random_crops) {
  return std::make_shared<Pictures>(std::move(files), std::move(targets), std::move(info), random_crops);
}

at::Tensor to_tensor(const image::Raster& raster) {
  at::Tensor pixels = at::empty({raster.channels, raster.rows, raster.columns}, at::kByte);
  put_channels<std::uint8_t>(raster, 1, pixels.data_ptr<std::uint8_t>());
  return pixels;
}

image::Raster to_raster(const at::Tensor& pixels) {
  TORCH_CHECK(pixels.dim() == 3 && (pixels.size(0) == 1 || pixels.size(0) == 3) && pixels.scalar_type() == at::kByte,
              "to_raster: pixels must be [1 or 3, rows, columns] uint8; got ", pixels.sizes());
  const at::Tensor rows = pixels.permute({1, 2, 0}).contiguous();
  const auto* begin = rows.data_ptr<std::uint8_t>();
  return {pixels.size(1), pixels.size(2), pixels.size(0), {begin, begin + rows.numel()}};
}

}  // namespace grapes::data
