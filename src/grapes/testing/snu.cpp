#include "grapes/testing/snu.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace grapes::testing {
namespace {

/// v(i, j, k) of a contiguous tensor.
struct View {
  explicit View(at::Tensor tensor) : t(tensor.contiguous()) {}
  double& operator()(std::int64_t i) { return t.data_ptr<double>()[i]; }
  double& operator()(std::int64_t i, std::int64_t j) { return t.data_ptr<double>()[i * t.size(1) + j]; }
  double& operator()(std::int64_t i, std::int64_t j, std::int64_t k) {
    return t.data_ptr<double>()[(i * t.size(1) + j) * t.size(2) + k];
  }
  at::Tensor t;
};

View or_zeros(const at::Tensor& per_unit, std::int64_t n) {
  return View(per_unit.defined() ? per_unit : at::zeros({n}, at::kDouble));
}

double g_slope(const std::string& g, double s) {
  if (s > 0 || g == "identity") return 1;
  return g == "relu" ? 0 : 0.1;
}

}  // namespace

double surrogate_by_hand(const std::string& name, double u) {
  const double size = std::abs(u);
  if (name == "tanh") return 1 - std::tanh(u) * std::tanh(u);
  if (name == "sigmoid") return std::exp(-u) / ((1 + std::exp(-u)) * (1 + std::exp(-u)));
  if (name == "fast_sigmoid") return 1 / ((1 + size) * (1 + size));
  if (name == "arctan") return 1 / (1 + M_PI * u * M_PI * u);
  if (name == "triangular") return size < 1 ? 1 - size : 0;
  return size < 0.5 ? 1 : 0;
}

/// y of the state after step t; at a missing step, that of the step before.
static std::vector<View> states(const SnuCase& c, const SnuValues& v) {
  std::vector<View> all;
  at::Tensor y = c.y0;
  for (std::int64_t t = 0; t < c.x.size(0); ++t) {
    y = at::where(c.present[t].unsqueeze(1), v.y[t], y);
    all.emplace_back(y);
  }
  return all;
}

SnuValues forward(const SnuCase& c) {
  const std::int64_t T = c.x.size(0), B = c.x.size(1), I = c.x.size(2), N = c.W.size(0);
  View x(c.x), W(c.W), d(c.decay), theta(c.theta), s(at::zeros({T, B, N}, at::kDouble)), y(s.t.clone());
  View R(c.recurrent ? c.R : at::zeros({N, N}, at::kDouble)), before_s(c.s0.clone()), before_y(c.y0.clone());
  View current(at::zeros({B, N}, at::kDouble));
  View bias = or_zeros(c.bias, N), rho = or_zeros(c.rho, N), alpha = or_zeros(c.alpha, N);
  for (std::int64_t t = 0; t < T; ++t)
    for (std::int64_t b = 0; b < B; ++b) {
      if (!c.present[t][b].item<bool>()) {
        for (std::int64_t n = 0; n < N; ++n) s(t, b, n) = before_s(b, n);
        continue;
      }
      double top = before_y(b, 0);
      for (std::int64_t n = 0; n < N; ++n) top = std::max(top, before_y(b, n));
      std::vector<double> next_y;
      for (std::int64_t n = 0; n < N; ++n) {
        double a = 0, kept = before_s(b, n);
        for (std::int64_t i = 0; i < I; ++i) a += W(n, i) * x(t, b, i);
        for (std::int64_t j = 0; j < N; ++j) a += R(n, j) * before_y(b, j);
        a += bias(n) + alpha(n) * current(b, n);
        current(b, n) = a;
        if (c.reset == "hard") kept = kept * (1 - before_y(b, n)) + rho(n) * before_y(b, n);
        if (c.reset == "lateral") kept *= 1 - top;
        if (c.reset == "subtract") kept -= theta(n) * before_y(b, n);
        a += d(n) * kept;
        s(t, b, n) = a * g_slope(c.g, a);
        const double over = s(t, b, n) - theta(n);
        y(t, b, n) = c.output == "sigmoid" ? 1 / (1 + std::exp(-over)) : over > 0 ? 1 : 0;
      }
      for (std::int64_t n = 0; n < N; ++n) {
        before_s(b, n) = s(t, b, n);
        before_y(b, n) = y(t, b, n);
      }
    }
  return {y.t, s.t};
}

