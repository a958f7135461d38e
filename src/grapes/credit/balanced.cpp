#include "grapes/credit/balanced.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace grapes::credit {
namespace {

constexpr int most_sweeps = 100;  // about ten are needed, at any depth
constexpr double tolerance = 1e-13;

/// The absolute weights of a chain, as matrices in float64, and what is known of its scales.
class Chain {
 public:
  explicit Chain(const Weights& weights) {
    for (std::size_t l = 0; l < weights.layers.size(); ++l) {
      const at::Tensor W = weights.layers[l].detach().abs().to(at::kDouble);
      matrices_.push_back(W.dim() > 2 ? W.flatten(2).sum(2) : W);
      const bool biased = l < weights.biases.size() && weights.biases[l].defined();
      biases_.push_back(biased ? weights.biases[l].detach().abs().to(at::kDouble)
                               : at::zeros_like(matrices_[l].select(1, 0)));
      TORCH_CHECK_VALUE(std::isfinite((matrices_[l].sum() + biases_[l].sum()).item<double>()), "layer ", l + 1,
                        ": every weight must be finite");
    }
    forth_.push_back(at::ones_like(matrices_.front()[0]));
    for (const at::Tensor& matrix : matrices_) forth_.push_back(at::ones_like(matrix.select(1, 0)));
    back_ = forth_;
  }

  /// Σ_i |W_ji| s_i + |b_j| of the units j of hidden layer l, counted from 1.
  at::Tensor incoming(std::size_t l) const { return matrices_[l - 1].mv(forth_[l - 1]) + biases_[l - 1]; }
  /// Σ_k |W_kj| / s_k of the units j of hidden layer l.
  at::Tensor outgoing(std::size_t l) const { return matrices_[l].t().mv(back_[l + 1]); }
  std::size_t hidden() const { return matrices_.size() - 1; }

  /// Solves the equations of all layers, from the first to the last.
  /// @return largest change of log s
  double sweep() {
    std::vector<at::Tensor> out(hidden() + 1);  // out[0]: of the inputs
    for (std::size_t l = 0; l <= hidden(); ++l) out[l] = outgoing(l);
    const std::vector<double> scales = scales_of_layers(out);
    for (std::size_t l = 1; l <= hidden(); ++l) {
      forth_[l] = forth_[l] * scales[l];
      back_[l] = back_[l] / scales[l];
    }
    double change = 0;
    for (std::size_t l = 1; l <= hidden(); ++l) {
      const at::Tensor square = ratio(incoming(l), out[l] / scales[l + 1]);
      const at::Tensor on_path = square > 0, s = square.sqrt();
      change = std::max(change, at::where(on_path, (s * back_[l]).log(), at::zeros_like(s)).abs().max().item<double>());
      forth_[l] = s;
      back_[l] = at::where(on_path, 1 / s, at::zeros_like(s));
    }
    return change;
  }
  at::Tensor squares(std::size_t l) const {
    return at::where(forth_[l] > 0, forth_[l].square(), at::ones_like(forth_[l]));
  }

  /// a / b, or 0 for a unit on no path, whose edges then count for no other unit either.
  static at::Tensor ratio(const at::Tensor& a, const at::Tensor& b) {
    return at::where(a.gt(0).logical_and(b.gt(0)), a / b, at::zeros_like(a));
  }

 private:
  /// Solves the equations of one number per layer, t, by which all of its scales are multiplied. Without it, a sweep
  /// would change the relative scales of distant layers only little. With S_l = Σ |W_ji| s_i / s_j of the matrix below
  /// layer l, and C_l = Σ |b_j| / s_j:
  ///   t_l² = (S_l t_{l-1} + C_l) / (S_{l+1} / t_{l+1}),   t = 1 for inputs and outputs
  std::vector<double> scales_of_layers(const std::vector<at::Tensor>& out) const {
    std::vector<double> S(hidden() + 2), C(hidden() + 2), t(hidden() + 2, 1);
    for (std::size_t l = 1; l <= hidden() + 1; ++l) {
      S[l] = forth_[l - 1].dot(out[l - 1]).item<double>();
      C[l] = biases_[l - 1].dot(back_[l]).item<double>();
      if (!(S[l] > 0)) return std::vector<double>(hidden() + 2, 1);  // no path from an input to an output
    }
    double change = 1;
    for (int i = 0; i < 10000 && change > 1e-15; ++i) {
      change = 0;
      for (std::size_t l = 1; l <= hidden(); ++l) {
        const double next = std::sqrt((S[l] * t[l - 1] + C[l]) * t[l + 1] / S[l + 1]);
        change = std::max(change, std::abs(std::log(next / t[l])));
        t[l] = next;
      }
    }
    return t;
  }

  std::vector<at::Tensor> matrices_, biases_;
  std::vector<at::Tensor> forth_, back_;  // s and 1 / s, of the inputs and of each layer; 0 on no path
};

/// The factors of all layers from f of the hidden layers.
std::vector<Factors> on_both_sides(const Weights& weights, const std::vector<at::Tensor>& f) {
  std::vector<Factors> all(weights.layers.size());
  for (std::size_t l = 0; l < f.size(); ++l) {
    all[l].rows = f[l].to(weights.layers[l].options());
    all[l + 1].columns = (1 / f[l]).to(weights.layers[l].options());
  }
  return all;
}

}  // namespace

std::vector<at::Tensor> balancing(const Weights& weights) {
  Chain chain(weights);
  std::vector<at::Tensor> f;
  for (int i = 0; i < most_sweeps && chain.hidden() > 0 && chain.sweep() > tolerance; ++i) continue;
  for (std::size_t l = 1; l <= chain.hidden(); ++l) f.push_back(chain.squares(l));
  return f;
}

std::vector<at::Tensor> balancing_once(const Weights& weights) {
  const Chain chain(weights);
  std::vector<at::Tensor> f;
  for (std::size_t l = 1; l <= chain.hidden(); ++l) {
    const at::Tensor ratio = Chain::ratio(chain.incoming(l), chain.outgoing(l));
    f.push_back(at::where(ratio > 0, ratio, at::ones_like(ratio)));
  }
  return f;
}

std::vector<Factors> balanced(const Weights& weights, Random&) { return on_both_sides(weights, balancing(weights)); }

std::vector<Factors> balanced_once(const Weights& weights, Random&) {
  return on_both_sides(weights, balancing_once(weights));
}

std::vector<Factors> balanced_shuffled(const Weights& weights, Random& random) {
  std::vector<at::Tensor> f = balancing(weights);
  for (at::Tensor& one : f)
    one = one.index_select(0, at::tensor(permutation(one.size(0), random), at::kLong).to(one.device()));
  return on_both_sides(weights, f);
}

}  // namespace grapes::credit
