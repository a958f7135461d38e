// One thing of each public module, so that a header or a symbol left out of the installed library is missed here.
#include <grapes/grapes.h>

#include <torch/torch.h>

#include <iostream>

int main() {
  torch::manual_seed(1);
  torch::nn::Sequential model(grapes::nn::Linear(2, 8, grapes::nn::plain("fa")), torch::nn::Tanh(), torch::nn::Linear(8, 1));
  torch::optim::Adam optimizer(model->parameters(), 0.02);
  const auto x = torch::randint(2, {64, 2}, torch::kFloat), y = x.sum(1, true).remainder(2);
  for (int step = 0; step < 1000; ++step) {
    optimizer.zero_grad();
    grapes::backward(torch::mse_loss(model->forward(x), y), *model);
    optimizer.step();
  }
  grapes::LocalOptimizer local(optimizer, *model);
  local.step();
  const auto m = grapes::factor(at::tensor({1.0, 0.0, 1.0, -1.0, 3.0, 1.0}).reshape({3, 2}));
  std::cout << "correct: " << ((model->forward(x) > 0.5) == (y > 0.5)).sum().item<int>() << " of 64\n"
            << "factor: " << m.sum().item<double>() << "\n";
  try {
    grapes::nn::Linear(2, 8, grapes::Rule{.route = "bpp"});
  } catch (const c10::ValueError& error) {
    std::cout << error.what_without_backtrace() << "\n";
  }
  // The operations are registered, for Python and TorchScript.
  auto& dispatcher = c10::Dispatcher::singleton();
  for (const char* name : {"grapes::responsibility", "grapes::modulate", "grapes::feedback", "grapes::routes"})
    if (!dispatcher.findSchema({name, ""}).has_value()) std::cout << "no " << name << "\n";
  const auto again = dispatcher.findSchemaOrThrow("grapes::factor", "")
                         .typed<at::Tensor(const at::Tensor&, const grapes::OptionalTensor&, int64_t,
                                           const grapes::OptionalTensor&, double, double, double)>()
                         .call(at::tensor({1.0, 0.0, 1.0, -1.0, 3.0, 1.0}).reshape({3, 2}), {}, 0, {}, 2, 1, 2);
  std::cout << "by its schema: " << again.sum().item<double>() << "\n";
}