SnuGradients backward(const SnuCase& c, const SnuValues& values, const at::Tensor& error_y, const at::Tensor& error_s) {
  const std::int64_t T = c.x.size(0), B = c.x.size(1), I = c.x.size(2), N = c.W.size(0);
  View x(c.x), W(c.W), d(c.decay), theta(c.theta), m(c.m), s(values.s), ey(error_y), es(error_s);
  View R(c.recurrent ? c.R : at::zeros({N, N}, at::kDouble));
  std::vector<View> y = states(c, values);
  View gx(at::zeros_like(c.x)), gW(at::zeros_like(c.W)), gR(at::zeros({N, N}, at::kDouble));
  View gd(at::zeros_like(c.decay)), gtheta(at::zeros_like(c.theta)), s0(c.s0), y0(c.y0);
  View to_s(at::zeros({B, N}, at::kDouble)), to_y(to_s.t.clone());  // dL/ds_t, dL/dy_t from later steps
  View rho = or_zeros(c.rho, N), alpha = or_zeros(c.alpha, N), gb = or_zeros({}, N);
  View to_c(to_s.t.clone());  // the error at the current of the next step
  for (std::int64_t t = T; t-- > 0;) {
    for (std::int64_t b = 0; b < B; ++b) {
      if (!c.present[t][b].item<bool>()) {
        for (std::int64_t n = 0; n < N; ++n) to_s(b, n) += es(t, b, n);
        continue;
      }
      const auto s_before = [&](std::int64_t n) { return t > 0 ? s(t - 1, b, n) : s0(b, n); };
      const auto y_before = [&](std::int64_t n) { return t > 0 ? y[static_cast<std::size_t>(t - 1)](b, n) : y0(b, n); };
      double top = y_before(0), tops = 0;
      for (std::int64_t n = 0; n < N; ++n) top = std::max(top, y_before(n));
      for (std::int64_t n = 0; n < N; ++n) tops += y_before(n) == top ? 1 : 0;
      std::vector<double> delta(static_cast<std::size_t>(N)), next_s(delta), next_y(delta);
      for (std::int64_t n = 0; n < N; ++n) {
        const double over = s(t, b, n) - theta(n), out = values.y.data_ptr<double>()[(t * B + b) * N + n];
        const double h = c.output == "sigmoid" ? out * (1 - out) : surrogate_by_hand(c.surrogate, over / c.width);
        const double at_y = (ey(t, b, n) + to_y(b, n)) * h;
        gtheta(n) -= at_y;
        delta[static_cast<std::size_t>(n)] = (at_y + to_s(b, n) + es(t, b, n)) * g_slope(c.g, s(t, b, n));
      }
      double inhibition = 0;
      for (std::int64_t n = 0; n < N; ++n) {
        const auto k = static_cast<std::size_t>(n);
        const double error = delta[k], flow = c.detach_reset ? 0 : 1;
        next_s[k] = error * d(n);
        if (c.reset == "none") gd(n) += error * s_before(n);
        if (c.reset == "hard") {
          gd(n) += error * (s_before(n) * (1 - y_before(n)) + rho(n) * y_before(n));
          next_s[k] = error * d(n) * (1 - y_before(n));
          next_y[k] -= flow * error * d(n) * (s_before(n) - rho(n));
        }
        if (c.reset == "lateral") {
          gd(n) += error * s_before(n) * (1 - top);
          next_s[k] = error * d(n) * (1 - top);
          inhibition -= flow * error * d(n) * s_before(n);
        }
        if (c.reset == "subtract") {
          gd(n) += error * (s_before(n) - theta(n) * y_before(n));
          gtheta(n) -= error * d(n) * y_before(n);
          next_y[k] -= flow * error * d(n) * theta(n);
        }
        // Membrane and reset receive the error at s; weights receive that at the current, which persists.
        const double at_current = error + alpha(n) * to_c(b, n);
        to_c(b, n) = at_current;
        delta[k] = at_current;
        const double own = m(n) * at_current, traveling = c.local ? at_current : own;
        for (std::int64_t i = 0; i < I; ++i) {
          gW(n, i) += own * x(t, b, i);
          gx(t, b, i) += traveling * W(n, i);
        }
        for (std::int64_t j = 0; j < N; ++j) gR(n, j) += own * y_before(j);
        gb(n) += own;
      }
      for (std::int64_t j = 0; j < N; ++j) {
        double back = next_y[static_cast<std::size_t>(j)];
        if (y_before(j) == top) back += inhibition / tops;
        for (std::int64_t n = 0; n < N && !c.eprop; ++n)
          back += R(n, j) * delta[static_cast<std::size_t>(n)] * (c.compounding ? m(n) : 1);
        to_y(b, j) = back;
        to_s(b, j) = next_s[static_cast<std::size_t>(j)];
      }
    }
    if (c.truncate > 0 && t > 0 && t % c.truncate == 0) {
      to_s.t.zero_();
      to_y.t.zero_();
      to_c.t.zero_();
    }
  }
  return {gx.t, gW.t, gR.t, gd.t, gtheta.t, to_s.t, to_y.t, gb.t};
}

}  // namespace grapes::testing
