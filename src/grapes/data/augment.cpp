#include "grapes/data/augment.h"

#include "grapes/base/error.h"
#include "grapes/base/random.h"
#include "grapes/base/text.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace grapes::data {
namespace {

/// Where the pixels of one output image come from: (x, y) from the middle of the image, in pixels,
///   source = [[xx, xy], [yx, yy]] · (x, y) + (x0, y0)
struct Affine {
  float xx, xy, x0, yx, yy, y0;
};

Affine draw_affine(const Augmentation& a, std::int64_t rows, std::int64_t columns, Random& random) {
  constexpr double radians = 3.14159265358979323846 / 180;
  const auto around_zero = [&](double amplitude) { return random.uniform(-1, 1) * amplitude; };
  const double angle = around_zero(a.rotate) * radians;
  const double x0 = around_zero(a.shift) * static_cast<double>(columns);
  const double y0 = around_zero(a.shift) * static_cast<double>(rows);
  const double shear = around_zero(a.shear);
  const double zoom_x = 1 + around_zero(a.zoom), zoom_y = 1 + around_zero(a.zoom);
  // rotation · shear · zoom
  const double c = std::cos(angle), s = std::sin(angle);
  const auto f = [](double x) { return static_cast<float>(x); };
  return {f(c * zoom_x), f((c * shear - s) * zoom_y), f(x0), f(s * zoom_x), f((s * shear + c) * zoom_y), f(y0)};
}

/// The Gaussian filter along one axis of length n as a matrix [n, n]: outside is 0, the weights add up to 1 inside.
at::Tensor gaussian(std::int64_t n, double sigma) {
  const auto reach = static_cast<std::int64_t>(std::llround(4 * sigma));
  double total = 0;
  const auto weight = [&](std::int64_t d) { return std::exp(-0.5 * static_cast<double>(d * d) / (sigma * sigma)); };
  for (std::int64_t d = -reach; d <= reach; ++d) total += weight(d);
  at::Tensor matrix = at::zeros({n, n});
  auto entry = matrix.accessor<float, 2>();
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      if (std::abs(i - j) <= reach) entry[i][j] = static_cast<float>(weight(i - j) / total);
    }
  }
  return matrix;
}

/// The largest whole number <= x; std::floor is a call into the library where the processor's own may not be used.
int floor_int(float x) {
  const int whole = static_cast<int>(x);
  return whole - static_cast<int>(x < static_cast<float>(whole));
}

/// One channel at (x, y), in pixels from the upper left one; 0 outside.
float bilinear(const float* image, int rows, int columns, float x, float y) {
  // Far outside (and beyond what an int holds) there is only the fill.
  const auto width = static_cast<float>(columns), height = static_cast<float>(rows);
  if (!(x > -1 && y > -1 && x < width && y < height)) return 0;
  const int left = floor_int(x), top = floor_int(y);
  const float right_weight = x - static_cast<float>(left), bottom_weight = y - static_cast<float>(top);
  const auto pixel = [&](int column, int row) {
    return column >= 0 && row >= 0 && column < columns && row < rows ? image[row * columns + column] : 0.F;
  };
  return (1 - bottom_weight) * ((1 - right_weight) * pixel(left, top) + right_weight * pixel(left + 1, top)) +
         bottom_weight * ((1 - right_weight) * pixel(left, top + 1) + right_weight * pixel(left + 1, top + 1));
}

/// The row's own stream of one kind of draw.
Random stream(std::uint64_t seed, std::string_view name, std::int64_t row) {
  return Random(stream_seed(seed, name, static_cast<std::uint64_t>(row)));
}

class Augmented final : public Dataset {
 public:
  Augmented(DatasetPtr source, const Augmentation& augmentation)
      : source_(std::move(source)), augmentation_(augmentation) {
    if (augmentation_.elastic == 0) return;
    smooth_rows_ = gaussian(info().input_shape[1], augmentation_.elastic_width);
    smooth_columns_ = gaussian(info().input_shape[2], augmentation_.elastic_width);
  }

