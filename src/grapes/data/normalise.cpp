#include "grapes/data/normalise.h"

#include "grapes/base/error.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

namespace grapes::data {
namespace {

class Normalised final : public Dataset {
 public:
  Normalised(DatasetPtr source, Normalisation normalisation)
      : source_(std::move(source)), normalisation_(std::move(normalisation)) {}

  std::int64_t size() const override { return source_->size(); }
  const Meaning& meaning() const override { return source_->meaning(); }
  at::Tensor targets() const override { return source_->targets(); }

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    Batch batch = source_->get(rows, seed);
    batch.inputs = normalisation_(std::move(batch.inputs));
    return batch;
  }

 private:
  DatasetPtr source_;
  Normalisation normalisation_;
};

/// Visit all inputs, some thousand examples at a time, as float64.
template <class Visit>
void for_each_piece(const Dataset& dataset, Visit visit) {
  constexpr std::int64_t piece = 4096;
  for (std::int64_t begin = 0; begin < dataset.size(); begin += piece) {
    visit(dataset.get(at::arange(begin, std::min(begin + piece, dataset.size()), at::kLong)).inputs.to(at::kDouble));
  }
}

/// An input that is the same in all examples carries nothing; 1 keeps it finite.
at::Tensor one_over(const at::Tensor& width) { return at::where(width > 0, width, at::ones_like(width)).reciprocal(); }

Normalisation unit(const Dataset&, bool) { return {}; }

/// Mean 0 and standard deviation 1 of what these dimensions of [examples, ...] hold, the first among them.
Normalisation standardised(const Dataset& train, at::IntArrayRef over) {
  at::Tensor sum, deviation;
  std::int64_t count = 0;
  const auto total = [&](const at::Tensor& x) { return x.sum(over, /*keepdim=*/true).squeeze(0); };
  for_each_piece(train, [&](const at::Tensor& x) {
    const at::Tensor part = total(x);
    sum = sum.defined() ? sum + part : part;
    count += x.numel() / part.numel();
  });
  const at::Tensor mean = sum / count;
  for_each_piece(train, [&](const at::Tensor& x) {  // a second pass: exact where mean is much larger than sd
    const at::Tensor squares = total((x - mean).square());
    deviation = deviation.defined() ? deviation + squares : squares;
  });
  return {mean.to(at::kFloat), one_over((deviation / count).sqrt()).to(at::kFloat)};
}

Normalisation standard(const Dataset& train, bool) { return standardised(train, {0}); }

Normalisation channel(const Dataset& train, bool) {
  if (train.meaning().input_shape.size() != 3) throw UsageError("--normalise channel: the examples are not images");
  return standardised(train, {0, 2, 3});
}

Normalisation whole(const Dataset&, bool bytes) {
  if (!bytes) throw UsageError("--normalise bytes: the examples are not bytes");
  return {at::tensor(0.0F), at::tensor(255.0F)};
}

Normalisation zero_mean(const Dataset& train, bool bytes) {
  if (bytes) return {at::tensor(0.5F), at::tensor(2.0F)};
  at::Tensor low, high;
  for_each_piece(train, [&](const at::Tensor& x) {
    low = low.defined() ? at::minimum(low, x.amin(0)) : x.amin(0);
    high = high.defined() ? at::maximum(high, x.amax(0)) : x.amax(0);
  });
  return {((low + high) / 2).to(at::kFloat), (2 * one_over(high - low)).to(at::kFloat)};
}

}  // namespace

at::Tensor Normalisation::operator()(at::Tensor inputs) const {
  return shift.defined() ? inputs.sub_(shift).mul_(scale) : inputs;
}

at::Tensor Normalisation::undo(at::Tensor inputs) const {
  return shift.defined() ? inputs.div_(scale).add_(shift) : inputs;
}

const std::vector<NormalisationKind>& normalisations() {
  static const std::vector<NormalisationKind> table = {
      {"unit", "0 ... 1 for bytes, numbers as they are", unit},
      {"standard", "each input with mean 0 and standard deviation 1 over the training examples", standard},
      {"channel",
       "each channel of images with mean 0 and standard deviation 1 over all pixels of the training examples", channel},
      {"bytes", "0 ... 255, as the authors' program for residual networks takes them", whole},
      {"zero-mean", "-1 ... 1: bytes by their range, numbers by that of the training examples", zero_mean},
  };
  return table;
}

DatasetPtr normalised(DatasetPtr source, Normalisation normalisation) {
  if (!normalisation.shift.defined()) return source;
  return std::make_shared<Normalised>(std::move(source), std::move(normalisation));
}

}  // namespace grapes::data
