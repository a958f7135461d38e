// GRAPES on a network of one's own: two operations, and LibTorch's autograd does the rest.
#include "grapes/core/modulate.h"

#include "grapes/core/responsibility.h"

#include <torch/torch.h>

#include <iostream>

int main() {
  // Three nodes with two inputs each. Responsibility: the sum of a node's absolute weights, here 1, 2 and 4.
  const at::Tensor W = at::tensor({1.0, 0.0, 1.0, -1.0, 3.0, 1.0}).reshape({3, 2}).requires_grad_();
  const at::Tensor x = at::tensor({1.0, 10.0}).reshape({1, 2});

  const at::Tensor m = grapes::factor(W);                      // clip(2 r / max r, 1, 2)
  const at::Tensor z = grapes::modulate(at::linear(x, W), m);  // the value is that of linear alone
  z.sum().backward();                                          // the error at each node is 1; times m below it

  std::cout << "factor   " << m.view({1, 3}) << "\ngradient " << W.grad() << "\n";
}
