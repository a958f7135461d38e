#include "grapes/kernels/update.h"

#include "grapes/kernels/bfloat16.h"
#include "grapes/kernels/gemm.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/threads.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <vector>

namespace grapes::kernels {
namespace {

struct Constants {
  Rate rate{0};
  double a = 0, b = 0, epsilon = 0, correct1 = 1, correct2 = 1;
};

/// Whether the loops compute this product themselves, in pieces. Larger batches need several sums for each number, in
/// the order of gemm().
bool in_pieces(const Gradient& g, at::ScalarType dtype) {
  const std::int64_t batch = g.delta.size(0);
  return dtype == at::kFloat && g.delta.scalar_type() == dtype && batch > 0 && batch <= block_depth &&
         by_own_loops<float>();
}

/// Runs a loop on rows begin ... end-1 of a weight whose gradient is δᵀ h.
template <class T, class Loop>
void update_rows(Loop loop, const Coefficients<T>& numbers, Rows<T> w, const Gradient& g, std::int64_t begin,
                 std::int64_t end) {
  const std::int64_t batch = g.delta.size(0), all = w.rows, copy = batch * widest_tile;
  thread_local std::vector<T> room;
  room.resize(std::max(room.size(), static_cast<std::size_t>(copy + (end - begin) * 16)));
  const Product<T> product{end - begin,       w.columns, batch,      g.delta.data_ptr<T>() + begin, 1, all,
                           g.h.data_ptr<T>(), w.columns, room.data()};
  for (T** memory : {&w.weight, &w.state1, &w.state2})
    if (*memory != nullptr) *memory += begin * w.columns;
  if (w.sums != nullptr) w.sums += begin;
  w.rows = end - begin;
  w.product = &product;
  w.parts = room.data() + copy;
  loop(numbers, w);
}

/// Runs the loop that `rule` selects on W. @return false if W is not fusable(); then nothing was done
template <class Rule>
bool fused(const Parameter& W, const Gradient& g, const at::Tensor& state1, const at::Tensor& state2,
           const Constants& numbers, Rule rule) {
  const at::Tensor& weight = W.value;
  const at::ScalarType dtype = weight.scalar_type();
  for (const at::Tensor* tensor : {&weight, &g.value, &state1, &state2})
    if (tensor->defined() && (!fusable(*tensor) || tensor->scalar_type() != dtype)) return false;
  if (weight.numel() == 0) return true;
  if (g.delta.defined() && !in_pieces(g, dtype)) return fused(W, g.numbers(dtype), state1, state2, numbers, rule);
  AT_DISPATCH_FLOATING_TYPES(dtype, "update", [&] {
    using T = scalar_t;
    const auto pointer = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.data_ptr<T>() : nullptr; };
    const auto number = [](double value) { return static_cast<T>(value); };
    Rows<T> all{W.sums || g.delta.defined() ? weight.size(0) : 1,
                0,
                pointer(weight),
                pointer(g.value),
                pointer(state1),
                pointer(state2),
                W.sums ? pointer(W.sums->room(weight)) : nullptr};
    all.columns = weight.numel() / all.rows;
    const Coefficients<T> coefficients{number(numbers.rate.rate), number(numbers.rate.decay), number(numbers.a),
                                       number(numbers.b),         number(numbers.epsilon),    number(numbers.correct1),
                                       number(numbers.correct2)};
    const auto loop = rule(loops<T>());
    if (!g.delta.defined()) return loop(coefficients, all);
    in_parallel(all.rows, weight.numel() * g.delta.size(0),
                [&](std::int64_t begin, std::int64_t end) { update_rows<T>(loop, coefficients, all, g, begin, end); });
  });
  torch::autograd::impl::bump_version(weight);
  if (W.sums) W.sums->keep(weight);
  return true;
}

/// g + λ W
at::Tensor decayed(const at::Tensor& g, const at::Tensor& W, double decay) { return decay == 0 ? g : g.add(W, decay); }

/// result = alpha · δᵀ h + beta · result
void multiply(double alpha, const Gradient& g, double beta, const at::Tensor& result) {
  const std::int64_t batch = g.h.size(0), rows = result.size(0), columns = result.size(1);
  const auto by = [&](auto factor, auto number) {
    using F = decltype(factor);
    using T = decltype(number);
    gemm(static_cast<T>(alpha), transposed(Matrix<const F>{g.delta.data_ptr<F>(), batch, rows, rows}),
         Matrix<const F>{g.h.data_ptr<F>(), batch, columns, columns}, static_cast<T>(beta),
         Matrix<T>{result.data_ptr<T>(), rows, columns, columns});
  };
  if (g.h.scalar_type() == at::kBFloat16)
    by(c10::BFloat16{}, float{});
  else
    AT_DISPATCH_FLOATING_TYPES(result.scalar_type(), "update", [&] { by(scalar_t{}, scalar_t{}); });
}

/// W -= rate · δᵀ h without a gradient in memory. @return false if W is not fusable()
bool subtract(const Parameter& W, const Gradient& g, double rate) {
  if (!fusable(W.value)) return false;
  multiply(-rate, g, 1, W.value);
  if (W.sums)
    AT_DISPATCH_FLOATING_TYPES(W.value.scalar_type(), "sgd", [&] {
      loops<scalar_t>().abs_sums(W.value.data_ptr<scalar_t>(), W.value.size(0), W.value.size(1),
                                 W.sums->room(W.value).template data_ptr<scalar_t>());
    });
  torch::autograd::impl::bump_version(W.value);
  if (W.sums) W.sums->keep(W.value);
  return true;
}

}  // namespace