  std::int64_t size() const override { return source_->size(); }
  const DatasetInfo& info() const override { return source_->info(); }
  at::Tensor targets() const override { return source_->targets(); }

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    Batch batch = source_->get(rows, seed);
    const at::Tensor numbers = rows.contiguous();
    std::vector<Random> random;
    for (std::int64_t b = 0; b < numbers.size(0); ++b)
      random.push_back(stream(seed, "augment", numbers.data_ptr<std::int64_t>()[b]));
    batch.inputs = transform(batch.inputs.contiguous(), random);
    return batch;
  }

 private:
  /// @return [batch, 2 (x, y), rows, columns] in pixels, or undefined
  at::Tensor displacements(std::vector<Random>& random, std::int64_t rows, std::int64_t columns) const {
    if (augmentation_.elastic == 0) return {};
    at::Tensor noise = at::empty({static_cast<std::int64_t>(random.size()), 2, rows, columns});
    float* out = noise.data_ptr<float>();
    for (Random& generator : random) {
      for (std::int64_t i = 0; i < 2 * rows * columns; ++i) *out++ = static_cast<float>(generator.uniform(-1, 1));
    }
    return at::matmul(at::matmul(smooth_rows_, noise), smooth_columns_).mul_(augmentation_.elastic).contiguous();
  }

  at::Tensor transform(const at::Tensor& images, std::vector<Random>& random) const {
    const std::int64_t channels = images.size(1), rows = images.size(2), columns = images.size(3);
    const std::int64_t area = rows * columns;
    std::vector<Affine> affine;
    for (Random& generator : random) affine.push_back(draw_affine(augmentation_, rows, columns, generator));
    const at::Tensor field = displacements(random, rows, columns);
    at::Tensor result = at::empty_like(images);
    const float middle_x = static_cast<float>(columns - 1) / 2, middle_y = static_cast<float>(rows - 1) / 2;
    at::parallel_for(0, images.size(0), 8, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t b = begin; b < end; ++b) {
        const Affine& a = affine[static_cast<std::size_t>(b)];
        const float* image = images.data_ptr<float>() + b * channels * area;
        const float* shift = field.defined() ? field.data_ptr<float>() + b * 2 * area : nullptr;
        float* out = result.data_ptr<float>() + b * channels * area;
        for (std::int64_t i = 0, row = 0, column = 0; i < area; ++i) {
          const float x = static_cast<float>(column) - middle_x, y = static_cast<float>(row) - middle_y;
          if (++column == columns) {
            column = 0;
            ++row;
          }
          const float from_x = a.xx * x + a.xy * y + a.x0 + (shift ? shift[i] : 0.F) + middle_x;
          const float from_y = a.yx * x + a.yy * y + a.y0 + (shift ? shift[area + i] : 0.F) + middle_y;
          for (std::int64_t c = 0; c < channels; ++c) {
            out[c * area + i] =
                bilinear(image + c * area, static_cast<int>(rows), static_cast<int>(columns), from_x, from_y);
          }
        }
      }
    });
    return result;
  }

  DatasetPtr source_;
  Augmentation augmentation_;
  at::Tensor smooth_rows_, smooth_columns_;
};

/// From where in an image its pixels come, and which of them are hidden.
struct Move {
  std::int64_t down = 0, right = 0;
  bool mirrored = false;
  std::int64_t top = 0, bottom = 0, left = 0, end = 0;  ///< hidden: rows top ... bottom-1, columns left ... end-1
};

Move draw_move(const Augmentation& a, std::int64_t rows, std::int64_t columns, std::uint64_t seed, std::int64_t row) {
  const auto place = [](Random& random, std::int64_t n) {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(n)));
  };
  Move move;
  if (const auto crop = static_cast<std::int64_t>(a.crop); crop > 0) {
    Random random = stream(seed, "crop", row);
    move.down = place(random, 2 * crop + 1) - crop;
    move.right = place(random, 2 * crop + 1) - crop;
  }
  if (a.flip > 0) move.mirrored = stream(seed, "flip", row).uniform() < a.flip;
  if (const auto side = static_cast<std::int64_t>(a.cutout); side > 0) {
    Random random = stream(seed, "cutout", row);
    const std::int64_t top = place(random, rows) - side / 2, left = place(random, columns) - side / 2;
    move.top = std::max<std::int64_t>(top, 0);
    move.bottom = std::min(top + side, rows);
    move.left = std::max<std::int64_t>(left, 0);
    move.end = std::min(left + side, columns);
  }
  return move;
}

/// One channel: out(row, column) = image(row + down, column + right), 0 outside, then mirrored.
void copy_moved(const float* image, float* out, std::int64_t rows, std::int64_t columns, const Move& move) {
  // Columns of the result that lie inside of the image.
  const std::int64_t first = std::clamp<std::int64_t>(-move.right, 0, columns);
  const std::int64_t last = std::clamp<std::int64_t>(columns - move.right, first, columns);
  for (std::int64_t row = 0; row < rows; ++row, out += columns) {
    const std::int64_t from = row + move.down;
    if (from < 0 || from >= rows) {
      std::fill_n(out, columns, 0.F);
      continue;
    }
    std::fill(out, out + first, 0.F);
    const float* begin = image + from * columns + first + move.right;
    std::copy(begin, begin + (last - first), out + first);
    std::fill(out + last, out + columns, 0.F);
    if (move.mirrored) std::reverse(out, out + columns);
  }
}

/// Moved by whole pixels, mirrored, and a square of them hidden.
class Moved final : public Dataset {
 public:
  Moved(DatasetPtr source, const Augmentation& augmentation, const at::Tensor& hidden)
      : source_(std::move(source)), augmentation_(augmentation) {
    if (hidden.defined()) hidden_ = hidden.to(at::kFloat).expand(info().input_shape).contiguous();
  }

