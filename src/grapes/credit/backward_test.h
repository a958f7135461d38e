#pragma once

#include "grapes/credit/backward.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <functional>

// Shared by the tests of grapes::backward.
namespace grapes {

namespace F = torch::nn::functional;
using State = Attachment::State;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

inline std::vector<at::Tensor> gradients_of(const torch::nn::Module& model) {
  std::vector<at::Tensor> all;
  for (const at::Tensor& p : model.parameters()) all.push_back(p.grad().defined() ? p.grad().clone() : at::Tensor());
  return all;
}

inline void clear(torch::nn::Module& model) {
  for (at::Tensor& p : model.parameters()) p.mutable_grad() = at::Tensor();
}

inline void expect_close(const std::vector<at::Tensor>& ours, const std::vector<at::Tensor>& expected,
                         const std::string& what = "") {
  ASSERT_EQ(ours.size(), expected.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    ASSERT_EQ(ours[i].defined(), expected[i].defined()) << what << " parameter " << i;
    if (!ours[i].defined()) continue;
    const double scale = std::max(1.0, expected[i].abs().max().item<double>());
    EXPECT_LE((ours[i] - expected[i]).abs().max().item<double>(), 1e-12 * scale) << what << " parameter " << i;
  }
}

/// Compares the gradients of Modulator on `value` with plain backpropagation through `written`, which has the
/// modulations in its forward pass.
inline void expect_equal(torch::nn::Module& model, const std::function<at::Tensor()>& value,
                         const std::function<at::Tensor()>& written, BackwardOptions options = {}) {
  clear(model);
  const at::Tensor loss = value();
  Modulator(model, std::move(options)).backward(loss);
  const auto ours = gradients_of(model);
  clear(model);
  const at::Tensor twin = written();
  ASSERT_NEAR(loss.item<double>(), twin.item<double>(), 1e-12);
  twin.backward();
  expect_close(ours, gradients_of(model));
  // It must also differ from the plain gradient.
  clear(model);
  value().backward();
  bool differs = false;
  const auto plain = gradients_of(model);
  for (std::size_t i = 0; i < plain.size(); ++i)
    if (plain[i].defined()) differs |= !at::allclose(plain[i], ours[i], 1e-6, 1e-9);
  EXPECT_TRUE(differs);
}

inline std::vector<State> states(const Modulator& modulator) {
  std::vector<State> all;
  for (const Attachment& attachment : modulator.attachments()) all.push_back(attachment.state);
  return all;
}

/// Weights wide enough for all units to have different factors.
template <class Model>
Model spread(Model model, std::uint64_t seed = 1) {
  torch::manual_seed(seed);
  const at::NoGradGuard no_grad;
  for (at::Tensor& p : model->parameters()) {
    p.set_data(at::randn(p.sizes(), at::kDouble) / std::sqrt(static_cast<double>(p.numel()) / p.size(0)));
    if (p.dim() > 1) {
      std::vector<std::int64_t> rows(static_cast<std::size_t>(p.dim()), 1);
      rows[0] = p.size(0);
      p.mul_(at::rand(rows, at::kDouble) + 0.3);
    }
  }
  return model;
}

inline torch::nn::Sequential mlp(bool in_place = false) {
  return spread(torch::nn::Sequential(torch::nn::Linear(6, 5), torch::nn::ReLU(torch::nn::ReLUOptions(in_place)),
                                      torch::nn::Linear(5, 4), torch::nn::ReLU(torch::nn::ReLUOptions(in_place)),
                                      torch::nn::Linear(4, 3)));
}

inline at::Tensor weight(const torch::nn::Sequential& model, std::size_t i) {
  return model->named_parameters()[std::to_string(i) + ".weight"];
}
inline at::Tensor bias(const torch::nn::Sequential& model, std::size_t i) {
  return model->named_parameters()[std::to_string(i) + ".bias"];
}

}  // namespace grapes
