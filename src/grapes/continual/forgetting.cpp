#include "grapes/continual/forgetting.h"

#include "grapes/core/responsibility.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <set>

namespace grapes::continual {
using record::Json;
namespace {

constexpr std::int64_t most_examples = 512;  // of all earlier tasks

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

/// Ranks from 1; equal values share their mean rank. @param x [n]
std::vector<double> ranks(const at::Tensor& x) {
  const at::Tensor values = x.detach().cpu().to(at::kDouble).contiguous();
  const double* v = values.data_ptr<double>();
  std::vector<std::size_t> order(static_cast<std::size_t>(values.numel()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return v[a] < v[b]; });
  std::vector<double> rank(order.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i;
    while (end < order.size() && v[order[end]] == v[order[i]]) ++end;
    for (std::size_t k = i; k < end; ++k) rank[order[k]] = 1 + static_cast<double>(i + end - 1) / 2;
    i = end;
  }
  return rank;
}

double cosine(const at::Tensor& a, const at::Tensor& b) {
  return (a * b).sum().item<double>() / (a.norm().item<double>() * b.norm().item<double>());
}

at::Tensor by_node(const at::Tensor& weight) { return weight.flatten(1); }

}  // namespace

double rank_correlation(const at::Tensor& x, const at::Tensor& y) {
  const std::vector<double> a = ranks(x), b = ranks(y);
  const double middle = (static_cast<double>(a.size()) + 1) / 2;
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - middle) * (b[i] - middle);
    aa += (a[i] - middle) * (a[i] - middle);
    bb += (b[i] - middle) * (b[i] - middle);
  }
  return ab / std::sqrt(aa * bb);
}

ForgettingAnalysis::ForgettingAnalysis(const MethodContext& context) : context_(context) {
  std::set<std::size_t> modulated;  // places of W of the hidden layers
  for (const auto& [layer, place] : context.model.weights()) modulated.insert(place);
  modulated.erase(std::prev(modulated.end()));
  const std::vector<nn::Named> parameters = context.model.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].value.dim() < 2) continue;
    weights_.push_back(parameters[i]);
    modulated_.push_back(modulated.contains(i));
  }
  for (const nn::Named& weight : weights_) {
    before_.push_back(weight.value.detach().clone());
    change_.push_back(at::zeros_like(before_.back()));
  }
}

void ForgettingAnalysis::begin() {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < weights_.size(); ++i) before_[i].copy_(weights_[i].value);
}

ForgettingAnalysis::Gradients ForgettingAnalysis::gradients(std::int64_t task, double part) const {
  const std::unique_ptr<nn::Network> plain = plain_copy(context_);
  std::vector<at::Tensor> leaves;
  {
    const at::NoGradGuard no_grad;
    std::size_t next = 0;
    for (const nn::Named& parameter : plain->parameters()) {
      if (parameter.value.dim() < 2) continue;
      leaves.push_back(parameter.value);
      leaves.back().copy_(before_[next] + part * (weights_[next].value - before_[next]));
      ++next;
    }
  }
  Gradients result;
  for (std::int64_t k = 0; k < task; ++k) {
    const data::Dataset& examples = *context_.scenario.tasks[static_cast<std::size_t>(k)].plain;
    const data::Batch batch =
        examples.get(at::arange(std::min(std::max<std::int64_t>(1, most_examples / task), examples.size()), at::kLong));
    const at::Tensor loss = evaluated_loss(context_, *plain, k, batch, k) / static_cast<double>(task);
    loss.backward();
    result.loss += loss.item<double>();
  }
  for (const at::Tensor& leaf : leaves)
    result.of.push_back(leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf.detach()));
  return result;
}

Json ForgettingAnalysis::end(std::int64_t task) {
  Gradients at_start, midway, at_end;
  if (task > 0) {
    at_start = gradients(task, 0);
    midway = gradients(task, 0.5);
    at_end = gradients(task, 1);
  }
  const at::NoGradGuard no_grad;
  Json weights = Json::array();
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const at::Tensor change = weights_[i].value.detach() - before_[i];
    Json entry = {{"name", weights_[i].name},
                  {"weight_change", number(change.norm().item<double>())},
                  {"weight_norm", number(before_[i].norm().item<double>())},
                  {"overlap", nullptr},
                  {"overlap_size", nullptr},
                  {"loss_increase", nullptr},
                  {"factor_change", nullptr},
                  {"factor_loss_increase", nullptr}};
    const at::Tensor m = modulated_[i] ? factor(before_[i], {}, 0, {}, 2, 0, 2) : at::Tensor();
    if (modulated_[i]) entry["factor_change"] = number(rank_correlation(m, by_node(change).norm(2, {1})));
    if (task > 0) {
      entry["overlap"] = number(cosine(change, change_[i]));
      entry["overlap_size"] = number(cosine(change.abs(), change_[i].abs()));
      const at::Tensor increase = by_node((at_start.of[i] + 4 * midway.of[i] + at_end.of[i]) / 6 * change).sum(1);
      entry["loss_increase"] = number(increase.sum().item<double>());
      if (modulated_[i]) entry["factor_loss_increase"] = number(rank_correlation(m, increase));
    }
    weights.push_back(std::move(entry));
    change_[i].copy_(change);
  }
  return {{"weights", weights},
          {"loss_before", task > 0 ? number(at_start.loss) : Json()},
          {"loss_after", task > 0 ? number(at_end.loss) : Json()}};
}

std::vector<Method::State> ForgettingAnalysis::state() const {
  std::vector<Method::State> all;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    all.push_back({fmt::format("before.{}", i), before_[i]});
    all.push_back({fmt::format("change.{}", i), change_[i]});
  }
  return all;
}

}  // namespace grapes::continual
