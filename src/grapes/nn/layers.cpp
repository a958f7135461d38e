#include "grapes/nn/layers.h"

#include "grapes/base/table.h"
#include "grapes/core/attach.h"
#include "grapes/core/compat.h"
#include "grapes/core/feedback.h"
#include "grapes/core/modulate.h"
#include "grapes/credit/layers.h"
#include "grapes/credit/modulation.h"

#include <torch/nn/init.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

namespace grapes::nn {
namespace {

at::Tensor feedback_weights(at::IntArrayRef shape, std::int64_t nodes) {
  const double bound = 1 / std::sqrt(static_cast<double>(nodes));
  return torch::empty(shape).uniform_(-bound, bound);
}

/// As torch::nn draws them.
void draw(at::Tensor& weight, at::Tensor& bias) {
  torch::nn::init::kaiming_uniform_(weight, std::sqrt(5.0));
  if (!bias.defined()) return;
  const double bound = 1 / std::sqrt(static_cast<double>(weight[0].numel()));
  torch::nn::init::uniform_(bias, -bound, bound);
}

/// z(W, b) with the error at its nodes, which lie along `dim`, or only W's and b's gradients, times m.
at::Tensor scaled(const Routed& layer, const at::Tensor& m, bool local, std::int64_t dim,
                  const std::function<at::Tensor(const at::Tensor&, const at::Tensor&)>& z) {
  if (!m.defined()) return z(layer.weight, layer.bias);
  if (!local) {
    const at::Tensor y = z(layer.weight, layer.bias);
    if (layer.feeds_back()) return modulate(y, m, dim);
    attach(y, m, dim);  // a hook is cheaper than modulate()'s node, and an activation after it may work in place
    return y;
  }
  return z(modulate(layer.weight, m, 0), layer.bias.defined() ? modulate(layer.bias, m, 0) : layer.bias);
}

}  // namespace

CreditOptions plain(std::string route) {
  CreditOptions options;
  options.route = std::move(route);
  options.modulation = "none";
  return options;
}

Routed::Routed(CreditOptions credit, std::string kind) : credit_(std::move(credit)), kind_(std::move(kind)) {
  const std::string& route = credit_.route;
  TORCH_CHECK(route == "bp" || route == "fa" || route == "sign-symmetric" || route == "dfa", "grapes::nn::", kind_,
              ": there is no route '", route, "'; there are bp, fa, sign-symmetric, dfa");
  find_row(credit::modulations(), "modulation", credit_.modulation);
  using Clip = CreditOptions::Clip;
  if (credit_.clip == Clip::by_route) credit_.clip = route == "fa" || route == "dfa" ? Clip::none : Clip::range;
  TORCH_CHECK(credit_.gain > 0 && credit_.low >= 0 && credit_.low <= credit_.high, "grapes::nn::", kind_,
              ": gain must be above 0 and the range satisfy 0 <= low <= high; got ", credit_.gain, " and [",
              credit_.low, ", ", credit_.high, "]");
}

bool Routed::is_local() const { return find_row(credit::modulations(), "modulation", credit_.modulation).local; }

at::Tensor Routed::factor() const { return factor(at::Tensor()); }

at::Tensor Routed::factor(const at::Tensor& recurrent) const {
  credit::FactorOptions options;
  options.modulation = credit_.modulation;
  options.constants = {credit_.constant};
  options.gain = credit_.gain;
  const bool clipped = credit_.clip == CreditOptions::Clip::range;
  options.low = clipped ? credit_.low : 0;
  options.high = clipped ? credit_.high : credit_.gain;
  options.seed = credit_.seed;
  credit::Layer layer;
  layer.names = {"grapes::nn::" + kind_};
  layer.weight = weight;
  layer.recurrent = recurrent;
  return credit::layer_factor(layer, {}, options, 0, batch_);
}

at::Tensor Routed::next_factor(const at::Tensor& recurrent) {
  if (!at::GradMode::is_enabled()) return {};
  const at::Tensor m = factor(recurrent);
  ++batch_;
  return m;
}

at::Tensor Routed::signs() const {
  const at::Tensor W = weight.detach();
  return W.sign().mul(W.abs().mean());
}

LinearImpl::LinearImpl(const torch::nn::LinearOptions& options, CreditOptions credit)
    : Routed(std::move(credit), "Linear"), options_(options) {
  reset();
}

void LinearImpl::reset() {
  const std::int64_t in = options_.in_features(), out = options_.out_features();
  weight = register_parameter("weight", torch::empty({out, in}));
  bias = register_parameter("bias", options_.bias() ? torch::empty({out}) : at::Tensor(), options_.bias());
  draw(weight, bias);
  if (credit().route == "fa") feedback = register_buffer("feedback", feedback_weights({in, out}, out));
}

at::Tensor LinearImpl::forward(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 2 && x.size(1) == options_.in_features(), "grapes::nn::Linear: x must be [batch, ",
              options_.in_features(), "]; got ", x.sizes());
  const at::Tensor below = credit().route == "bp" ? x : x.detach();
  const auto z = [&](const at::Tensor& W, const at::Tensor& b) {
    const at::Tensor y = at::linear(below, W, b.defined() ? OptionalTensor(b) : OptionalTensor());
    if (credit().route == "fa") return grapes::feedback(y, x, feedback);
    if (credit().route == "sign-symmetric") return grapes::feedback(y, x, signs().t());
    return y;
  };
  return scaled(*this, next_factor(), is_local(), 1, z);
}

