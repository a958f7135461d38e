// GRAPES on your own network: two operations, and LibTorch's autograd does the rest.
#include <grapes/grapes.h>
#include <torch/torch.h>

#include <iostream>

int main() {
  // Three units with two inputs each. Responsibility: the sum of a unit's absolute weights, here 1, 2 and 4.
  const at::Tensor W = at::tensor({1.0, 0.0, 1.0, -1.0, 3.0, 1.0}).reshape({3, 2}).requires_grad_();
  const at::Tensor x = at::tensor({1.0, 10.0}).reshape({1, 2});

  const at::Tensor m = grapes::factor(W);                      // clip(2 r / max r, 1, 2)
  const at::Tensor z = grapes::modulate(at::linear(x, W), m);  // the value is that of linear alone
  z.sum().backward();                                          // the error at each unit is 1; m multiplies it

  std::cout << "factor   " << m.view({1, 3}) << "\ngradient " << W.grad() << "\n";
}