  std::int64_t size() const override { return source_->size(); }
  const DatasetInfo& info() const override { return source_->info(); }
  at::Tensor targets() const override { return source_->targets(); }

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    Batch batch = source_->get(rows, seed);
    const at::Tensor numbers = rows.contiguous(), images = batch.inputs.contiguous();
    const std::int64_t channels = images.size(1), height = images.size(2), width = images.size(3);
    at::Tensor result = at::empty_like(images);
    const auto* from = images.data_ptr<float>();
    auto* to = result.data_ptr<float>();
    for (std::int64_t b = 0; b < images.size(0); ++b) {
      const Move move = draw_move(augmentation_, height, width, seed, numbers.data_ptr<std::int64_t>()[b]);
      for (std::int64_t c = 0; c < channels; ++c, from += height * width, to += height * width) {
        copy_moved(from, to, height, width, move);
        hide(to, c, height, width, move);
      }
    }
    batch.inputs = std::move(result);
    return batch;
  }

 private:
  void hide(float* image, std::int64_t channel, std::int64_t height, std::int64_t width, const Move& move) const {
    const float* hidden = hidden_.defined() ? hidden_.data_ptr<float>() + channel * height * width : nullptr;
    for (std::int64_t row = move.top; row < move.bottom; ++row) {
      const std::int64_t begin = row * width + move.left, end = row * width + move.end;
      if (hidden == nullptr)
        std::fill(image + begin, image + end, 0.F);
      else
        std::copy(hidden + begin, hidden + end, image + begin);
    }
  }

  DatasetPtr source_;
  Augmentation augmentation_;
  at::Tensor hidden_;  // of an example's shape, or undefined: 0
};

struct Part {
  std::string name;
  double Augmentation::*amplitude;
  double most;  ///< beyond it the image would turn over or vanish
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
  if (!value || !(*value >= least && *value <= most)) {
    throw UsageError("--augment " + part + ": '" + std::string(text) + "', expected a number from " + shortest(least) +
                     " to " + shortest(most));
  }
  return *value;
}

}  // namespace

bool Augmentation::bilinear() const { return rotate != 0 || shift != 0 || shear != 0 || zoom != 0 || elastic != 0; }

bool Augmentation::whole() const { return crop != 0 || flip != 0 || cutout != 0; }

Augmentation parse_augmentation(const std::string& text) {
  Augmentation augmentation;
  if (text.empty()) return augmentation;
  std::vector<std::string> names;
  for (const Part& part : parts()) names.push_back(part.name);
  for (const std::string& piece : split(text, ',')) {
    const std::vector<std::string> sides = split(trim(piece), '=');
    const auto part = std::find_if(parts().begin(), parts().end(), [&](const Part& p) { return p.name == sides[0]; });
    if (part == parts().end()) {
      throw UsageError("--augment '" + piece + "'" + did_you_mean(sides[0], names) + ": expected NAME=AMPLITUDE with " +
                       join(names, ", "));
    }
    if (sides.size() != 2) throw UsageError("--augment '" + piece + "': expected " + part->name + "=AMPLITUDE");
    std::vector<std::string> values = split(sides[1], ':');
    if (part->name == "elastic" && values.size() == 2) {
      augmentation.elastic_width = amplitude("elastic width", values[1], 0.1, 100);
      values.pop_back();
    }
    if (values.size() != 1) throw UsageError("--augment '" + piece + "': too many colons");
    const double value = amplitude(part->name, values[0], 0, part->most);
    if (part->pixels && value != std::floor(value))
      throw UsageError("--augment " + part->name + ": '" + values[0] + "', expected a whole number of pixels");
    augmentation.*(part->amplitude) = value;
  }
  return augmentation;
}

DatasetPtr augmented(DatasetPtr source, const Augmentation& augmentation, const at::Tensor& hidden) {
  if (augmentation.none()) return source;
  const std::vector<std::int64_t>& shape = source->info().input_shape;
  TORCH_CHECK(shape.size() == 3, "augmented: examples must be images, [channels, rows, columns]");
  const auto least = static_cast<double>(std::min(shape[1], shape[2]));
  for (const Part& part : parts()) {
    if (const double value = augmentation.*(part.amplitude); part.pixels && value > least)
      throw UsageError("--augment " + part.name + "=" + shortest(value) + ": the images are only " +
                       std::to_string(shape[1]) + " x " + std::to_string(shape[2]) + " pixels");
  }
  if (augmentation.bilinear()) source = std::make_shared<Augmented>(std::move(source), augmentation);
  if (augmentation.whole()) source = std::make_shared<Moved>(std::move(source), augmentation, hidden);
  return source;
}

}  // namespace grapes::data
