// Writes results of grapes::nn, which python/tests/test_parity.py compares with torch_grapes.nn:
//   python_parity FILE      FILE is read by torch.load: {"linear fa grapes": [y, dx, dW, db], ...} in float64
//   python_parity           the names and defaults of all options, as JSON, for python/tests/test_names.py
// Both sides compute their tensors by the same formula: sin(0), sin(1), ...
#include "grapes/credit/backward.h"
#include "grapes/credit/local_optimizer.h"
#include "grapes/nn/layers.h"
#include "grapes/nn/network.h"
#include "grapes/nn/snu.h"
#include "grapes/nn/surrogate.h"

#include <nlohmann/json.hpp>
#include <torch/torch.h>

#include <fstream>
#include <iostream>

namespace {

at::Tensor waves(at::IntArrayRef shape, double first) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return (at::arange(count, at::kDouble) + first).sin().reshape(shape);
}

template <typename Layer>
c10::List<at::Tensor> gradients(Layer layer, const at::Tensor& input) {
  layer->to(at::kDouble);
  torch::NoGradGuard no_grad;
  layer->weight.copy_(waves(layer->weight.sizes(), 1));
  layer->bias.copy_(waves(layer->bias.sizes(), 2));
  if (layer->feedback.defined()) layer->feedback.copy_(waves(layer->feedback.sizes(), 3));
  at::AutoGradMode with_grad(true);
  const at::Tensor x = input.clone().requires_grad_();
  const at::Tensor y = layer->forward(x);
  (y * waves(y.sizes(), 4)).sum().backward();
  const at::Tensor dx = x.grad().defined() ? x.grad() : at::zeros_like(x);
  return {y.detach(), dx, layer->weight.grad(), layer->bias.grad()};
}

/// Half of the rules go to layers with R; all names occur.
grapes::nn::Snu spiking(int number, const grapes::Rule& credit) {
  const auto options = grapes::nn::SnuOptions()
                           .rule({.membrane_activation = std::vector{"identity", "relu", "leaky_relu"}[number % 3],
                                  .output = number % 5 == 4 ? "sigmoid" : "step",
                                  .reset = grapes::nn::resets()[number % 4].name,
                                  .surrogate = grapes::nn::surrogates()[number % 6].name,
                                  .surrogate_width = 0.7})
                           .recurrent(number % 2 == 1)
                           .learn_decay(grapes::nn::SnuOptions::Decay::per_node)
                           .truncate(number % 7 == 6 ? 2 : 0)
                           .synapse(number % 3 == 1 ? 0.6 : 0)
                           .eprop(number % 11 == 3);
  return grapes::nn::Snu(7, 5, options, credit);
}

c10::List<at::Tensor> spiking_gradients(grapes::nn::Snu layer) {
  layer->to(at::kDouble);
  const at::Tensor x = waves({6, 3, 7}, 0).mul(2).requires_grad_();
  {
    const torch::NoGradGuard no_grad;
    layer->weight.copy_(waves(layer->weight.sizes(), 1));
    layer->decay.copy_(waves({5}, 5).abs());
    layer->threshold.copy_(waves({5}, 6).abs());
    if (layer->recurrent.defined()) layer->recurrent.copy_(waves({5, 5}, 7).mul(0.5));
    if (layer->feedback.defined()) layer->feedback.copy_(waves(layer->feedback.sizes(), 3));
  }
  const at::Tensor y = layer->forward(x);
  (y * waves(y.sizes(), 4)).sum().backward();
  const at::Tensor dx = x.grad().defined() ? x.grad() : at::zeros_like(x);
  const at::Tensor dR = layer->recurrent.defined() ? layer->recurrent.grad() : at::zeros({0}, at::kDouble);
  return {y.detach(), dx, layer->weight.grad(), layer->decay.grad(), layer->threshold.grad(), dR};
}

/// [x, error, logits, W, dW, W, dW, ...] of the authors' residual network.
c10::List<at::Tensor> residual(const std::string& modulation, const std::string& precision) {
  grapes::nn::Options options;
  options.model = grapes::nn::parse_model("resnet9");
  options.precision = grapes::nn::parse_precision(precision);
  options.rule.modulation = modulation;
  const auto model = grapes::nn::make_network(options, {{3, 32, 32}, 10}, 1);
  grapes::nn::Pass pass;
  pass.training = true;
  const auto dtype = precision == "float64" ? at::kDouble : at::kFloat;
  const at::Tensor x = waves({2, 3, 32, 32}, 0).to(dtype), error = waves({2, 10}, 4).to(dtype);
  const at::Tensor logits = model->forward(x, pass);
  (logits * error).sum().backward();
  c10::List<at::Tensor> all = {x, error, logits.detach()};
  for (const grapes::nn::Named& parameter : model->parameters()) {
    all.push_back(parameter.value.detach());
    all.push_back(parameter.value.grad());
  }
  return all;
}

using Json = nlohmann::ordered_json;

