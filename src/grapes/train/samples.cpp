#include "grapes/train/samples.h"

#include "grapes/data/chorales.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

namespace grapes::train {
namespace {

using record::Json;

constexpr std::int64_t most_examples = 3, most_nodes = 100, most_traces = 10;

/// Lists [step, unit] for all values above 0.5. If there are many units, an evenly spaced subset is used. @param y
/// [time, unit]
Json spikes(const std::string& name, const at::Tensor& y) {
  const std::int64_t nodes = y.size(1), kept = std::min(nodes, most_nodes);
  Json list = Json::array();
  for (std::int64_t k = 0; k < kept; ++k) {
    const at::Tensor on = y.select(1, k * nodes / kept).gt(0.5).nonzero().flatten().cpu();
    for (std::int64_t i = 0; i < on.numel(); ++i) list.push_back({on.data_ptr<std::int64_t>()[i], k});
  }
  return {{"name", name}, {"nodes", nodes}, {"shown", kept}, {"spikes", list}};
}

double rounded(double value) { return std::round(value * 1000) / 1000; }

}  // namespace

Json roll(const at::Tensor& bits, const at::Tensor& probabilities) {
  Json target = Json::array(), prediction = Json::array();
  for (std::int64_t t = 0; t < probabilities.size(0); ++t)
    for (std::int64_t n = 0; n < probabilities.size(1); ++n) {
      if (bits.defined() && bits[t][n].item<double>() > 0) target.push_back({t, data::lowest_note + n});
      const double p = probabilities[t][n].item<double>();
      if (p >= 0.05) prediction.push_back({t, data::lowest_note + n, rounded(p)});
    }
  return {{"steps", probabilities.size(0)}, {"target", target}, {"prediction", prediction}};
}

Json samples(nn::Network& model, const data::Splits& splits, const nn::Criterion& criterion) {
  const at::NoGradGuard no_grad;
  const auto holds = [](const data::DatasetPtr& part) { return part && part->size() > 0; };
  const data::DatasetPtr& part = holds(splits.test)         ? splits.test
                                 : holds(splits.validation) ? splits.validation
                                                            : splits.train_plain;
  const char* const name = holds(splits.test) ? "test" : holds(splits.validation) ? "validation" : "train";
  const data::Batch batch = part->get(at::arange(std::min(most_examples, part->size()), at::kLong));
  nn::Pass pass;
  pass.present = batch.present;
  const at::Tensor predicted = criterion.prediction(model.forward(batch.inputs, pass)).cpu();
  const std::vector<nn::Activity> layers = model.activity();
  if (layers.empty()) return nullptr;
  Json all = Json::array();
  for (std::int64_t b = 0; b < predicted.size(0); ++b) {
    const std::int64_t steps =
        batch.present.defined() ? batch.present[b].sum().item<std::int64_t>() : model.shown().size(0);
    const auto of = [&](const at::Tensor& over_time) { return over_time.select(1, b).narrow(0, 0, steps); };
    Json example = {{"example", b}, {"steps", steps}, {"layers", Json::array({spikes("inputs", of(model.shown()))})}};
    for (const nn::Activity& layer : layers) example["layers"].push_back(spikes(layer.name, of(layer.output)));
    Json traces = Json::array();
    const at::Tensor membranes = of(layers.back().membrane).cpu().to(at::kDouble);
    for (std::int64_t n = 0; n < std::min(most_traces, membranes.size(1)); ++n) {
      Json trace = Json::array();
      for (std::int64_t t = 0; t < steps; ++t) trace.push_back(rounded(membranes[t][n].item<double>()));
      traces.push_back(std::move(trace));
    }
    example["membranes"] = {{"layer", layers.back().name}, {"traces", traces}};
    if (splits.info.problem == data::ProblemKind::classification) {
      const auto name_of = [&](const at::Tensor& which) {
        return splits.info.classes.at(static_cast<std::size_t>(which.item<std::int64_t>()));
      };
      example["label"] = name_of(batch.targets[b]);
      example["prediction"] = name_of(predicted[b].argmax());
    }
    if (splits.info.problem == data::ProblemKind::prediction)
      example["roll"] = roll(batch.targets[b].narrow(0, 0, steps), predicted[b].narrow(0, 0, steps));
    all.push_back(std::move(example));
  }
  return {{"part", name}, {"examples", all}};
}

}  // namespace grapes::train
