#include "grapes/data/transform.h"

#include "grapes/base/error.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/grid_sampler_2d.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/util/accumulate.h>
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <numbers>
#include <optional>
#include <string>
#include <utility>

namespace grapes::data {
namespace {

class Padded final : public Decorator {
 public:
  Padded(DatasetPtr source, std::int64_t side, const std::string& name)
      : Decorator(std::move(source)), side_(side), name_(name) {
    info_.input_shape = padded(at::zeros(info_.input_shape), side_, name_).sizes().vec();
  }
  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    Batch batch = source_->get(rows, seed);
    batch.inputs = padded(batch.inputs, side_, name_);
    return batch;
  }

 private:
  const std::int64_t side_;
  const std::string name_;
};

class Permuted final : public Decorator {
 public:
  Permuted(DatasetPtr source, at::Tensor order) : Decorator(std::move(source)), order_(std::move(order)) {}

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    Batch batch = source_->get(rows, seed);
    const at::Tensor inputs = batch.inputs.contiguous();
    batch.inputs = at::empty_like(inputs);
    const std::int64_t width = order_.size(0), n = inputs.numel() / width;
    const auto* order = order_.data_ptr<std::int64_t>();
    const auto* from = inputs.data_ptr<float>();
    auto* into = batch.inputs.data_ptr<float>();
    // at::index_select along the last dimension takes ten times as long.
    for (std::int64_t b = 0; b < n; ++b, from += width, into += width)
      for (std::int64_t i = 0; i < width; ++i) into[i] = from[order[i]];
    return batch;
  }

 private:
  const at::Tensor order_;
};

class Rotated final : public Decorator {
 public:
  /// @param degrees     [1], or one per example
  /// @param background  [channels, 1, 1]
  Rotated(DatasetPtr source, at::Tensor degrees, at::Tensor background)
      : Decorator(std::move(source)), degrees_(std::move(degrees)), background_(std::move(background)) {
    if (degrees_.size(0) == 1) same_ = turn(degrees_);
  }

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    Batch batch = source_->get(rows, seed);
    const Turn turned = same_ ? *same_ : turn(degrees_.index_select(0, rows));
    batch.inputs = sampled(batch.inputs, turned.positions);
    if (turned.outside.defined()) batch.inputs.add_(turned.outside);
    return batch;
  }

 private:
  struct Turn {
    at::Tensor positions;  ///< source position of each pixel, [angles, rows, columns, 2]
    at::Tensor outside;    ///< contribution of the background, [angles, channels, rows, columns]; undefined: 0
  };
  Turn turn(const at::Tensor& degrees) const {
    const std::int64_t angles = degrees.size(0), rows = info_.input_shape[1], columns = info_.input_shape[2];
    const double middle_x = static_cast<double>(columns - 1) / 2, middle_y = static_cast<double>(rows - 1) / 2;
    // Keeps whole-number positions exact: the sine of 180 degrees is not exactly 0.
    const auto whole = [](double position) {
      const double nearest = std::nearbyint(position);
      return static_cast<float>(std::abs(position - nearest) < 1e-6 ? nearest : position);
    };
    Turn turned{at::empty({angles, rows, columns, 2})};
    auto* to = turned.positions.data_ptr<float>();
    for (std::int64_t n = 0; n < angles; ++n) {
      const double angle = degrees.data_ptr<double>()[n] * std::numbers::pi / 180;
      const double cosine = std::cos(angle), sine = std::sin(angle);
      for (std::int64_t row = 0; row < rows; ++row)
        for (std::int64_t column = 0; column < columns; ++column) {
          const double x = static_cast<double>(column) - middle_x, y = static_cast<double>(row) - middle_y;
          *to++ = whole(x * cosine - y * sine + middle_x);
          *to++ = whole(x * sine + y * cosine + middle_y);
        }
    }
    if (background_.ne(0).any().item<bool>())
      turned.outside = (1 - sampled(at::ones({angles, 1, rows, columns}), turned.positions)) * background_;
    return turned;
  }

  const at::Tensor degrees_, background_;
  std::optional<Turn> same_;  ///< of all examples, if they have one angle
};

class OfClasses final : public Decorator {
 public:
  OfClasses(DatasetPtr some, const std::vector<std::int64_t>& answers) : Decorator(std::move(some)) {
    const DatasetInfo& all = source_->info();
    info_.outputs = static_cast<std::int64_t>(answers.size());
    info_.classes.clear();
    place_ = at::full({all.outputs}, -1, at::kLong);
    for (std::size_t k = 0; k < answers.size(); ++k) {
      place_[answers[k]] = static_cast<std::int64_t>(k);
      info_.classes.push_back(all.classes.at(static_cast<std::size_t>(answers[k])));
    }
  }

