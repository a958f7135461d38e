// The factors of a layer with random weights. The three projects in this folder build this program.
#include <grapes/grapes.h>
#include <torch/torch.h>

#include <iostream>

int main() {
  const torch::nn::Linear layer(100, 10);
  const at::Tensor m = grapes::factor(layer->weight);
  std::cout << m.numel() << " factors, the largest is " << m.max().item<double>() << "\n";
}
