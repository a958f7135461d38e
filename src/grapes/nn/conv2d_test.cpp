// One convolutional layer: fused compared with its reference, in parts, rounded; batch normalization by its equation.
#include "grapes/nn/conv2d.h"

#include "grapes/nn/nn_test.h"

#include <gtest/gtest.h>

namespace grapes::nn {
namespace {

/// The layers of the larger networks, one by one: value and all gradients.
TEST(Conv2dLayer, FusedEqualsItsReference) {
  struct Case {
    std::int64_t in, out, side, kernel, stride, padding, pool;
  };
  for (const Case& c : {Case{3, 64, 32, 3, 1, 1, 1}, Case{64, 128, 32, 3, 1, 1, 2}, Case{128, 256, 16, 3, 1, 1, 2},
                        Case{256, 512, 8, 3, 1, 1, 2}, Case{512, 512, 4, 3, 1, 1, 1}, Case{64, 128, 9, 3, 2, 1, 1},
                        Case{64, 128, 9, 1, 2, 0, 1}, Case{16, 32, 15, 5, 1, 2, 3}, Case{32, 16, 7, 3, 1, 0, 2}})
    for (const std::string activation : {"identity", "relu", "leaky_relu"})
      for (const auto& [kind, rounded] :
           {std::pair(Norm::none, false), {Norm::batch, false}, {Norm::tensor, false}, {Norm::none, true}}) {
        SCOPED_TRACE(std::to_string(c.in) + " to " + std::to_string(c.out) + ", side " + std::to_string(c.side) +
                     ", kernel " + std::to_string(c.kernel) + " " + activation +
                     (kind == Norm::none    ? ""
                      : kind == Norm::batch ? " normalized"
                                            : " normalized as one") +
                     (rounded ? " rounded" : ""));
        const auto x = drawn({3, c.in, c.side, c.side}, 1).to(torch::kFloat);
        const auto W =
            (drawn({c.out, c.in, c.kernel, c.kernel}, 2) / std::sqrt(c.in * c.kernel * c.kernel)).to(torch::kFloat);
        std::vector<at::Tensor> all[2];
        for (const bool plain : {false, true}) {
          const Activation* row = nullptr;
          for (const Activation& one : activations())
            if (one.name == activation) row = &one;
          Conv2dLayer layer({{c.stride, c.stride}, {c.padding, c.padding}, {1, 1}, 1, c.pool}, row,
                            std::make_shared<kernels::Workspace>());
          layer.weight = W.clone().requires_grad_();
          layer.bias = drawn({c.out}, 3).to(torch::kFloat).requires_grad_();
          layer.norm = BatchNorm::make(kind, c.out, torch::kFloat);
          layer.rounded = rounded;
          layer.factors.error = torch::linspace(1, 2, c.out);
          layer.factors.rows = torch::linspace(2, 1, c.out);
          layer.prepare(training(plain), 0);
          const auto h = x.clone().requires_grad_();
          const auto value = kernels::unblocked(layer.forward(h, {}));
          (value * drawn(value.sizes(), 4).to(torch::kFloat)).sum().backward();
          all[plain] = {value.detach(), h.grad(), layer.weight.grad()};
          if (kind == Norm::none) all[plain].push_back(layer.bias.grad());
          if (kind != Norm::none)
            all[plain].insert(all[plain].end(),
                              {layer.norm.scale.grad(), layer.norm.shift.grad(), layer.norm.mean, layer.norm.variance});
        }
        for (std::size_t i = 0; i < all[0].size(); ++i)
          EXPECT_LT(((all[0][i] - all[1][i]).norm() / all[1][i].norm()).item<double>(), 2e-5) << i;
      }
}

/// A batch so large that Winograd's scratch memory is limited; the parts may have different sizes.
TEST(Conv2dLayer, ALargeBatchIsTheSumOfItsParts) {
  const auto x = drawn({45, 64, 32, 32}, 1).to(torch::kFloat), W = (drawn({128, 64, 3, 3}, 2) / 24).to(torch::kFloat),
             e = drawn({45, 128, 32, 32}, 3).to(torch::kFloat);
  std::vector<at::Tensor> all[2];
  for (const bool plain : {false, true}) {
    Conv2dLayer layer({}, nullptr, std::make_shared<kernels::Workspace>());
    layer.weight = W.clone().requires_grad_();
    layer.factors.rows = torch::linspace(1, 2, 128);
    layer.prepare(training(plain), 0);
    const auto h = x.clone().requires_grad_();
    const auto z = kernels::unblocked(layer.forward(h, {}));
    (z * e).sum().backward();
    all[plain] = {z.detach(), h.grad(), layer.weight.grad()};
  }
  for (std::size_t i = 0; i < all[0].size(); ++i)
    EXPECT_LT(((all[0][i] - all[1][i]).norm() / all[1][i].norm()).item<double>(), 2e-5) << i;
}

TEST(Conv2dLayer, RoundsTheOperandsOfProductsToBfloat16) {
  const auto W = drawn({16, 16, 3, 3}, 1).to(torch::kFloat), x = drawn({2, 16, 6, 6}, 2).to(torch::kFloat),
             e = drawn({2, 16, 6, 6}, 3).to(torch::kFloat);
  const auto round = [](const at::Tensor& t) { return t.to(torch::kBFloat16).to(torch::kDouble); };
  for (const bool trains : {true, false}) {
    Conv2dLayer layer({}, nullptr, std::make_shared<kernels::Workspace>());
    layer.weight = W.clone().requires_grad_();
    layer.rounded = true;
    layer.prepare(trains ? training() : Pass(), 0);
    const auto h = x.clone().requires_grad_();
    const auto z = kernels::unblocked(layer.forward(h, {}));
    (z * e).sum().backward();
    const auto exact = [&](const at::Tensor& t) { return trains ? round(t) : t.to(torch::kDouble); };
    const auto near = [](const at::Tensor& a, const at::Tensor& b) {
      return ((a.to(torch::kDouble) - b).norm() / b.norm()).item<double>() < 1e-6;
    };
    EXPECT_TRUE(near(z.detach(), at::conv2d(exact(x), exact(W), {}, 1, 1)));
    EXPECT_TRUE(near(h.grad(), back(exact(e), exact(W))));
    EXPECT_TRUE(near(layer.weight.grad(), to_weight(exact(e), exact(x), 3)));
  }
}

}  // namespace
}  // namespace grapes::nn