Conv2dImpl::Conv2dImpl(const torch::nn::Conv2dOptions& options, CreditOptions credit)
    : Routed(std::move(credit), "Conv2d"), options_(options), padding_(0) {
  // By argument-dependent lookup: the variant is c10's in LibTorch 1.13 and the standard library's in 2.x.
  const auto* numbers = get_if<torch::ExpandingArray<2>>(&options.padding());
  TORCH_CHECK(numbers != nullptr && get_if<torch::enumtype::kZeros>(&options.padding_mode()) != nullptr,
              "grapes::nn::Conv2d: padding must be numbers, with zeros");
  padding_ = *numbers;
  reset();
}

void Conv2dImpl::reset() {
  const std::int64_t in = options_.in_channels(), out = options_.out_channels(), groups = options_.groups();
  TORCH_CHECK(groups > 0 && in % groups == 0 && out % groups == 0,
              "grapes::nn::Conv2d: channels must be divisible by groups; got ", in, " to ", out, " in ", groups);
  const torch::ExpandingArray<2>& kernel = options_.kernel_size();
  const std::vector<std::int64_t> shape = {out, in / groups, kernel->at(0), kernel->at(1)};
  weight = register_parameter("weight", torch::empty(shape));
  bias = register_parameter("bias", options_.bias() ? torch::empty({out}) : at::Tensor(), options_.bias());
  draw(weight, bias);
  if (credit().route == "fa")
    feedback = register_buffer("feedback", feedback_weights(shape, out / groups * kernel->at(0) * kernel->at(1)));
}

at::Tensor Conv2dImpl::forward(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 4 && x.size(1) == options_.in_channels(), "grapes::nn::Conv2d: x must be [batch, ",
              options_.in_channels(), ", height, width]; got ", x.sizes());
  const at::IntArrayRef stride = *options_.stride(), padding = *padding_, dilation = *options_.dilation();
  const std::int64_t groups = options_.groups();
  const at::Tensor below = credit().route == "bp" ? x : x.detach();
  const auto z = [&](const at::Tensor& W, const at::Tensor& b) {
    const OptionalTensor has = b.defined() ? OptionalTensor(b) : OptionalTensor();
    const at::Tensor y = at::conv2d(below, W, has, stride, padding, dilation, groups);
    if (credit().route == "fa") return feedback_convolution(y, x, feedback, stride, padding, dilation, groups);
    if (credit().route == "sign-symmetric")
      return feedback_convolution(y, x, signs(), stride, padding, dilation, groups);
    return y;
  };
  return scaled(*this, next_factor(), is_local(), 1, z);
}

RecurrentImpl::RecurrentImpl(std::int64_t in, std::int64_t nodes, CreditOptions credit)
    : Routed(std::move(credit), "Recurrent"), in_(in), nodes_(nodes) {
  reset();
}

void RecurrentImpl::reset() {
  weight = register_parameter("weight", torch::empty({nodes_, in_}));
  recurrent = register_parameter("recurrent", torch::empty({nodes_, nodes_}));
  bias = register_parameter("bias", torch::empty({nodes_}));
  const double bound = 1 / std::sqrt(static_cast<double>(nodes_));  // as torch::nn::RNN
  for (at::Tensor* parameter : {&weight, &recurrent, &bias}) torch::nn::init::uniform_(*parameter, -bound, bound);
  if (credit().route == "fa") feedback = register_buffer("feedback", feedback_weights({in_, nodes_}, nodes_));
}

at::Tensor RecurrentImpl::forward(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 3 && x.size(0) > 0 && x.size(2) == in_, "grapes::nn::Recurrent: x must be [time, batch, ", in_,
              "], with a step at least; got ", x.sizes());
  const at::Tensor m = next_factor(recurrent);
  const at::Tensor rows = x.flatten(0, 1);  // the current of all steps in one product
  const at::Tensor below = credit().route == "bp" ? rows : rows.detach();
  const at::Tensor current = scaled(*this, m, is_local(), 1, [&](const at::Tensor& W, const at::Tensor& b) {
    const at::Tensor y = at::linear(below, W, b);
    if (credit().route == "fa") return grapes::feedback(y, rows, feedback);
    if (credit().route == "sign-symmetric") return grapes::feedback(y, rows, signs().t());
    return y;
  });
  const at::Tensor R = (m.defined() ? modulate(recurrent, m, 0) : recurrent).t();
  std::vector<at::Tensor> outputs;
  at::Tensor y;
  for (const at::Tensor& c : current.view({x.size(0), x.size(1), nodes_}).unbind()) {
    y = (y.defined() ? at::addmm(c, y, R) : c).tanh();
    outputs.push_back(y);
  }
  return at::stack(outputs);
}

DirectFeedbackImpl::DirectFeedbackImpl(std::vector<std::int64_t> sizes, std::int64_t outputs)
    : sizes_(std::move(sizes)), outputs_(outputs) {
  reset();
}

void DirectFeedbackImpl::reset() {
  feedback_.clear();
  for (std::size_t l = 0; l < sizes_.size(); ++l)
    feedback_.push_back(
        register_buffer("feedback" + std::to_string(l), feedback_weights({sizes_[l], outputs_}, outputs_)));
}

at::Tensor DirectFeedbackImpl::forward(at::Tensor logits, const std::vector<at::Tensor>& hidden) {
  TORCH_CHECK(hidden.size() == feedback_.size(), "grapes::nn::DirectFeedback: ", feedback_.size(),
              " hidden activations are to be given; got ", hidden.size());
  for (std::size_t l = 0; l < hidden.size(); ++l) logits = grapes::feedback(logits, hidden[l].flatten(1), feedback_[l]);
  return logits;
}

}  // namespace grapes::nn
