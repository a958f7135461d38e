#include "grapes/data/augment.h"

#include "grapes/base/error.h"
#include "grapes/base/random.h"
#include "grapes/base/text.h"
#include "grapes/data/transform.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace grapes::data {
namespace {

/// The random stream of a row for one kind of draw.
Random stream(std::uint64_t seed, std::string_view name, std::int64_t row) {
  return Random(stream_seed(seed, name, static_cast<std::uint64_t>(row)));
}

/// The Gaussian filter along an axis of length n as a matrix [n, n]. Values outside are 0; weights sum to 1 inside.
at::Tensor gaussian(std::int64_t n, double sigma) {
  const auto reach = static_cast<std::int64_t>(std::llround(4 * sigma));
  const auto weight = [&](const at::Tensor& d) {
    const at::Tensor distance = d.to(at::kDouble);
    return (distance.square() / (-2 * sigma * sigma)).exp() * distance.abs().le(static_cast<double>(reach));
  };
  const at::Tensor place = at::arange(n, at::kLong);
  return (weight(place.unsqueeze(1) - place) / weight(at::arange(-reach, reach + 1, at::kLong)).sum()).to(at::kFloat);
}

/// Rotation, shift, shear, zoom and elastic deformation.
class Warped final : public Decorator {
 public:
  Warped(DatasetPtr source, const Augmentation& augmentation)
      : Decorator(std::move(source)), augmentation_(augmentation) {
    if (augmentation_.elastic == 0) return;
    smooth_rows_ = gaussian(info_.input_shape[1], augmentation_.elastic_width);
    smooth_columns_ = gaussian(info_.input_shape[2], augmentation_.elastic_width);
  }

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    Batch batch = source_->get(rows, seed);
    const std::int64_t n = rows.size(0), height = batch.inputs.size(2), width = batch.inputs.size(3);
    const at::Tensor numbers = rows.contiguous(), positions = at::empty({n, height, width, 2});
    for (std::int64_t b = 0; b < n; ++b) {
      Random random = stream(seed, "augment", numbers.data_ptr<std::int64_t>()[b]);
      draw_positions(random, height, width, positions.data_ptr<float>() + b * height * width * 2);
    }
    batch.inputs = sampled(batch.inputs, positions);
    return batch;
  }

 private:
  /// Computes where the pixels of one image come from. With (x, y) from its center, in pixels:
  ///   [[xx, xy], [yx, yy]] · (x, y) + (x0, y0) + displacement(x, y)
  /// @param out  [rows, columns, 2]
  void draw_positions(Random& random, std::int64_t rows, std::int64_t columns, float* out) const {
    constexpr double radians = 3.14159265358979323846 / 180;
    const auto around_zero = [&](double amplitude) { return random.uniform(-1, 1) * amplitude; };
    const double angle = around_zero(augmentation_.rotate) * radians;
    const double x0 = around_zero(augmentation_.shift) * static_cast<double>(columns);
    const double y0 = around_zero(augmentation_.shift) * static_cast<double>(rows);
    const double shear = around_zero(augmentation_.shear);
    const double zoom_x = 1 + around_zero(augmentation_.zoom), zoom_y = 1 + around_zero(augmentation_.zoom);
    const double c = std::cos(angle), s = std::sin(angle);  // rotation · shear · zoom
    const auto xx = static_cast<float>(c * zoom_x), xy = static_cast<float>((c * shear - s) * zoom_y);
    const auto yx = static_cast<float>(s * zoom_x), yy = static_cast<float>((s * shear + c) * zoom_y);
    const float middle_x = static_cast<float>(columns - 1) / 2, middle_y = static_cast<float>(rows - 1) / 2;
    const float from_x = static_cast<float>(x0) + middle_x, from_y = static_cast<float>(y0) + middle_y;
    const at::Tensor field = augmentation_.elastic == 0 ? at::Tensor() : displacement(random, rows, columns);
    const float* bend = field.defined() ? field.data_ptr<float>() : nullptr;
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t column = 0; column < columns; ++column) {
        const float x = static_cast<float>(column) - middle_x, y = static_cast<float>(row) - middle_y;
        *out++ = xx * x + xy * y + from_x + (bend ? bend[2 * row * columns + column] : 0.F);
        *out++ = yx * x + yy * y + from_y + (bend ? bend[(2 * row + 1) * columns + column] : 0.F);
      }
  }

  /// Smoothed uniform noise. It is computed per image, because the bits of a product may depend on its size.
  /// @return [rows, 2 (x, y), columns] in pixels
  at::Tensor displacement(Random& random, std::int64_t rows, std::int64_t columns) const {
    const at::Tensor noise = at::empty({rows, 2 * columns});
    auto* out = noise.data_ptr<float>();
    for (std::int64_t axis = 0; axis < 2; ++axis)
      for (std::int64_t row = 0; row < rows; ++row)
        for (std::int64_t column = 0; column < columns; ++column)
          out[(2 * row + axis) * columns + column] = static_cast<float>(random.uniform(-1, 1));
    return smooth_rows_.mm(noise).view({2 * rows, columns}).mm(smooth_columns_).mul_(augmentation_.elastic);
  }

  Augmentation augmentation_;
  at::Tensor smooth_rows_, smooth_columns_;
};

