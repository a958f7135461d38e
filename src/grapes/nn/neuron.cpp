#include "grapes/nn/neuron.h"

#include "grapes/base/table.h"
#include "grapes/kernels/loops.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

namespace grapes::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor tanh_slope(const at::Tensor& u) { return 1 - u.tanh().square(); }
at::Tensor sigmoid_slope(const at::Tensor& u) { return u.sigmoid() * (1 - u.sigmoid()); }
at::Tensor fast_sigmoid_slope(const at::Tensor& u) { return 1 / (1 + u.abs()).square(); }
at::Tensor arctan_slope(const at::Tensor& u) { return 1 / (1 + (u * M_PI).square()); }
at::Tensor triangular_slope(const at::Tensor& u) { return (1 - u.abs()).clamp_min(0); }
at::Tensor rectangular_slope(const at::Tensor& u) { return (u.abs() < 0.5).to(u.scalar_type()); }

struct Spike : torch::autograd::Function<Spike> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const SurrogateRow* surrogate,
                            double width) {
    context->save_for_backward({x});
    context->saved_data["surrogate"] = surrogate - surrogates().data();
    context->saved_data["width"] = width;
    return (x > 0).to(x.scalar_type());
  }
  static variable_list backward(AutogradContext* context, variable_list errors) {
    const SurrogateRow& surrogate = surrogates()[static_cast<std::size_t>(context->saved_data["surrogate"].toInt())];
    const at::Tensor x = context->get_saved_variables()[0];
    return {errors[0] * surrogate.derivative(x / context->saved_data["width"].toDouble()), {}, {}};
  }
};

at::Tensor nonlinear(const std::string& g, const at::Tensor& x) {
  if (g == "relu") return at::relu(x);
  if (g == "leaky_relu") return at::leaky_relu(x, kernels::leaky_slope);
  return x;
}

}  // namespace

const std::vector<SurrogateRow>& surrogates() {
  using Fused = kernels::Surrogate;
  static const std::vector<SurrogateRow> rows = {
      {"tanh", "1 - tanh² u (Woźniak et al. 2020)", tanh_slope, Fused::tanh},
      {"sigmoid", "σ(u) (1 - σ(u)) (Zenke and Vogels 2021)", sigmoid_slope, Fused::sigmoid},
      {"fast_sigmoid", "1 / (1 + |u|)² (Zenke and Ganguli 2018)", fast_sigmoid_slope, Fused::fast_sigmoid},
      {"arctan", "1 / (1 + (π u)²) (Fang et al. 2021)", arctan_slope, Fused::arctan},
      {"triangular", "max(0, 1 - |u|) (Esser et al. 2016; Bellec et al. 2018)", triangular_slope, Fused::triangular},
      {"rectangular", "1 for |u| < 1/2, else 0 (Wu et al. 2018)", rectangular_slope, Fused::rectangular},
  };
  return rows;
}

at::Tensor spike(const at::Tensor& x, const SurrogateRow& surrogate, double width) {
  return Spike::apply(x, &surrogate, width);
}

const std::vector<ResetRow>& resets() {
  using Fused = kernels::Reset;
  static const std::vector<ResetRow> rows = {
      {"hard", "the membrane is multiplied by 1 - y (Woźniak et al. 2020)", Fused::hard},
      {"subtract", "θ y is subtracted from the membrane", Fused::subtract},
      {"none", "the membrane does not change", Fused::none},
      {"lateral", "lateral inhibition: the membrane is multiplied by 1 - the layer's largest y", Fused::lateral},
  };
  return rows;
}

void require_possible(const SnuRule& rule) {
  struct Name {
    std::string name;
  };
  find_row(std::vector<Name>{{"identity"}, {"relu"}, {"leaky_relu"}}, "g of a neuron", rule.g);
  find_row(std::vector<Name>{{"step"}, {"sigmoid"}}, "output of a neuron", rule.output);
  find_row(resets(), "reset", rule.reset);
  find_row(surrogates(), "surrogate", rule.surrogate);
  if (!(rule.width > 0) || !std::isfinite(rule.width))
    throw UsageError("width of a surrogate must be above 0; got " + shortest(rule.width));
}

SnuState step(const at::Tensor& current, const SnuState& before, const SnuParameters& parameters, const SnuRule& rule) {
  const at::Tensor y = rule.detach_reset ? before.output.detach() : before.output;
  at::Tensor kept = before.membrane;
  if (rule.reset == "hard") kept = kept * (1 - y);
  if (rule.reset == "lateral") kept = kept * (1 - y.amax(-1, true));
  if (rule.reset == "subtract") kept = kept - parameters.threshold * y;
  const at::Tensor s = nonlinear(rule.g, current + parameters.decay * kept);
  const at::Tensor x = s - parameters.threshold;
  if (rule.output == "sigmoid") return {s, x.sigmoid()};
  return {s, spike(x, find_row(surrogates(), "surrogate", rule.surrogate), rule.width)};
}

}  // namespace grapes::nn
