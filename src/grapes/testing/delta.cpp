#include "grapes/testing/delta.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

namespace grapes::testing {
namespace {

at::Tensor value(const std::string& activation, const at::Tensor& a) {
  if (activation == "relu") return a.clamp_min(0);
  if (activation == "leaky_relu") return at::where(a > 0, a, a * 0.1);
  if (activation == "tanh") return a.tanh();
  if (activation == "sigmoid") return 1 / (1 + (-a).exp());
  if (activation == "scaled_tanh") return 1.7159 * (a * 0.6666).tanh();
  return a;
}

at::Tensor slope(const std::string& activation, const at::Tensor& a) {
  if (activation == "relu") return (a > 0).to(a.scalar_type());
  if (activation == "leaky_relu") return at::where(a > 0, at::ones_like(a), at::full_like(a, 0.1));
  if (activation == "tanh") return 1 - a.tanh().square();
  if (activation == "sigmoid") return value(activation, a) * (1 - value(activation, a));
  if (activation == "scaled_tanh") return 1.7159 * 0.6666 * (1 - (a * 0.6666).tanh().square());
  return at::ones_like(a);
}

}  // namespace

std::vector<at::Tensor> gradients(const Chain& chain, const at::Tensor& inputs, const at::Tensor& labels) {
  const at::NoGradGuard no_grad;
  const std::size_t L = chain.weights.size();
  std::vector<at::Tensor> h = {inputs}, a;
  for (std::size_t l = 0; l < L; ++l) {
    a.push_back(h.back().mm(chain.weights[l].t()));
    at::Tensor out = l + 1 < L ? value(chain.activation, a.back()) : a.back();
    if (l + 1 < L && !chain.masks.empty()) out = out * chain.masks[l];
    h.push_back(out);
  }
  const at::Tensor shifted = (a.back() - std::get<0>(a.back().max(1, true))).exp();
  const at::Tensor error =
      shifted / shifted.sum(1, true) - at::one_hot(labels, chain.weights.back().size(0)).to(inputs.scalar_type());

  std::vector<at::Tensor> delta(L);
  delta[L - 1] = error;
  const auto arrive = [&](std::size_t l, const at::Tensor& arriving) {
    delta[l] = arriving * slope(chain.activation, a[l]);
    if (!chain.masks.empty()) delta[l] = delta[l] * chain.masks[l];
    if (!chain.factors.empty() && !chain.local) delta[l] = delta[l] * chain.factors[l];
  };
  if (chain.route == "ifa") {
    for (std::size_t l = 0; l + 1 < L; ++l)
      arrive(l, l == 0 ? error.mm(chain.feedback[0].t()) : delta[l - 1].mm(chain.weights[l].t()));
  } else {
    for (std::size_t l = L - 1; l-- > 0;) {
      const at::Tensor& above = chain.weights[l + 1];
      if (chain.route == "bp") arrive(l, delta[l + 1].mm(above));
      if (chain.route == "fa" || chain.route == "kolen-pollack") arrive(l, delta[l + 1].mm(chain.feedback[l].t()));
      if (chain.route == "dfa") arrive(l, error.mm(chain.feedback[l].t()));
      if (chain.route == "sign-symmetric") arrive(l, delta[l + 1].mm(above.sign() * above.abs().mean()));
      if (chain.route == "usf") arrive(l, delta[l + 1].mm(above.sign() * chain.feedback[l]));
      if (chain.route == "brsf" || chain.route == "frsf")
        arrive(l, delta[l + 1].mm(above.sign() * chain.feedback[l].t().abs()));
    }
  }
  std::vector<at::Tensor> gradients;
  for (std::size_t l = 0; l < L; ++l) {
    const bool scaled = chain.local && !chain.factors.empty() && l + 1 < L;
    const at::Tensor own = scaled ? delta[l] * chain.factors[l] : delta[l];
    gradients.push_back(own.t().mm(h[l]) / inputs.size(0));
  }
  if (chain.route == "kolen-pollack")
    for (std::size_t l = 1; l < L; ++l) gradients.push_back(gradients[l].t());
  return gradients;
}

at::Tensor factor_by_hand(const at::Tensor& weight, double gain, double low, double high) {
  const at::Tensor W = weight.detach().to(at::kDouble).flatten(1).contiguous();
  std::vector<double> r(static_cast<std::size_t>(W.size(0)));
  for (std::int64_t n = 0; n < W.size(0); ++n)
    for (std::int64_t i = 0; i < W.size(1); ++i)
      r[static_cast<std::size_t>(n)] += std::abs(W.data_ptr<double>()[n * W.size(1) + i]);
  const double largest = *std::max_element(r.begin(), r.end());
  for (double& value : r) value = largest == 0 ? 1 : std::clamp(gain * value / largest, low, high);
  return at::tensor(r, at::kDouble);
}

}  // namespace grapes::testing
