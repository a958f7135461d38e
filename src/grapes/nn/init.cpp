#include "grapes/nn/init.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace grapes::nn {

const std::vector<Initializer>& initializers() {
  static const std::vector<Initializer> rows = {
      {"he_uniform", "uniform in ±√(6/n_in) (He et al. 2015)",
       [](double n_in, double, double, Random& random) { return random.uniform(-1, 1) * std::sqrt(6 / n_in); }},
      {"he", "normal with standard deviation √(2/n_in) (He et al. 2015)",
       [](double n_in, double, double, Random& random) { return random.normal() * std::sqrt(2 / n_in); }},
      {"he_truncated", "normal as he, truncated at two standard deviations",
       [](double n_in, double, double, Random& random) {
         double x = random.normal();
         while (std::abs(x) > 2) x = random.normal();
         return x * std::sqrt(2 / n_in);
       }},
      {"xavier", "uniform in ±√(6/(n_in + n_out)) (Glorot and Bengio 2010)",
       [](double n_in, double n_out, double, Random& random) {
         return random.uniform(-1, 1) * std::sqrt(6 / (n_in + n_out));
       }},
      {"nokland", "uniform in ±1/√n_in (Nøkland 2016)",
       [](double n_in, double, double, Random& random) { return random.uniform(-1, 1) / std::sqrt(n_in); }},
      {"ciresan", "uniform in ±0.05 (Cireşan et al. 2010)",
       [](double, double, double, Random& random) { return random.uniform(-0.05, 0.05); }},
      {"lognormal", "random sign, and |w| log-normal with log-sigma and the mean square 2/n_in of he",
       [](double n_in, double, double sigma, Random& random) {
         const double size = std::exp(sigma * random.normal() - sigma * sigma) * std::sqrt(2 / n_in);
         return random.uniform(-1, 1) < 0 ? -size : size;
       }},
      {"zero", "0", [](double, double, double, Random&) { return 0.0; }},
  };
  return rows;
}

at::Tensor initialize(const Initializer& initializer, at::IntArrayRef shape, Random& random,
                      const at::TensorOptions& options, double sigma, const at::Tensor& mask) {
  double n_in = 1, n_out = static_cast<double>(shape[0]);
  for (const auto size : shape.slice(1)) n_in *= static_cast<double>(size);
  for (const auto size : shape.slice(std::min<std::size_t>(2, shape.size()))) n_out *= static_cast<double>(size);
  const auto inputs = static_cast<std::int64_t>(n_in);
  at::Tensor weight = at::empty(shape, at::kDouble);
  double* values = weight.data_ptr<double>();
  for (std::int64_t unit = 0; unit < shape[0]; ++unit) {
    if (mask.defined()) n_in = mask[unit].sum().item<double>();
    for (std::int64_t i = 0; i < inputs; ++i) *values++ = initializer.draw(n_in, n_out, sigma, random);
  }
  if (mask.defined()) weight.mul_(mask);
  return weight.to(options);
}

}  // namespace grapes::nn
