#include <grapes/grapes.h>

#include <ATen/Functions.h>

#include <iostream>

int main() { std::cout << "factor: " << grapes::factor(at::ones({3, 2})).sum().item<double>() << "\n"; }
