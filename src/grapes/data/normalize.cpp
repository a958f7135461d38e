#include "grapes/data/normalize.h"

#include "grapes/base/error.h"
#include "grapes/base/table.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <c10/util/accumulate.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace grapes::data {
namespace {

class Normalized final : public Decorator {
 public:
  Normalized(DatasetPtr source, Normalization normalization)
      : Decorator(std::move(source)), normalization_(std::move(normalization)) {}

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    Batch batch = source_->get(rows, seed);
    batch.inputs = normalization_(std::move(batch.inputs));
    return batch;
  }

 private:
  const Normalization normalization_;
};

/// Number of examples that are read at a time: at most `most`, and so few that large pictures need little memory.
std::int64_t piece_of(const Dataset& dataset, std::int64_t most) {
  constexpr std::int64_t numbers = 1 << 22;
  const std::int64_t width = c10::multiply_integers(dataset.info().input_shape);
  return std::clamp<std::int64_t>(numbers / std::max<std::int64_t>(width, 1), 1, most);
}

/// Visits all inputs as float64, some examples at a time.
template <class Visit>
void for_each_piece(const Dataset& dataset, Visit visit) {
  const std::int64_t piece = piece_of(dataset, 4096);
  for (std::int64_t begin = 0; begin < dataset.size(); begin += piece) {
    visit(dataset.get(at::arange(begin, std::min(begin + piece, dataset.size()), at::kLong)).inputs.to(at::kDouble));
  }
}

/// The range and kind of the values of a data set, from at most 65,536 of its examples.
struct Values {
  double low = 0, high = 0;
  bool whole = true;  ///< all are whole numbers
};

Values values_of(const Dataset& train) {
  constexpr std::int64_t most = 1 << 16;
  const std::int64_t piece = piece_of(train, 1 << 10);
  const at::Tensor rows = at::arange(0, train.size(), (train.size() + most - 1) / most, at::kLong);
  Values values;
  for (std::int64_t begin = 0; begin < rows.size(0); begin += piece) {
    const at::Tensor x = train.get(rows.narrow(0, begin, std::min(piece, rows.size(0) - begin))).inputs;
    const double low = x.min().item<double>(), high = x.max().item<double>();
    values.low = begin == 0 ? low : std::min(values.low, low);
    values.high = begin == 0 ? high : std::max(values.high, high);
    values.whole = values.whole && x.eq(x.round()).all().item<bool>();
  }
  return values;
}

/// An input that is the same in all examples has no information; a width of 1 keeps it finite.
at::Tensor one_over(const at::Tensor& width) { return at::where(width > 0, width, at::ones_like(width)).reciprocal(); }

Normalization unit(const Dataset&, bool) { return {}; }

/// Returns the normalization to mean 0 and standard deviation 1 over these dimensions of [examples, ...]. The first
/// dimension must be among them.
Normalization standardized(const Dataset& train, at::IntArrayRef over) {
  at::Tensor sum, deviation;
  std::int64_t count = 0;
  const auto total = [&](const at::Tensor& x) { return x.sum(over, /*keepdim=*/true).squeeze(0); };
  for_each_piece(train, [&](const at::Tensor& x) {
    const at::Tensor part = total(x);
    sum = sum.defined() ? sum + part : part;
    count += x.numel() / part.numel();
  });
  const at::Tensor mean = sum / count;
  for_each_piece(train,
                 [&](const at::Tensor& x) {  // a second pass, which is exact if the mean is much larger than the sd
                   const at::Tensor squares = total((x - mean).square());
                   deviation = deviation.defined() ? deviation + squares : squares;
                 });
  return {mean.to(at::kFloat), one_over((deviation / count).sqrt()).to(at::kFloat)};
}

Normalization standard(const Dataset& train, bool) { return standardized(train, {0}); }

Normalization channel(const Dataset& train, bool) {
  if (train.info().input_shape.size() != 3) throw UsageError("normalize", "channel: the examples are not images");
  return standardized(train, {0, 2, 3});
}

