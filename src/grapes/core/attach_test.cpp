#include "grapes/core/attach.h"

#include "grapes/core/modulate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/rnn.h>

#include <vector>

namespace grapes {
namespace {

using Tensors = std::vector<at::Tensor>;

at::Tensor random_leaf(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::kDouble).requires_grad_();
}

/// Gradients of x, W and b after a layer and an in-place activation. `scale` is applied to z.
template <class Layer, class Scale>
Tensors gradients(at::IntArrayRef inputs, at::IntArrayRef weights, Layer layer, Scale scale) {
  const at::Tensor x = random_leaf(inputs, 1), W = random_leaf(weights, 2), b = random_leaf({weights[0]}, 3);
  at::Tensor z = scale(layer(x, W, b));
  (z.relu_() * at::arange(1, z.numel() + 1, at::kDouble).view(z.sizes())).sum().backward();
  return {x.grad(), W.grad(), b.grad()};
}

template <class Layer>
void expect_as_modulate(at::IntArrayRef inputs, at::IntArrayRef weights, int64_t dim, Layer layer) {
  const at::Tensor m = at::linspace(1, 2, weights[0], at::kDouble);
  const Tensors ours = gradients(inputs, weights, layer, [&](at::Tensor z) {
    attach(z, m, dim);
    return z;
  });
  const Tensors expected =
      gradients(inputs, weights, layer, [&](const at::Tensor& z) { return modulate(z, m, dim).clone(); });
  for (size_t i = 0; i < ours.size(); ++i) EXPECT_TRUE(at::allclose(ours[i], expected[i], 1e-13, 0)) << i;
}

TEST(Attach, EqualsModulateEvenBeforeAnInPlaceActivation) {
  const auto linear = [](const at::Tensor& x, const at::Tensor& W, const at::Tensor& b) { return at::linear(x, W, b); };
  expect_as_modulate({5, 3}, {4, 3}, 1, linear);
  expect_as_modulate({2, 5, 3}, {4, 3}, 2, linear);     // a view of [10, 4] in LibTorch 1.13
  expect_as_modulate({2, 2, 5, 3}, {4, 3}, 3, linear);  // not a view: z has a node of its own
  expect_as_modulate({2, 3, 5, 5}, {4, 3, 2, 2}, 1,
                     [](const at::Tensor& x, const at::Tensor& W, const at::Tensor& b) { return at::conv2d(x, W, b); });
  expect_as_modulate({3, 5, 5}, {4, 3, 2, 2}, 0,
                     [](const at::Tensor& x, const at::Tensor& W, const at::Tensor& b) { return at::conv2d(x, W, b); });
  expect_as_modulate({2, 5, 3}, {4, 3}, 1, [](const at::Tensor& x, const at::Tensor& W, const at::Tensor& b) {
    return at::linear(x, W, b).transpose(1, 2);  // a view with other strides
  });
}

TEST(Attach, DoesNotChangeTheValueAndNeedsNoGraph) {
  const at::Tensor x = random_leaf({2, 3}, 1), m = at::full({3}, 2.0, at::kDouble);
  const at::Tensor z = x * 1, before = z.detach().clone();
  attach(z, m, 1);
  EXPECT_TRUE(at::equal(z, before));
  attach(x.detach(), m, 1);
}

TEST(Attach, RoundsTheScaledErrorOnceToItsDtype) {
  const at::Tensor x = at::ones({1, 2}, at::kBFloat16).requires_grad_(), z = x * 1;
  attach(z, at::tensor({1.00390625F, 1.5F}), 1);  // bfloat16 cannot represent 1 + 2^-8
  z.backward(at::tensor({3.0F, 3.0F}).to(at::kBFloat16).view({1, 2}));
  EXPECT_EQ(x.grad().scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(x.grad().to(at::kFloat), at::tensor({3.015625F, 4.5F}).view({1, 2})));
}

TEST(Attach, RejectsShapesAndTensorsThatDoNotFit) {
  const at::Tensor x = random_leaf({2, 3}, 1), z = x * 1, m = at::ones({3}, at::kDouble);
  EXPECT_THROW(attach(z, m, 0), c10::Error);
  EXPECT_THROW(attach(z, m, 2), c10::Error);
  EXPECT_THROW(attach(z, at::ones({3}, at::kLong), 1), c10::Error);
  EXPECT_THROW(attach(x, m, 1), c10::Error) << "a leaf";
  EXPECT_THROW(attach(z.slice(0, 0, 1), m, 1), c10::Error) << "a part";
}

TEST(AttachParameter, ScalesOnlyTheGradientOfOneCall) {
  const at::Tensor x = random_leaf({4, 3}, 1), W = random_leaf({3, 3}, 2), b = random_leaf({3}, 3),
                   m = at::tensor({1.0, 1.5, 2.0}, at::kDouble);
  const auto pass = [&](bool scale) {
    for (at::Tensor t : {x, W, b}) t.mutable_grad() = at::Tensor();
    const at::Tensor h = at::linear(x, W, b).tanh(), y = at::linear(h, W, b);
    if (scale) {
      EXPECT_EQ(attach_parameter({y}, {h}, W, m.view({3, 1})), 1);
      EXPECT_EQ(attach_parameter({y}, {h}, b, m), 1);
      EXPECT_EQ(attach_parameter({y}, {h}, W, m.view({3, 1})), 1) << "the second call must not scale again";
      EXPECT_EQ(attach_parameter({h}, {x}, random_leaf({3, 3}, 4), m.view({3, 1})), 0)
          << "the call does not use this parameter";
    }
    y.sum().backward();
    return Tensors{x.grad(), W.grad(), b.grad()};
  };
  const Tensors plain = pass(false), ours = pass(true);
  // The use above has error 1 everywhere, so the gradients of this call are the sums over the examples.
  const at::Tensor own = at::linear(x, W, b).tanh().detach().sum(0).expand({3, 3});
  EXPECT_TRUE(at::equal(ours[0], plain[0])) << "the error at the input is not scaled";
  EXPECT_TRUE(at::allclose(ours[1] - plain[1], (m - 1).view({3, 1}) * own, 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(ours[2] - plain[2], (m - 1) * 4, 1e-12, 1e-12));
}

TEST(AttachProduct, ScalesTheCurrentInsideARecurrentLayer) {
  torch::nn::RNN layer(torch::nn::RNNOptions(3, 2));
  layer->to(at::kDouble);
  const at::Tensor x = random_leaf({1, 4, 3}, 1), m = at::tensor({1.0, 2.0}, at::kDouble);  // one step: no recurrence
  const auto p = layer->named_parameters();
  const auto pass = [&](bool scale) {
    layer->zero_grad();
    x.mutable_grad() = at::Tensor();
    const at::Tensor y = std::get<0>(layer->forward(x));
    if (scale) {
      EXPECT_EQ(attach_product({y}, {x}, p["weight_ih_l0"], p["bias_ih_l0"], m), 1);
    }
    y.sum().backward();
    return Tensors{x.grad(), p["weight_ih_l0"].grad().clone(), p["bias_ih_l0"].grad().clone(),
                   p["bias_hh_l0"].grad().clone()};
  };
  const at::Tensor y = std::get<0>(layer->forward(x)).detach();
  const Tensors plain = pass(false), ours = pass(true);
  EXPECT_TRUE(at::allclose(ours[0][0], ((1 - y[0] * y[0]) * m).mm(p["weight_ih_l0"]), 1e-12, 0));
  EXPECT_TRUE(at::allclose(ours[1], plain[1] * m.view({2, 1}), 1e-12, 0));
  EXPECT_TRUE(at::allclose(ours[2], plain[2] * m, 1e-12, 0));
  EXPECT_TRUE(at::equal(ours[3], plain[3])) << "the bias of the recurrent weights is not part of the product";
  EXPECT_THROW(attach_product({at::conv2d(random_leaf({1, 1, 2, 2}, 1), random_leaf({1, 1, 1, 1}, 2))}, {},
                              random_leaf({2, 2}, 3), {}, at::ones({3}, at::kDouble)),
               c10::Error);
}

/// Two layers: an error passes through the upper layer's W, but not through the lower one's.
TEST(AttachProduct, FindsAFrozenWeightThroughWhichAnErrorPasses) {
  torch::nn::LSTM layer(torch::nn::LSTMOptions(3, 2).num_layers(2));
  layer->to(at::kDouble);
  const auto p = layer->named_parameters();
  p["weight_ih_l0"].requires_grad_(false);
  p["weight_ih_l1"].requires_grad_(false);
  const at::Tensor x = random_leaf({1, 4, 3}, 1).detach(), m = at::full({8}, 2.0, at::kDouble);
  const auto pass = [&](bool scale) {
    layer->zero_grad();
    const at::Tensor y = std::get<0>(layer->forward(x));
    if (scale) {
      EXPECT_EQ(attach_product({y}, {x}, p["weight_ih_l1"], p["bias_ih_l1"], m), 1);
      EXPECT_EQ(attach_product({y}, {x}, p["weight_ih_l0"], p["bias_ih_l0"], m), 0);
    }
    y.sum().backward();
    return Tensors{p["bias_ih_l1"].grad().clone(), p["bias_hh_l1"].grad().clone(), p["bias_hh_l0"].grad().clone(),
                   p["bias_ih_l0"].grad().clone()};
  };
  const Tensors plain = pass(false), ours = pass(true);
  EXPECT_TRUE(at::equal(ours[0], 2 * plain[0]));
  EXPECT_TRUE(at::equal(ours[1], plain[1])) << "the error at R y is not scaled";
  EXPECT_TRUE(at::equal(ours[2], 2 * plain[2])) << "the error that passed through W of the upper layer";
  EXPECT_TRUE(at::equal(ours[3], 4 * plain[3])) << "scaled a second time at the bias of the lower layer";
}

}  // namespace
}  // namespace grapes
