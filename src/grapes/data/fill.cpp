#include "grapes/data/fill.h"

#include "grapes/base/error.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/masked_select.h>
#include <ATen/ops/mode.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <string>

namespace grapes::data {
namespace {

class Filled final : public Decorator {
 public:
  Filled(DatasetPtr source, std::vector<float> fill) : Decorator(std::move(source)), fill_(std::move(fill)) {}

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    Batch batch = source_->get(rows, seed);
    batch.inputs = filled(batch.inputs, fill_);
    return batch;
  }

 private:
  const std::vector<float> fill_;
};

/// @param values  [n], not empty
float statistic(const at::Tensor& values, Missing how) {
  if (how == Missing::mean) return values.to(at::kDouble).mean().item<float>();
  if (how == Missing::most_common) return std::get<0>(at::mode(values)).item<float>();
  const at::Tensor sorted = std::get<0>(at::sort(values));
  const std::int64_t n = sorted.size(0);
  return (sorted[(n - 1) / 2] + sorted[n / 2]).item<float>() / 2;
}

/// The name of a text column that an input belongs to, or "".
std::string group_of(const std::string& input) {
  const std::size_t equals = input.find('=');
  return equals == std::string::npos ? "" : input.substr(0, equals);
}

}  // namespace

std::vector<float> fill_of(const Dataset& train, Missing how) {
  if (how == Missing::drop || how == Missing::error) return {};
  const std::vector<std::string>& names = train.info().inputs;
  const at::Tensor all = train.get(at::arange(train.size(), at::kLong)).inputs;
  std::vector<float> fill;
  for (std::size_t i = 0; i < names.size();) {
    // The inputs of a text column: each is 0 or 1, and one of them is 1.
    std::size_t end = i + 1;
    while (!group_of(names[i]).empty() && end < names.size() && group_of(names[end]) == group_of(names[i])) ++end;
    const at::Tensor some = all.narrow(1, static_cast<std::int64_t>(i), static_cast<std::int64_t>(end - i));
    const at::Tensor known = some.index_select(0, some.isnan().any(1).logical_not().nonzero().flatten());
    if (known.size(0) == 0)
      throw DataError("column '" + names[i] +
                      "': no training example has a value; leave the column out with the option ignore");
    if (end - i == 1) {
      fill.push_back(statistic(known.flatten(), how));
    } else {
      const auto most = known.sum(0).argmax().item<std::int64_t>();
      for (std::size_t k = i; k < end; ++k) fill.push_back(static_cast<std::int64_t>(k - i) == most ? 1.0F : 0.0F);
    }
    i = end;
  }
  return fill;
}

at::Tensor filled(const at::Tensor& inputs, const std::vector<float>& fill) {
  return at::where(inputs.isnan(), at::tensor(fill, at::kFloat), inputs);
}

DatasetPtr filled(DatasetPtr source, std::vector<float> fill) {
  if (fill.empty()) return source;
  return std::make_shared<Filled>(std::move(source), std::move(fill));
}

std::pair<std::vector<double>, std::vector<double>> scale_of_targets(const at::Tensor& targets) {
  const at::Tensor values = targets.to(at::kDouble), mean = values.mean(0),
                   deviation = values.std(0, /*unbiased=*/false);
  const at::Tensor safe = at::where(deviation > 0, deviation, at::ones_like(deviation)).contiguous();
  const at::Tensor center = mean.contiguous();
  const auto list = [](const at::Tensor& x) {
    return std::vector<double>(x.data_ptr<double>(), x.data_ptr<double>() + x.numel());
  };
  return {list(center), list(safe)};
}

}  // namespace grapes::data
