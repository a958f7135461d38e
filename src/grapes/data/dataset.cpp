#include "grapes/data/dataset.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <utility>

namespace grapes::data {
namespace {

class Memory final : public Dataset {
 public:
  Memory(at::Tensor inputs, at::Tensor targets, DatasetInfo info, float scale)
      : inputs_(std::move(inputs)), targets_(std::move(targets)), info_(std::move(info)), scale_(scale) {}

  std::int64_t size() const override { return inputs_.size(0); }
  const DatasetInfo& info() const override { return info_; }
  at::Tensor targets() const override { return targets_; }

  Batch get(const at::Tensor& rows, std::uint64_t) const override {
    if (inputs_.scalar_type() == at::kByte) return {converted(rows.contiguous()), targets_.index_select(0, rows)};
    at::Tensor inputs = inputs_.index_select(0, rows).to(at::kFloat);  // a copy of these rows only
    if (scale_ != 1) inputs.mul_(scale_);
    return {std::move(inputs), targets_.index_select(0, rows)};
  }

 private:
  /// Gathers, converts and scales the inputs in one pass over them. With three passes, this would take a tenth of the
  /// time of a training step of a small network.
  at::Tensor converted(const at::Tensor& rows) const {
    std::vector<std::int64_t> shape = inputs_.sizes().vec();
    shape[0] = rows.size(0);
    at::Tensor inputs = at::empty(shape, at::kFloat);
    const std::int64_t width = inputs_.size(0) == 0 ? 0 : inputs_.numel() / inputs_.size(0);
    const std::int64_t* row = rows.data_ptr<std::int64_t>();
    const auto* bytes = inputs_.data_ptr<std::uint8_t>();
    auto* into = inputs.data_ptr<float>();
    // A local copy, because for the compiler every float that is written may change a member, and the loop is slow
    // then.
    const float scale = scale_;
    for (std::int64_t b = 0; b < rows.size(0); ++b, into += width) {
      TORCH_CHECK_INDEX(row[b] >= 0 && row[b] < inputs_.size(0), "example number must be 0 ... ", inputs_.size(0) - 1,
                        "; got ", row[b]);
      const std::uint8_t* from = bytes + row[b] * width;
      for (std::int64_t i = 0; i < width; ++i) into[i] = static_cast<float>(from[i]) * scale;
    }
    return inputs;
  }

  at::Tensor inputs_;
  at::Tensor targets_;
  DatasetInfo info_;
  float scale_;
};

class Sequences final : public Dataset {
 public:
  Sequences(at::Tensor inputs, at::Tensor targets, at::Tensor begins, DatasetInfo info)
      : inputs_(std::move(inputs)), targets_(std::move(targets)), begins_(std::move(begins)), info_(std::move(info)) {}

  std::int64_t size() const override { return begins_.size(0) - 1; }
  const DatasetInfo& info() const override { return info_; }
  at::Tensor targets() const override { return at_steps() ? at::empty({size(), 0}) : targets_; }

  Batch get(const at::Tensor& rows, std::uint64_t) const override {
    const at::Tensor begin = begins_.index_select(0, rows), lengths = begins_.index_select(0, rows + 1) - begin;
    const std::int64_t batch = rows.size(0), time = batch == 0 ? 0 : lengths.max().item<std::int64_t>();
    std::vector<std::int64_t> shape = {time, batch};  // time first in memory, in the order in which networks process it
    shape.insert(shape.end(), info_.input_shape.begin(), info_.input_shape.end());
    Batch all{at::zeros(shape, at::kFloat).transpose(0, 1), {}, at::arange(time, at::kLong) < lengths.unsqueeze(1)};
    all.targets = at_steps() ? at::zeros({batch, time, info_.outputs}) : targets_.index_select(0, rows);
    for (std::int64_t b = 0; b < batch; ++b) {
      const std::int64_t first = begin.data_ptr<std::int64_t>()[b], steps = lengths.data_ptr<std::int64_t>()[b];
      all.inputs[b].narrow(0, 0, steps).copy_(inputs_.narrow(0, first, steps));
      if (at_steps()) all.targets[b].narrow(0, 0, steps).copy_(targets_.narrow(0, first, steps));
    }
    return all;
  }

 private:
  bool at_steps() const { return info_.problem == ProblemKind::prediction; }

  at::Tensor inputs_, targets_;
  at::Tensor begins_;  // [n + 1], start of each sequence; the last entry is the total
  DatasetInfo info_;
};

class Subset final : public Decorator {
 public:
  Subset(DatasetPtr whole, at::Tensor rows) : Decorator(std::move(whole)), rows_(std::move(rows)) {}

  std::int64_t size() const override { return rows_.size(0); }
  at::Tensor targets() const override { return source_->targets().index_select(0, rows_); }
  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    return source_->get(rows_.index_select(0, rows), seed);
  }

 private:
  const at::Tensor rows_;
};

}  // namespace

DatasetPtr memory(at::Tensor inputs, at::Tensor targets, DatasetInfo info, float scale) {
  TORCH_CHECK(!at::isComplexType(inputs.scalar_type()), "memory: inputs must be real; got ", inputs.scalar_type());
  TORCH_CHECK(inputs.sizes().slice(1) == at::IntArrayRef(info.input_shape),
              "memory: an example must have the shape of the data set's info, ", at::IntArrayRef(info.input_shape),
              "; got ", inputs.sizes().slice(1));
  TORCH_CHECK(targets.dim() > 0 && inputs.size(0) == targets.size(0), "memory: one target per example; got ",
              inputs.size(0), " examples and targets of shape ", targets.sizes());
  if (info.problem == ProblemKind::classification) {
    TORCH_CHECK(targets.dim() == 1 && targets.scalar_type() == at::kLong, "memory: class numbers must be [n] int64");
  } else {
    TORCH_CHECK(targets.dim() == 2 && targets.size(1) == info.outputs && targets.scalar_type() == at::kFloat,
                "memory: regression targets must be [n, ", info.outputs, "] float32; got ", targets.sizes());
  }
  return std::make_shared<Memory>(inputs.contiguous(), targets.contiguous(), std::move(info), scale);
}

DatasetPtr sequences(at::Tensor inputs, at::Tensor targets, const at::Tensor& lengths, DatasetInfo info) {
  TORCH_CHECK(info.sequence && lengths.dim() == 1 && lengths.sum().item<std::int64_t>() == inputs.size(0),
              "sequences: the lengths must add up to ", inputs.size(0), " steps");
  TORCH_CHECK(targets.size(0) == (info.problem == ProblemKind::prediction ? inputs : lengths).size(0),
              "sequences: one target per sequence, or for a prediction per step; got ", targets.size(0));
  at::Tensor begins = at::cat({at::zeros({1}, at::kLong), lengths.cumsum(0)});
  return std::make_shared<Sequences>(inputs.contiguous(), targets.contiguous(), std::move(begins), std::move(info));
}

DatasetPtr subset(DatasetPtr whole, at::Tensor rows) {
  TORCH_CHECK(rows.dim() == 1 && rows.scalar_type() == at::kLong, "subset: rows must be [m] int64; got ",
              rows.scalar_type(), " ", rows.sizes());
  TORCH_CHECK(
      rows.numel() == 0 || (rows.min().item<std::int64_t>() >= 0 && rows.max().item<std::int64_t>() < whole->size()),
      "subset: rows must lie in 0 ... ", whole->size() - 1);
  return std::make_shared<Subset>(std::move(whole), rows.contiguous());
}

}  // namespace grapes::data
