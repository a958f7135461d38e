// What grapes::nn gives, for python/tests/test_parity.py to compare with torch_grapes.nn:
//   parity FILE      FILE is read by torch.load: {"linear fa grapes": [y, dx, dW, db], ...} in float64
// Both sides make their tensors by the same formula: sin(0), sin(1), ...
#include "grapes/nn/layers.h"
#include "grapes/nn/network.h"
#include "grapes/nn/snu.h"

#include <torch/torch.h>

#include <fstream>

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

/// Half of the rules go to layers with R, all names occur.
grapes::nn::Snu spiking(int number, const grapes::Rule& credit) {
  grapes::nn::SnuOptions options;
  const std::vector<std::string> g = {"identity", "relu", "leaky_relu"};
  options.rule.g = g[number % 3];
  options.rule.reset = grapes::nn::resets()[number % 4].name;
  options.rule.surrogate = grapes::nn::surrogates()[number % 6].name;
  options.rule.output = number % 5 == 4 ? "sigmoid" : "step";
  options.rule.width = 0.7;
  options.recurrent = number % 2 == 1;
  options.learn_decay = grapes::nn::SnuOptions::Decay::per_node;
  options.truncate = number % 7 == 6 ? 2 : 0;
  options.synapse = number % 3 == 1 ? 0.6 : 0;
  options.eprop = number % 11 == 3;
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
  options.model = "resnet9";
  options.precision = precision;
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

}  // namespace

int main(int, char** arguments) {
  c10::Dict<std::string, c10::List<at::Tensor>> results;
  int number = 0;
  for (const std::string route : {"bp", "fa", "sign-symmetric", "dfa"})
    for (const std::string modulation : {"none", "grapes", "grapes-local", "uniform"}) {
      grapes::Rule credit;
      credit.route = route;
      credit.modulation = modulation;
      const std::string name = " " + route + " " + modulation;
      results.insert("linear" + name, gradients(grapes::nn::Linear(torch::nn::LinearOptions(7, 5), credit), waves({4, 7}, 0)));
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
