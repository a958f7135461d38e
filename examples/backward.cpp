#include <grapes/grapes.h>
#include <torch/torch.h>

#include <iostream>

int main() {
  torch::nn::Sequential model(torch::nn::Linear(2, 8), torch::nn::Tanh(), torch::nn::Linear(8, 1));
  torch::optim::Adam optimizer(model->parameters(), 0.02);
  const auto x = torch::randint(2, {64, 2}, torch::kFloat), y = x.sum(1, true).remainder(2);  // exclusive or
  for (int step = 0; step < 1000; ++step) {
    optimizer.zero_grad();
    grapes::backward(torch::mse_loss(model->forward(x), y), *model);  // in place of loss.backward()
    optimizer.step();
  }
  std::cout << "correct: " << ((model->forward(x) > 0.5) == (y > 0.5)).sum().item<int>() << " of 64\n";
}
