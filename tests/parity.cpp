// What grapes::nn gives, for python/tests/test_parity.py to compare with torch_grapes.nn:
//   parity FILE      FILE is read by torch.load: {"linear fa grapes": [y, dx, dW, db], ...} in float64
// Both sides make their tensors by the same formula: sin(0), sin(1), ...
#include "grapes/nn/layers.h"

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

}  // namespace

int main(int, char** arguments) {
  c10::Dict<std::string, c10::List<at::Tensor>> results;
  for (const std::string route : {"bp", "fa", "sign-symmetric", "dfa"})
    for (const std::string modulation : {"none", "grapes", "grapes-local", "uniform"}) {
      grapes::nn::CreditOptions credit;
      credit.route = route;
      credit.modulation = modulation;
      const std::string name = " " + route + " " + modulation;
      results.insert("linear" + name, gradients(grapes::nn::Linear(torch::nn::LinearOptions(7, 5), credit), waves({4, 7}, 0)));
      auto options = torch::nn::Conv2dOptions(4, 6, {3, 2}).stride({2, 1}).padding({1, 0}).groups(2);
      results.insert("conv2d" + name, gradients(grapes::nn::Conv2d(options, credit), waves({3, 4, 6, 5}, 0)));
    }
  const std::vector<char> bytes = torch::pickle_save(results);
  std::ofstream(arguments[1], std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}