  at::Tensor targets() const override { return place_.index_select(0, source_->targets()); }

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    Batch batch = source_->get(rows, seed);
    batch.targets = place_.index_select(0, batch.targets);
    return batch;
  }

 private:
  at::Tensor place_;  // [classes of the source] -> class here, or -1
};

}  // namespace

at::Tensor padded(const at::Tensor& images, std::int64_t side, const std::string& name) {
  const std::int64_t rows = images.size(-2), columns = images.size(-1), below = side - rows, right = side - columns;
  if (below < 0 || right < 0)
    throw UsageError("pad", fmt::format("{}: the images of {} are larger, {} x {}", side, name, rows, columns));
  return at::constant_pad_nd(images, {right / 2, right - right / 2, below / 2, below - below / 2});
}

DatasetPtr padded(DatasetPtr source, std::int64_t side, const std::string& name) {
  return std::make_shared<Padded>(std::move(source), side, name);
}

at::Tensor sampled(const at::Tensor& images, const at::Tensor& positions) {
  // The sampler scales a side to -1 ... 1. If the side is a power of two, whole-number positions are converted exactly.
  const auto side = [](std::int64_t n) { return std::bit_ceil(static_cast<std::uint64_t>(n)); };
  const std::uint64_t height = side(images.size(2)), width = side(images.size(3));
  const float scale_x = 2 / static_cast<float>(width), scale_y = 2 / static_cast<float>(height);
  at::Tensor grid = at::empty_like(positions);
  const auto* position = positions.data_ptr<float>();
  auto* out = grid.data_ptr<float>();
  for (std::int64_t i = 0; i < grid.numel(); i += 2) {
    out[i] = position[i] * scale_x + (scale_x / 2 - 1);
    out[i + 1] = position[i + 1] * scale_y + (scale_y / 2 - 1);
  }
  const at::Tensor large = at::constant_pad_nd(images, {0, static_cast<std::int64_t>(width) - images.size(3), 0,
                                                        static_cast<std::int64_t>(height) - images.size(2)});
  constexpr std::int64_t bilinear = 0, zeros = 0;
  return at::grid_sampler_2d(large, grid.expand({images.size(0), -1, -1, -1}), bilinear, zeros,
                             /*align_corners=*/false);
}

DatasetPtr permuted(DatasetPtr source, at::Tensor order) {
  const std::int64_t width = c10::multiply_integers(source->info().input_shape);
  TORCH_CHECK(order.dim() == 1 && order.scalar_type() == at::kLong && order.size(0) == width &&
                  std::get<0>(order.sort()).equal(at::arange(width, at::kLong)),
              "permuted: order must be a permutation of 0 ... ", width - 1, "; got ", order.sizes());
  return std::make_shared<Permuted>(std::move(source), order.contiguous());
}

DatasetPtr rotated(DatasetPtr source, const at::Tensor& degrees, const Normalization& normalization) {
  const DatasetInfo& info = source->info();
  if (info.input_shape.size() != 3 || info.sequence)
    throw UsageError("only images can be rotated; the examples are not images");
  std::vector<std::int64_t> shape = info.input_shape;
  shape.insert(shape.begin(), 1);
  const at::Tensor empty = normalization(at::zeros(shape))[0], background = empty.narrow(1, 0, 1).narrow(2, 0, 1);
  if (!empty.eq(background).all().item<bool>())
    throw UsageError(
        "normalize",
        "must be unit, channel or zero-mean: rotated images need one background for all pixels of a channel");
  const at::Tensor angles = degrees.to(at::kDouble).flatten();
  TORCH_CHECK_VALUE(angles.size(0) == 1 || angles.size(0) == source->size(), "rotated: ", angles.size(0),
                    " angles, expected one, or one for each of ", source->size(), " examples");
  return std::make_shared<Rotated>(std::move(source), angles, background);
}

DatasetPtr rotated(DatasetPtr source, double degrees, const Normalization& normalization) {
  return rotated(std::move(source), at::full({1}, degrees, at::kDouble), normalization);
}

DatasetPtr of_classes(const DatasetPtr& source, const std::vector<std::int64_t>& classes,
                      const std::vector<std::int64_t>& answers) {
  TORCH_CHECK(source->info().problem == ProblemKind::classification, "of_classes: the source must have classes");
  at::Tensor wanted = at::zeros({source->info().outputs}, at::kBool);
  for (const std::int64_t c : classes) wanted[c] = true;
  const at::Tensor rows = wanted.index_select(0, source->targets()).nonzero().flatten();
  return std::make_shared<OfClasses>(subset(source, rows), answers);
}

}  // namespace grapes::data