/// Crop, flip and cutout.
class Moved final : public Decorator {
 public:
  Moved(DatasetPtr source, const Augmentation& augmentation, const at::Tensor& hidden)
      : Decorator(std::move(source)), augmentation_(augmentation) {
    hidden_ = (hidden.defined() ? hidden.to(at::kFloat) : at::zeros({})).expand(info_.input_shape).contiguous();
  }

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    Batch batch = source_->get(rows, seed);
    const at::Tensor numbers = rows.contiguous(), images = batch.inputs.contiguous();
    batch.inputs = at::empty_like(images);
    const std::int64_t size = hidden_.numel();
    for (std::int64_t b = 0; b < rows.size(0); ++b)
      move(images.data_ptr<float>() + b * size, batch.inputs.data_ptr<float>() + b * size, seed,
           numbers.data_ptr<std::int64_t>()[b]);
    return batch;
  }

 private:
  /// Transforms one image, [channels, rows, columns].
  void move(const float* image, float* out, std::uint64_t seed, std::int64_t number) const {
    const auto below = [](Random& random, std::int64_t n) {
      return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(n)));
    };
    const std::int64_t channels = info_.input_shape[0], height = info_.input_shape[1], width = info_.input_shape[2];
    const auto crop = static_cast<std::int64_t>(augmentation_.crop);
    const auto side = static_cast<std::int64_t>(augmentation_.cutout);
    Random cropping = stream(seed, "crop", number), hiding = stream(seed, "cutout", number);
    const std::int64_t down = below(cropping, 2 * crop + 1) - crop, right = below(cropping, 2 * crop + 1) - crop;
    const std::int64_t top = below(hiding, height) - side / 2, left = below(hiding, width) - side / 2;
    const bool mirrored = stream(seed, "flip", number).uniform() < augmentation_.flip;
    // Columns of the output before the flip that lie in the image, and columns that are hidden.
    const std::int64_t begin = std::clamp<std::int64_t>(-right, 0, width);
    const std::int64_t end = std::clamp<std::int64_t>(width - right, begin, width);
    const std::int64_t hide_begin = std::max<std::int64_t>(left, 0), hide_end = std::min(left + side, width);
    const float* hidden = hidden_.data_ptr<float>();
    for (std::int64_t c = 0; c < channels; ++c, image += height * width)
      for (std::int64_t row = 0; row < height; ++row, out += width, hidden += width) {
        std::fill_n(out, width, 0.F);
        if (row + down >= 0 && row + down < height)
          std::copy_n(image + (row + down) * width + begin + right, end - begin, out + begin);
        if (mirrored) std::reverse(out, out + width);
        if (row >= top && row < top + side) std::copy(hidden + hide_begin, hidden + hide_end, out + hide_begin);
      }
  }

  const Augmentation augmentation_;
  at::Tensor hidden_;  // has the shape of an example
};

