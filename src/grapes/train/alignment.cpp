#include "grapes/train/alignment.h"

#include "grapes/base/error.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

namespace grapes::train {
record::Json finite(double value) { return std::isfinite(value) ? record::Json(value) : record::Json(); }

std::vector<at::Tensor> gradients(const nn::Network& model, const Rule& rule, const nn::Criterion& criterion,
                                  const data::Batch& batch, const nn::Pass& pass) {
  const at::AutoGradMode graph(true);  // the caller measures without a graph
  const std::unique_ptr<nn::Network> twin = model.twin(rule);
  criterion.loss(twin->forward(batch.inputs, pass), batch.targets, batch.present).backward();
  const std::vector<nn::Named> parameters = twin->parameters();
  std::vector<at::Tensor> all;
  for (const nn::Network::Weight& weight : twin->weights()) all.push_back(parameters[weight.place].value.grad());
  return all;
}

double angle(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined() || !b.defined()) return std::numeric_limits<double>::quiet_NaN();
  const at::Tensor x = a.detach().to(at::kDouble).flatten(), y = b.detach().to(at::kDouble).flatten();
  const at::Tensor u = x * y.norm(), v = y * x.norm();
  if (u.norm().item<double>() == 0) return std::numeric_limits<double>::quiet_NaN();
  // The arc tangent is exact near 0 and 180, where the arc cosine loses half of the digits.
  return 2 * std::atan2((u - v).norm().item<double>(), (u + v).norm().item<double>()) * 180 / std::numbers::pi;
}

std::vector<record::Json> alignment(const nn::Network& model, const nn::Criterion& criterion, const data::Batch& batch,
                                    std::uint64_t seed, std::int64_t step) {
  if (model.requires_fused_update())
    throw UsageError("record-alignment",
                     "is not supported for a network that learns by pulses, which has no gradients");
  nn::Pass pass;
  pass.training = true;
  pass.seed = seed;
  pass.step = step;
  pass.present = batch.present;
  const auto by = [&](const Rule& rule) { return gradients(model, rule, criterion, batch, pass); };
  const std::vector<at::Tensor> whole = by(model.rule()), routed = by(credit::plain(model.rule().route)),
                                plain = by(credit::plain());
  const std::vector<nn::Named> parameters = model.parameters();
  const std::vector<nn::Network::Weight> weights = model.weights();
  std::vector<record::Json> all;
  for (std::size_t l = 0; l < weights.size(); ++l) {
    record::Json row = {{"transport", finite(angle(routed[l], plain[l]))},
                        {"modulation", finite(angle(whole[l], routed[l]))}};
    if (const at::Tensor B = model.carrier(l); B.defined()) {
      const at::Tensor W = parameters[weights[l].place].value.detach();
      row["feedback"] = finite(angle(W, B));
      row["ratio"] = finite(B.norm().item<double>() / W.norm().item<double>());
    }
    all.push_back(std::move(row));
  }
  return all;
}

}  // namespace grapes::train
