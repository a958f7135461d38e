// Sums over the paths of a network, for Path-SGD.
#include "grapes/base/error.h"
#include "grapes/nn/network.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <utility>

namespace grapes::nn {
namespace {

/// The same stages with means instead of maxima, so that a window passes on all of its paths.
Stages with_means(const Stages& stages) {
  Stages all;
  for (Stage stage : stages) {
    const std::int64_t side = stage.pool;
    const bool convolves = stage.what == Stage::Do::convolve || stage.what == Stage::Do::shortcut;
    if (stage.what == Stage::Do::max_pool) stage.what = Stage::Do::average;
    if (convolves) stage.pool = 1;
    all.push_back(stage);
    if (convolves && side > 1) all.push_back({.what = Stage::Do::average, .pool = side});
  }
  return all;
}

}  // namespace

/// γ = ∂F/∂(W²): F is the sum of the outputs of the network with weights W² and without activations, whose inputs
/// are 1. A weight that is used at several positions gets the sum over them.
std::function<std::vector<at::Tensor>()> Network::path_sums() const {
  const auto refuse = [](bool wrong, const std::string& what) {
    if (wrong)
      throw UsageError("optimizer",
                       "path-sgd needs the paths of a feedforward network of dense and convolutional "
                       "layers; it does not support " +
                           what);
  };
  refuse(has_time(stages_), "spiking networks");
  refuse(options_.norm != Norm::none, "normalization, after which the scale of a weight does not matter");
  refuse(static_cast<bool>(options_.analog), "analog crossbars");
  refuse(learns_feedback(), "routes with learned feedback weights, such as " + plan_.route->name);
  refuse(std::ranges::any_of(
             stages_, [](const Stage& stage) { return stage.what == Stage::Do::dense && stage.kind != "linear"; }),
         "layers of other kinds");
  Options options;
  options.model = options_.model;
  options.activation = "identity";
  options.bias = options_.bias;
  options.precision.dtype = at::kDouble;  // products of many squares would overflow float32
  options.device = options_.device;
  const auto squared = std::make_shared<Network>(options, with_means(stages_), signature_, seed_);
  std::vector<std::int64_t> shape = signature_.input_shape;
  shape.insert(shape.begin(), 1);
  const at::Tensor ones = at::ones(shape, squared->plan_.placed);
  return [this, squared, ones] {
    const at::AutoGradMode graph(true);
    const std::vector<Named> from = parameters(), into = squared->parameters();
    for (std::size_t i = 0; i < into.size(); ++i) {
      const at::NoGradGuard no_grad;
      at::Tensor square = into[i].value;
      square.copy_(from[i].value).square_();
      square.mutable_grad().reset();
    }
    Pass pass;
    pass.gradients = pass.plain = true;
    torch::autograd::backward({squared->forward(ones, pass).sum()}, {});
    std::vector<at::Tensor> sums;
    for (const Named& one : into)
      sums.push_back(one.value.grad().defined() ? one.value.grad() : at::zeros_like(one.value.detach()));
    return sums;
  };
}

}  // namespace grapes::nn