struct Part {
  std::string name;
  double Augmentation::*amplitude;
  double most;  ///< larger values would turn the image over or make it vanish
  bool pixels = false;
};
const std::vector<Part>& parts() {
  static const std::vector<Part> table = {
      {"rotate", &Augmentation::rotate, 180},    {"shift", &Augmentation::shift, 1},
      {"shear", &Augmentation::shear, 2},        {"zoom", &Augmentation::zoom, 0.9},
      {"elastic", &Augmentation::elastic, 1000}, {"crop", &Augmentation::crop, 1000, true},
      {"flip", &Augmentation::flip, 1},          {"cutout", &Augmentation::cutout, 1000, true}};
  return table;
}

double amplitude(const std::string& part, std::string_view text, double least, double most) {
  const std::optional<double> value = to_double(text);
  if (!value || !(*value >= least && *value <= most))
    throw UsageError(fmt::format("{}={}: expected a number from {} to {}", part, text, least, most));
  return *value;
}

}  // namespace

Augmentation parse_augmentation(const std::string& text) {
  Augmentation augmentation;
  if (text.empty()) return augmentation;
  std::vector<std::string> names;
  for (const Part& part : parts()) names.push_back(part.name);
  for (const std::string& piece : split(text, ',')) {
    const std::vector<std::string> sides = split(trim(piece), '=');
    const auto part = std::find_if(parts().begin(), parts().end(), [&](const Part& p) { return p.name == sides[0]; });
    if (part == parts().end())
      throw UsageError(fmt::format("'{}'{}: expected NAME=AMPLITUDE with {}", piece, did_you_mean(sides[0], names),
                                   fmt::join(names, ", ")));
    if (sides.size() != 2) throw UsageError(fmt::format("'{}': expected {}=AMPLITUDE", piece, part->name));
    std::vector<std::string> values = split(sides[1], ':');
    if (part->name == "elastic" && values.size() == 2) {
      augmentation.elastic_width = amplitude("elastic width", values[1], 0.1, 100);
      values.pop_back();
    }
    if (values.size() != 1) throw UsageError(fmt::format("'{}': too many colons", piece));
    const double value = amplitude(part->name, values[0], 0, part->most);
    if (part->pixels && value != std::floor(value))
      throw UsageError(fmt::format("{}={}: expected a whole number of pixels", part->name, values[0]));
    augmentation.*(part->amplitude) = value;
  }
  return augmentation;
}

std::string to_text(const Augmentation& augmentation) {
  std::vector<std::string> pieces;
  for (const Part& part : parts()) {
    if (augmentation.*(part.amplitude) == 0) continue;
    pieces.push_back(fmt::format("{}={}", part.name, augmentation.*(part.amplitude)));
    if (part.name == "elastic" && augmentation.elastic_width != Augmentation().elastic_width)
      pieces.back() += fmt::format(":{}", augmentation.elastic_width);
  }
  return join(pieces, ",");
}

DatasetPtr augmented(DatasetPtr source, const Augmentation& augmentation, const at::Tensor& hidden) {
  if (augmentation.none()) return source;
  const std::vector<std::int64_t>& shape = source->info().input_shape;
  TORCH_CHECK(shape.size() == 3, "augmented: examples must be images, [channels, rows, columns]");
  const auto least = static_cast<double>(std::min(shape[1], shape[2]));
  for (const Part& part : parts())
    if (const double value = augmentation.*(part.amplitude); part.pixels && value > least)
      throw UsageError("augment",
                       fmt::format("{}={}: the images are only {} x {} pixels", part.name, value, shape[1], shape[2]));
  if (augmentation.bilinear()) source = std::make_shared<Warped>(std::move(source), augmentation);
  if (augmentation.whole()) source = std::make_shared<Moved>(std::move(source), augmentation, hidden);
  return source;
}

}  // namespace grapes::data
