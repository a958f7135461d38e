#include "grapes/kernels/update.h"

#include "grapes/kernels/instruction_set.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/variable.h>

namespace grapes::kernels {
namespace {

struct Numbers {
  Rate rate{0};
  double a = 0, b = 0, epsilon = 0, correct1 = 1, correct2 = 1;
};

/// Runs the loop that `rule` selects on W. @return false if W is not fusable(); then nothing was done
template <class Rule>
bool fused(const Parameter& W, const at::Tensor& g, const at::Tensor& state1, const at::Tensor& state2,
           const Numbers& numbers, Rule rule) {
  const at::Tensor& weight = W.value;
  for (const at::Tensor* tensor : {&weight, &g, &state1, &state2})
    if (tensor->defined() && (!fusable(*tensor) || tensor->scalar_type() != weight.scalar_type())) return false;
  if (weight.numel() == 0) return true;
  AT_DISPATCH_FLOATING_TYPES(weight.scalar_type(), "update", [&] {
    using T = scalar_t;
    const auto pointer = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.data_ptr<T>() : nullptr; };
    const auto number = [](double value) { return static_cast<T>(value); };
    const std::int64_t rows = W.sums ? weight.size(0) : 1;
    rule(loops<T>())(
        Coefficients<T>{number(numbers.rate.rate), number(numbers.rate.decay), number(numbers.a), number(numbers.b),
                        number(numbers.epsilon), number(numbers.correct1), number(numbers.correct2)},
        Rows<T>{rows, weight.numel() / rows, pointer(weight), pointer(g), pointer(state1), pointer(state2),
                W.sums ? pointer(W.sums->room(weight)) : nullptr});
  });
  torch::autograd::impl::bump_version(weight);
  if (W.sums) W.sums->keep(weight);
  return true;
}

/// g + λ W
at::Tensor decayed(const at::Tensor& g, const at::Tensor& W, double decay) { return decay == 0 ? g : g.add(W, decay); }

}  // namespace

void sgd(const Parameter& W, const at::Tensor& g, Rate rate) {
  if (!fused(W, g, {}, {}, {rate}, [](const auto& table) { return table.sgd; })) plain::sgd(W, g, rate);
}

void momentum(const Parameter& W, const at::Tensor& g, const at::Tensor& v, Rate rate, double mu) {
  if (!fused(W, g, v, {}, {rate, mu}, [](const auto& table) { return table.momentum; }))
    plain::momentum(W, g, v, rate, mu);
}

void nag_ahead(const Parameter& W, const at::Tensor& v, const at::Tensor& rest, double mu) {
  if (!fused(W, {}, v, rest, {{0}, mu}, [](const auto& table) { return table.nag_ahead; }))
    plain::nag_ahead(W, v, rest, mu);
}

void nag(const Parameter& W, const at::Tensor& g, const at::Tensor& v, const at::Tensor& rest, Rate rate, double mu) {
  if (!fused(W, g, v, rest, {rate, mu}, [](const auto& table) { return table.nag; }))
    plain::nag(W, g, v, rest, rate, mu);
}

void rmsprop(const Parameter& W, const at::Tensor& g, const at::Tensor& q, Rate rate, double rho, double epsilon) {
  if (!fused(W, g, q, {}, {rate, rho, 0, epsilon}, [](const auto& table) { return table.rmsprop; }))
    plain::rmsprop(W, g, q, rate, rho, epsilon);
}

void adam(const Parameter& W, const at::Tensor& g, const at::Tensor& m, const at::Tensor& v, Rate rate,
          const AdamNumbers& n) {
  if (!fused(W, g, m, v, {rate, n.beta1, n.beta2, n.epsilon, n.correct1, n.correct2},
             [](const auto& table) { return table.adam; }))
    plain::adam(W, g, m, v, rate, n);
}

namespace plain {

void sgd(const Parameter& W, const at::Tensor& g, Rate rate) {
  const at::NoGradGuard no_grad;
  W.value.sub_(decayed(g, W.value, rate.decay), rate.rate);
}

void momentum(const Parameter& W, const at::Tensor& g, const at::Tensor& v, Rate rate, double mu) {
  const at::NoGradGuard no_grad;
  v.mul_(mu).add_(decayed(g, W.value, rate.decay), rate.rate);
  W.value.sub_(v);
}

void nag_ahead(const Parameter& W, const at::Tensor& v, const at::Tensor& rest, double mu) {
  const at::NoGradGuard no_grad;
  rest.copy_(W.value);
  W.value.sub_(v, mu);
}

void nag(const Parameter& W, const at::Tensor& g, const at::Tensor& v, const at::Tensor& rest, Rate rate, double mu) {
  const at::NoGradGuard no_grad;
  v.mul_(mu).add_(decayed(g, W.value, rate.decay), rate.rate);
  W.value.copy_(rest).sub_(v);
}

void rmsprop(const Parameter& W, const at::Tensor& gradient, const at::Tensor& q, Rate rate, double rho,
             double epsilon) {
  const at::NoGradGuard no_grad;
  const at::Tensor g = decayed(gradient, W.value, rate.decay);
  q.mul_(rho).addcmul_(g, g, 1 - rho);
  W.value.addcdiv_(g, (q + epsilon).sqrt_(), -rate.rate);
}

void adam(const Parameter& W, const at::Tensor& gradient, const at::Tensor& m, const at::Tensor& v, Rate rate,
          const AdamNumbers& n) {
  const at::NoGradGuard no_grad;
  const at::Tensor g = decayed(gradient, W.value, rate.decay);
  m.mul_(n.beta1).add_(g, 1 - n.beta1);
  v.mul_(n.beta2).addcmul_(g, g, 1 - n.beta2);
  W.value.addcdiv_(m, (v / n.correct2).sqrt_().add_(n.epsilon), -rate.rate / n.correct1);
}

}  // namespace plain
}  // namespace grapes::kernels
