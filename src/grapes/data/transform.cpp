#include "grapes/data/transform.h"

#include "grapes/base/error.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

namespace grapes::data {
namespace {

std::int64_t width_of(const DatasetInfo& info) {
  return std::accumulate(info.input_shape.begin(), info.input_shape.end(), std::int64_t{1}, std::multiplies<>());
}

class Permuted final : public Dataset {
 public:
  Permuted(DatasetPtr source, at::Tensor order) : source_(std::move(source)), order_(std::move(order)) {}

  std::int64_t size() const override { return source_->size(); }
  const DatasetInfo& info() const override { return source_->info(); }
  at::Tensor targets() const override { return source_->targets(); }

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    Batch batch = source_->get(rows, seed);
    const at::Tensor flat = batch.inputs.reshape({-1, order_.size(0)});
    batch.inputs = flat.index_select(1, order_).view(batch.inputs.sizes());
    return batch;
  }

 private:
  DatasetPtr source_;
  at::Tensor order_;
};

/// Where a pixel takes its value from: up to four pixels of the source.
struct Taps {
  std::array<std::int64_t, 4> from{};
  std::array<float, 4> weight{};
  float outside = 1;  ///< what is left for the background
};

class Rotated final : public Dataset {
 public:
  Rotated(DatasetPtr source, double degrees, std::vector<float> background)
      : source_(std::move(source)), background_(std::move(background)) {
    const std::int64_t rows = info().input_shape[1], columns = info().input_shape[2];
    const double angle = degrees * std::acos(-1.0) / 180, cosine = std::cos(angle), sine = std::sin(angle);
    const double middle_x = static_cast<double>(columns - 1) / 2, middle_y = static_cast<double>(rows - 1) / 2;
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t column = 0; column < columns; ++column) {
        const double x = static_cast<double>(column) - middle_x, y = static_cast<double>(row) - middle_y;
        taps_.push_back(taps(middle_x + x * cosine - y * sine, middle_y + x * sine + y * cosine, rows, columns));
      }
  }

  std::int64_t size() const override { return source_->size(); }
  const DatasetInfo& info() const override { return source_->info(); }
  at::Tensor targets() const override { return source_->targets(); }

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    Batch batch = source_->get(rows, seed);
    const at::Tensor pictures = batch.inputs.contiguous();
    at::Tensor turned = at::empty_like(pictures);
    const auto channels = static_cast<std::int64_t>(background_.size());
    const auto area = static_cast<std::int64_t>(taps_.size());
    for (std::int64_t plane = 0; plane < pictures.size(0) * channels; ++plane) {
      const float* from = pictures.data_ptr<float>() + plane * area;
      float* into = turned.data_ptr<float>() + plane * area;
      const float background = background_[static_cast<std::size_t>(plane % channels)];
      for (const Taps& t : taps_)
        *into++ = t.weight[0] * from[t.from[0]] + t.weight[1] * from[t.from[1]] + t.weight[2] * from[t.from[2]] +
                  t.weight[3] * from[t.from[3]] + t.outside * background;
    }
    batch.inputs = turned;
    return batch;
  }

 private:
  static Taps taps(double x, double y, std::int64_t rows, std::int64_t columns) {
    // Whole pixels stay whole: the sine of 180 degrees is not quite 0.
    const auto whole = [](double v) { return std::abs(v - std::round(v)) < 1e-6 ? std::round(v) : v; };
    x = whole(x);
    y = whole(y);
    const double left = std::floor(x), top = std::floor(y);
    Taps result;
    std::size_t k = 0;
    for (const int down : {0, 1})
      for (const int right : {0, 1}) {
        const auto column = static_cast<std::int64_t>(left) + right, row = static_cast<std::int64_t>(top) + down;
        const double weight = (right ? x - left : 1 - (x - left)) * (down ? y - top : 1 - (y - top));
        if (column >= 0 && row >= 0 && column < columns && row < rows) {
          result.from.at(k) = row * columns + column;
          result.weight.at(k) = static_cast<float>(weight);
          result.outside -= static_cast<float>(weight);
        }
        ++k;
      }
    return result;
  }

  DatasetPtr source_;
  std::vector<float> background_;  // per channel
  std::vector<Taps> taps_;         // per pixel
};

class OfClasses final : public Dataset {
 public:
  OfClasses(DatasetPtr some, const std::vector<std::int64_t>& answers) : some_(std::move(some)) {
    const DatasetInfo& all = some_->info();
    info_ = all;
    info_.outputs = static_cast<std::int64_t>(answers.size());
    info_.classes.clear();
    place_ = at::full({all.outputs}, -1, at::kLong);
    for (std::size_t k = 0; k < answers.size(); ++k) {
      place_[answers[k]] = static_cast<std::int64_t>(k);
      info_.classes.push_back(all.classes.at(static_cast<std::size_t>(answers[k])));
    }
  }

  std::int64_t size() const override { return some_->size(); }
  const DatasetInfo& info() const override { return info_; }
  at::Tensor targets() const override { return place_.index_select(0, some_->targets()); }

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    Batch batch = some_->get(rows, seed);
    batch.targets = place_.index_select(0, batch.targets);
    return batch;
  }

 private:
  DatasetPtr some_;
  DatasetInfo info_;
  at::Tensor place_;  // [classes of the source] -> class here, or -1
};

}  // namespace

DatasetPtr permuted(DatasetPtr source, at::Tensor order) {
  const std::int64_t width = width_of(source->info());
  TORCH_CHECK(order.dim() == 1 && order.scalar_type() == at::kLong && order.size(0) == width &&
                  std::get<0>(order.sort()).equal(at::arange(width, at::kLong)),
              "permuted: order must be a permutation of 0 ... ", width - 1, "; got ", order.sizes());
  return std::make_shared<Permuted>(std::move(source), order.contiguous());
}

DatasetPtr rotated(DatasetPtr source, double degrees, const Normalization& normalization) {
  const DatasetInfo& info = source->info();
  if (info.input_shape.size() != 3 || info.sequence)
    throw UsageError("only pictures can be rotated, which these examples are not");
  std::vector<std::int64_t> shape = info.input_shape;
  shape.insert(shape.begin(), 1);
  const at::Tensor empty = normalization(at::zeros(shape))[0].flatten(1);
  std::vector<float> background;
  for (std::int64_t c = 0; c < empty.size(0); ++c) {
    background.push_back(empty[c][0].item<float>());
    if (!empty[c].eq(background.back()).all().item<bool>())
      throw UsageError(
          "rotated pictures need one background for all pixels of a channel: normalize takes unit, channel or "
          "zero-mean with them");
  }
  return std::make_shared<Rotated>(std::move(source), degrees, std::move(background));
}

DatasetPtr of_classes(const DatasetPtr& source, const std::vector<std::int64_t>& classes,
                      const std::vector<std::int64_t>& answers) {
  const at::Tensor targets = source->targets();
  TORCH_CHECK(source->info().problem == ProblemKind::classification, "of_classes: the source must have classes");
  at::Tensor wanted = at::zeros({source->info().outputs}, at::kBool);
  for (const std::int64_t c : classes) wanted[c] = true;
  const at::Tensor rows = wanted.index_select(0, targets).nonzero().flatten();
  return std::make_shared<OfClasses>(subset(source, rows), answers);
}

}  // namespace grapes::data