template <class Value>
Json json(const Value& value) {
  return value;
}
Json json(const grapes::credit::Responsibility& value) {
  using enum grapes::credit::Responsibility;
  return value == by_route   ? "by-route"
         : value == incoming ? "incoming"
         : value == input    ? "input"
         : value == outgoing ? "outgoing"
                             : "synaptic";
}
Json json(const grapes::credit::Reduction& value) { return value == grapes::credit::Reduction::sum ? "sum" : "mean"; }
Json json(const grapes::credit::Clip& clip) {
  using Kind = grapes::credit::Clip::Kind;
  if (clip.kind == Kind::range) return {clip.low, clip.high};
  return clip.kind == Kind::none ? Json() : Json("by-route");
}
Json json(const grapes::nn::SnuOptions::Decay& value) {
  using Decay = grapes::nn::SnuOptions::Decay;
  return value == Decay::fixed ? "fixed" : value == Decay::per_layer ? "per_layer" : "per_node";
}
Json json(const grapes::Rule& rule);

// A renamed field does not compile. An added field does not compile either, because structures are decomposed
// completely. For options that chain, the test compares the names with those in their header.
#define FIELD(name) all[#name] = json(options.name)
#define OPTION(name) all[#name] = json(options.name())
Json json(const grapes::Rule& options) {
  [[maybe_unused]] const auto& [a, b, c, d, e, f, g, h, i, j, k, l] = options;
  Json all;
  FIELD(route), FIELD(modulation), FIELD(constants), FIELD(responsibility), FIELD(reduction), FIELD(gain), FIELD(clip);
  FIELD(every), FIELD(factor_bits), FIELD(seed), FIELD(per_gate), FIELD(compounding);
  return all;
}
Json json(const grapes::BackwardOptions& options) {
  Json all;
  OPTION(rule), OPTION(include), OPTION(exclude), OPTION(output), OPTION(local), OPTION(warn);
  return all;
}
Json json(const grapes::LocalOptimizerOptions& options) {
  Json all;
  OPTION(rule), OPTION(include), OPTION(exclude), OPTION(output);
  return all;
}
Json json(const grapes::nn::SnuRule& options) {
  [[maybe_unused]] const auto& [a, b, c, d, e, f] = options;
  Json all;
  FIELD(membrane_activation), FIELD(output), FIELD(reset), FIELD(surrogate), FIELD(surrogate_width),
      FIELD(detach_reset);
  return all;
}
Json json(const grapes::nn::SnuOptions& options) {
  Json all;
  OPTION(rule), OPTION(recurrent), OPTION(decay), OPTION(learn_decay), OPTION(threshold), OPTION(synapse);
  OPTION(learn_threshold), OPTION(eprop), OPTION(truncate);
  return all;
}
#undef FIELD
#undef OPTION

template <class Rows>
Json names(const Rows& rows) {
  Json all = Json::array();
  for (const auto& row : rows) all.push_back(row.name);
  return all;
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 1) {
    std::cout << Json({{"Rule", json(grapes::Rule())},
                       {"resolved", json(grapes::credit::resolved({}))},
                       {"BackwardOptions", json(grapes::BackwardOptions())},
                       {"LocalOptimizerOptions", json(grapes::LocalOptimizerOptions())},
                       {"SnuOptions", json(grapes::nn::SnuOptions())},
                       {"routes", names(grapes::credit::routes())},
                       {"modulations", names(grapes::credit::modulations())},
                       {"resets", names(grapes::nn::resets())},
                       {"surrogates", names(grapes::nn::surrogates())}})
              << "\n";
    return 0;
  }
  c10::Dict<std::string, c10::List<at::Tensor>> results;
  int number = 0;
  for (const std::string route :
       {"bp", "fa", "sign-symmetric", "dfa", "eprop", "eprop-symmetric", "kolen-pollack", "usf", "frsf"})
    for (const std::string modulation : {"none", "grapes", "grapes-local", "uniform", "inverse", "mean-one"}) {
      grapes::Rule credit;
      credit.route = route;
      credit.modulation = modulation;
      const std::string name = " " + route + " " + modulation;
      results.insert("linear" + name,
                     gradients(grapes::nn::Linear(torch::nn::LinearOptions(7, 5), credit), waves({4, 7}, 0)));
      for (int rule = 0; rule < 3; ++rule, ++number)
        results.insert("snu " + std::to_string(number), spiking_gradients(spiking(number, credit)));
      auto options = torch::nn::Conv2dOptions(4, 6, {3, 2}).stride({2, 1}).padding({1, 0}).groups(2);
      results.insert("conv2d" + name, gradients(grapes::nn::Conv2d(options, credit), waves({3, 4, 6, 5}, 0)));
    }
  for (const std::string modulation : {"none", "grapes"})
    for (const std::string precision : {"float32", "float64"})
      results.insert("resnet9 " + modulation + " " + precision, residual(modulation, precision));
  const std::vector<char> bytes = torch::pickle_save(results);
  std::ofstream(arguments[1], std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}