at::Tensor Gradient::numbers(at::ScalarType dtype) const {
  if (value.defined()) return value;
  const at::Tensor product = at::empty({delta.size(1), h.size(1)}, delta.options().dtype(dtype));
  multiply(1, *this, 0, product);
  return product;
}

void sgd(const Parameter& W, const Gradient& g, Rate rate) {
  const at::ScalarType dtype = W.value.scalar_type();
  if (g.delta.defined() && rate.decay == 0 && !in_pieces(g, dtype) && subtract(W, g, rate.rate)) return;
  if (!fused(W, g, {}, {}, {rate}, [](const auto& table) { return table.sgd; })) plain::sgd(W, g.numbers(dtype), rate);
}

void momentum(const Parameter& W, const Gradient& g, const at::Tensor& v, Rate rate, double mu) {
  if (!fused(W, g, v, {}, {rate, mu}, [](const auto& table) { return table.momentum; }))
    plain::momentum(W, g.numbers(W.value.scalar_type()), v, rate, mu);
}

void nag_ahead(const Parameter& W, const at::Tensor& v, const at::Tensor& rest, double mu) {
  if (!fused(W, at::Tensor(), v, rest, {{0}, mu}, [](const auto& table) { return table.nag_ahead; }))
    plain::nag_ahead(W, v, rest, mu);
}

void nag(const Parameter& W, const Gradient& g, const at::Tensor& v, const at::Tensor& rest, Rate rate, double mu) {
  if (!fused(W, g, v, rest, {rate, mu}, [](const auto& table) { return table.nag; }))
    plain::nag(W, g.numbers(W.value.scalar_type()), v, rest, rate, mu);
}

void rmsprop(const Parameter& W, const Gradient& g, const at::Tensor& q, Rate rate, double rho, double epsilon) {
  if (!fused(W, g, q, {}, {rate, rho, 0, epsilon}, [](const auto& table) { return table.rmsprop; }))
    plain::rmsprop(W, g.numbers(W.value.scalar_type()), q, rate, rho, epsilon);
}

void adam(const Parameter& W, const Gradient& g, const at::Tensor& m, const at::Tensor& v, Rate rate,
          const AdamNumbers& n) {
  if (!fused(W, g, m, v, {rate, n.beta1, n.beta2, n.epsilon, n.correct1, n.correct2},
             [](const auto& table) { return table.adam; }))
    plain::adam(W, g.numbers(W.value.scalar_type()), m, v, rate, n);
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