Normalization whole(const Dataset&, bool bytes) {
  if (!bytes) throw UsageError("normalize", "bytes: the examples are not bytes");
  return {at::tensor(0.0F), at::tensor(255.0F)};
}

Normalization by_255(const Dataset&, bool bytes) {
  return bytes ? Normalization() : Normalization{at::tensor(0.0F), at::tensor(1.0F / 255)};
}

Normalization zero_mean(const Dataset& train, bool bytes) {
  if (bytes) return {at::tensor(0.5F), at::tensor(2.0F)};
  at::Tensor low, high;
  for_each_piece(train, [&](const at::Tensor& x) {
    low = low.defined() ? at::minimum(low, x.amin(0)) : x.amin(0);
    high = high.defined() ? at::maximum(high, x.amax(0)) : x.amax(0);
  });
  return {((low + high) / 2).to(at::kFloat), (2 * one_over(high - low)).to(at::kFloat)};
}

}  // namespace

at::Tensor Normalization::operator()(at::Tensor inputs) const {
  return shift.defined() ? inputs.sub_(shift).mul_(scale) : inputs;
}

at::Tensor Normalization::undo(at::Tensor inputs) const {
  return shift.defined() ? inputs.div_(scale).add_(shift) : inputs;
}

const NormalizationKind& automatic_normalization(const Dataset& train, bool bytes) {
  const auto called = [](const char* name) -> const NormalizationKind& {
    return find_row(normalizations(), "normalization", name);
  };
  const DatasetInfo& info = train.info();
  if (info.sequence || train.size() == 0) return called("unit");
  const bool images = info.input_shape.size() == 3;
  const Values values = values_of(train);
  if (bytes)
    return called(values.high >= 0.5 ? "unit" : images ? "channel" : "standard");  // few of 256 values are used
  const bool in_bytes = values.low >= 0 && values.high <= 255 && values.high > 1;
  if (in_bytes && values.whole && values.high > 127 && c10::multiply_integers(info.input_shape) >= 64)
    return called("pixels");
  if (images)
    return called(values.low >= 0 && values.high <= 1 ? "unit" : in_bytes && values.high > 127 ? "pixels" : "channel");
  return called(values.whole && values.low >= 0 && values.high <= 1 ? "unit" : "standard");
}

Normalization given_normalization(const std::vector<double>& mean, const std::vector<double>& deviation,
                                  const DatasetInfo& info) {
  if (info.input_shape.size() != 3 || info.sequence)
    throw UsageError("mean", "and std: the examples are not images; use normalize");
  const auto channels = static_cast<std::size_t>(info.input_shape[0]);
  const auto per_channel = [&](const std::vector<double>& numbers, const char* setting) {
    if (numbers.size() != 1 && numbers.size() != channels)
      throw UsageError(setting, fmt::format("[{}]: expected one number, or {}, one per channel",
                                            fmt::join(numbers, ", "), channels));
    return at::tensor(numbers, at::kDouble).view({-1, 1, 1}).expand({info.input_shape[0], 1, 1});
  };
  return {per_channel(mean, "mean").to(at::kFloat).contiguous(),
          per_channel(deviation, "std").reciprocal().to(at::kFloat).contiguous()};
}

const std::vector<NormalizationKind>& normalizations() {
  static const std::vector<NormalizationKind> table = {
      {"unit", "0 ... 1 for bytes; numbers stay unchanged", unit},
      {"pixels", "numbers from 0 to 255 to 0 ... 1, as bytes", by_255},
      {"standard", "each input with mean 0 and standard deviation 1 over the training examples", standard},
      {"channel",
       "each channel of images with mean 0 and standard deviation 1 over all pixels of the training examples", channel},
      {"bytes", "0 ... 255, as in the authors' program for residual networks", whole},
      {"zero-mean", "-1 ... 1: bytes by their range, numbers by that of the training examples", zero_mean},
  };
  return table;
}

DatasetPtr normalized(DatasetPtr source, Normalization normalization) {
  if (!normalization.shift.defined()) return source;
  return std::make_shared<Normalized>(std::move(source), std::move(normalization));
}

}  // namespace grapes::data
