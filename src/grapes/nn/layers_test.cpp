// Layers for custom models: values equal torch::nn's, and backward passes equal explicit computations.
#include "grapes/nn/layers.h"

#include "grapes/core/responsibility.h"
#include "grapes/credit/backward.h"
#include "grapes/nn/nn_test.h"

#include <gmock/gmock.h>
#include <torch/torch.h>

namespace grapes::nn {
namespace {

using ::testing::HasSubstr;
using testing::ThrowsMessage;

/// Rows of different size, so that factors differ.
template <class Module>
Module wide(Module module) {
  module->to(f64);
  const torch::NoGradGuard no_grad;
  for (auto& p : module->parameters())
    if (p.dim() > 1) {
      std::vector<std::int64_t> rows(static_cast<std::size_t>(p.dim()), 1);
      rows[0] = p.size(0);
      p.mul_(torch::linspace(0.4, 2, p.size(0), f64).view(rows));
    }
  return module;
}

at::Tensor weighed(const at::Tensor& y) { return (y * torch::linspace(-1, 2, y.numel(), f64).view(y.sizes())).sum(); }
at::Tensor error_of(const at::Tensor& y) { return torch::linspace(-1, 2, y.numel(), f64).view(y.sizes()); }

void expect_close(const at::Tensor& ours, const at::Tensor& theirs) {
  ASSERT_EQ(ours.sizes(), theirs.sizes());
  EXPECT_LT((ours - theirs).abs().max().item<double>(), 1e-12 * std::max(1.0, theirs.abs().max().item<double>()));
}

Rule by(const std::string& route, const std::string& modulation = "grapes") {
  Rule options;
  options.route = route;
  options.modulation = modulation;
  return options;
}

TEST(Layers, ValuesEqualThoseOfTorchNn) {
  for (const std::string route : {"bp", "fa", "sign-symmetric", "dfa"}) {
    torch::manual_seed(3);
    Linear ours(5, 4, by(route));
    torch::manual_seed(3);
    torch::nn::Linear theirs(5, 4);
    EXPECT_TRUE(torch::equal(ours->weight, theirs->weight) && torch::equal(ours->bias, theirs->bias));
    const auto x = torch::randn({3, 5});
    EXPECT_TRUE(torch::equal(ours->forward(x), theirs->forward(x)));

    const auto options = torch::nn::Conv2dOptions(4, 6, {3, 2}).stride(2).padding({1, 0}).groups(2);
    torch::manual_seed(4);
    Conv2d convolution(options, by(route));
    torch::manual_seed(4);
    torch::nn::Conv2d torchs(options);
    const auto image = torch::randn({2, 4, 7, 6});
    EXPECT_TRUE(torch::equal(convolution->forward(image), torchs->forward(image)));
  }
}

TEST(Layers, GradientsEqualThoseOfGrapesBackward) {
  for (const std::string modulation : {"grapes", "uniform"}) {
    Conv2d a = wide(Conv2d(torch::nn::Conv2dOptions(1, 4, 3), by("bp", modulation)));
    Linear b = wide(Linear(64, 6, by("bp", modulation))), c = wide(Linear(6, 3, plain()));
    torch::nn::Conv2d A(torch::nn::Conv2dOptions(1, 4, 3));
    torch::nn::Linear B(64, 6), C(6, 3);
    torch::nn::Sequential theirs(A, torch::nn::Tanh(), torch::nn::Flatten(), B, torch::nn::Tanh(), C);
    theirs->to(f64);
    {
      const torch::NoGradGuard no_grad;
      const auto to = theirs->parameters();
      std::size_t k = 0;
      for (const auto& from : {a->parameters(), b->parameters(), c->parameters()})
        for (const auto& p : from) to[k++].copy_(p);
    }
    const auto x = drawn({2, 1, 6, 6}, 1);
    weighed(c->forward(b->forward(a->forward(x).tanh().flatten(1)).tanh())).backward();
    BackwardOptions options;
    options.rule().modulation = modulation;
    grapes::backward(weighed(theirs->forward(x)), *theirs, options);
    expect_close(a->weight.grad(), A->weight.grad());
    expect_close(a->bias.grad(), A->bias.grad());
    expect_close(b->weight.grad(), B->weight.grad());
    expect_close(c->weight.grad(), C->weight.grad());
  }
}

/// The matrix or kernel that carries the error, in W's layout, by the definition of the route.
at::Tensor carrier(const std::string& route, const at::Tensor& W, const at::Tensor& feedback) {
  const at::Tensor B = feedback.defined() && feedback.dim() == 2 ? feedback.t() : feedback;
  if (route == "fa" || route == "kolen-pollack") return B;
  if (route == "sign-symmetric") return W.sign() * W.abs().mean();
  return W.sign() * (route == "usf" ? B : B.abs());
}

const std::vector<std::string> by_layer = {"fa", "kolen-pollack", "sign-symmetric", "usf", "brsf", "frsf"};

TEST(Layers, RoutesEqualTheRecursionByHand) {
  for (const std::string& route : by_layer)
    for (const std::string modulation : {"none", "grapes", "grapes-local"}) {
      Linear a = wide(Linear(5, 7, by(route, modulation))), b = wide(Linear(7, 3, by(route, "none")));
      const auto x = drawn({4, 5}, 2);
      const auto h = a->forward(x).tanh(), y = b->forward(h);
      weighed(y).backward();

      const torch::NoGradGuard no_grad;
      const auto B = carrier(route, b->weight, b->feedback).t();
      const auto error = error_of(y);
      expect_close(b->weight.grad(), error.t().mm(h));
      auto delta = error.mm(B.t()) * (1 - h * h);
      if (modulation != "none")
        delta = delta * (route == "fa" ? factor(a->weight, {}, 0, {}, 2, 0, 2) : factor(a->weight));
      expect_close(a->weight.grad(), delta.t().mm(x));
      expect_close(a->bias.grad(), delta.sum(0));
      if (route == "kolen-pollack") {
        expect_close(b->feedback.grad(), b->weight.grad().t());
        expect_close(a->feedback.grad(), a->weight.grad().t());
      }
    }
}

TEST(Layers, ConvolutionsSendTheErrorThroughTheirFeedbackKernel) {
  const auto shape = torch::nn::Conv2dOptions(4, 6, {3, 2}).stride({2, 1}).padding({1, 0}).groups(2);
  std::vector<std::string> routes = by_layer;
  routes.emplace_back("dfa");
  for (const std::string& route : routes) {
    Conv2d layer = wide(Conv2d(shape, by(route)));
    const auto x = drawn({2, 4, 7, 6}, 5).requires_grad_();
    const auto y = layer->forward(x);
    weighed(y).backward();

    const torch::NoGradGuard no_grad;
    const bool clipped = route != "fa" && route != "dfa";
    const auto m = factor(layer->weight, {}, 0, {}, 2, clipped ? 1 : 0, 2);
    const auto delta = error_of(y) * m.view({1, -1, 1, 1});
    expect_close(layer->bias.grad(), delta.sum({0, 2, 3}));
    if (route == "dfa") {
      EXPECT_FALSE(x.grad().defined());
      continue;
    }
    // (7 + 2 - 3) / 2 has no remainder, so the transposed convolution needs no output padding.
    const auto kernel = carrier(route, layer->weight, layer->feedback);
    if (route == "kolen-pollack") expect_close(layer->feedback.grad(), layer->weight.grad());
    expect_close(x.grad(), at::conv_transpose2d(delta, kernel, {}, {2, 1}, {1, 0}, 0, 2));
  }
}

TEST(Layers, DirectFeedbackEqualsTheRecursionByHand) {
  Conv2d a = wide(Conv2d(torch::nn::Conv2dOptions(1, 2, 3), by("dfa")));
  Linear b = wide(Linear(18, 6, by("dfa"))), c = wide(Linear(6, 3, plain("dfa")));
  DirectFeedback direct(std::vector<std::int64_t>{18, 6}, 3);
  direct->to(f64);
  const auto x = drawn({4, 1, 5, 5}, 6);
  const auto h1 = a->forward(x).tanh(), h2 = b->forward(h1.flatten(1)).tanh();
  const auto y = direct->forward(c->forward(h2), {h1, h2});
  weighed(y).backward();

  const torch::NoGradGuard no_grad;
  const auto error = error_of(y);
  const auto buffers = direct->named_buffers();
  const auto d2 = error.mm(buffers["feedback1"].t()) * (1 - h2 * h2) * factor(b->weight, {}, 0, {}, 2, 0, 2);
  expect_close(b->weight.grad(), d2.t().mm(h1.flatten(1)));
  const auto m = factor(a->weight, {}, 0, {}, 2, 0, 2).view({1, 2, 1, 1});
  const auto d1 = error.mm(buffers["feedback0"].t()).view_as(h1) * (1 - h1 * h1) * m;
  expect_close(a->bias.grad(), d1.sum({0, 2, 3}));
  expect_close(c->weight.grad(), error.t().mm(h2));
}

TEST(Layers, RecurrentEqualsTheRecursionByHand) {
  Recurrent layer = wide(Recurrent(3, 4, by("bp")));
  const auto x = drawn({5, 2, 3}, 7).requires_grad_();
  const auto y = layer->forward(x);
  weighed(y).backward();

  const torch::NoGradGuard no_grad;
  const auto m = layer->factor();
  expect_close(m, factor(layer->weight, OptionalTensor(layer->recurrent)));
  EXPECT_GT((m.max() - m.min()).item<double>(), 0.1);
  const auto error = error_of(y);
  auto later = torch::zeros({2, 4}, f64);  // the error that runs back in time, never multiplied by m
  at::Tensor W = torch::zeros_like(layer->weight), R = torch::zeros_like(layer->recurrent), to_x = torch::zeros_like(x);
  for (std::int64_t t = 4; t >= 0; --t) {
    const auto plain_delta = (error[t] + later) * (1 - y[t] * y[t]);
    const auto delta = plain_delta * m;
    W += delta.t().mm(x[t]);
    if (t > 0) R += delta.t().mm(y[t - 1]);
    to_x[t] = delta.mm(layer->weight);
    later = plain_delta.mm(layer->recurrent);
  }
  expect_close(layer->weight.grad(), W);
  expect_close(layer->recurrent.grad(), R);
  expect_close(x.grad(), to_x);
}

TEST(Layers, RecurrentScalesTheErrorOnlyOncePerTimeStep) {
  for (const std::int64_t steps : {5, 20}) {
    Rule twice = by("bp", "constant");
    twice.constants = {2};
    torch::manual_seed(8);
    Recurrent with = wide(Recurrent(3, 4, twice));
    torch::manual_seed(8);
    Recurrent without = wide(Recurrent(3, 4, plain()));
    const auto x = drawn({steps, 2, 3}, 9);
    weighed(with->forward(x)).backward();
    weighed(without->forward(x)).backward();
    const auto ours = with->parameters(), theirs = without->parameters();
    for (std::size_t k = 0; k < ours.size(); ++k) expect_close(ours[k].grad(), 2 * theirs[k].grad());
  }
}

TEST(Layers, RecurrentScalesAtEveryTimeStepIfCompounding) {
  // One unit with R = 1, far from saturation: the error at the first step was multiplied by the factor at each step.
  for (const std::int64_t steps : {1, 5}) {
    const auto error_at_start = [&](bool compounding) {
      Recurrent layer(1, 1, Rule{.modulation = "constant", .constants = {2}, .compounding = compounding});
      layer->to(f64);
      const torch::NoGradGuard no_grad;
      layer->weight.fill_(1);
      layer->recurrent.fill_(1);
      layer->bias.fill_(0);
      const at::AutoGradMode graph(true);
      const at::Tensor x = torch::zeros({steps, 1, 1}, f64).requires_grad_();
      layer->forward(x)[-1].sum().backward();
      return x.grad()[0].item<double>();
    };
    EXPECT_DOUBLE_EQ(error_at_start(false), 2);
    EXPECT_DOUBLE_EQ(error_at_start(true), std::pow(2.0, static_cast<double>(steps)));
  }
}

TEST(Layers, AnEpropRouteSendsNoErrorBackInTimeBetweenUnits) {
  Recurrent layer(1, 1, plain("eprop"));
  layer->to(f64);
  {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : layer->parameters()) parameter.fill_(0.5);
  }
  const at::Tensor x = torch::tensor({1.0, 0.0}, f64).view({2, 1, 1}).requires_grad_();
  const at::Tensor y = layer->forward(x);
  y[1].sum().backward();
  EXPECT_EQ(layer->weight.grad().item<double>(), 0) << "x is 0 at the step that the loss is of";
  EXPECT_NE(layer->recurrent.grad().item<double>(), 0);
  EXPECT_FALSE(x.grad().defined());
}

TEST(Layers, FactorsAreKeptForTheGivenNumberOfBatches) {
  Linear layer = wide(Linear(5, 6, Rule{.modulation = "shuffled", .every = 2}));
  const at::Tensor x = drawn({3, 5}, 1);
  std::vector<at::Tensor> gradients;
  for (int batch = 0; batch < 4; ++batch) {
    weighed(layer->forward(x)).backward();
    gradients.push_back(layer->bias.grad().clone());
    layer->zero_grad();
  }
  EXPECT_TRUE(at::equal(gradients[0], gradients[1]) && at::equal(gradients[2], gradients[3]));
  EXPECT_FALSE(at::equal(gradients[1], gradients[2]));
}

TEST(Layers, LinearTakesAnyRank) {
  Linear layer = wide(Linear(5, 4)), same = wide(Linear(5, 4));
  {
    const torch::NoGradGuard no_grad;
    same->weight.copy_(layer->weight);
    same->bias.copy_(layer->bias);
  }
  const auto rows = drawn({6, 5}, 1);
  for (const std::vector<std::int64_t>& sizes : {std::vector<std::int64_t>{6, 5}, {2, 3, 5}, {3, 1, 2, 5}}) {
    const auto x = rows.view(sizes).clone().requires_grad_(), flat = rows.clone().requires_grad_();
    const auto y = layer->forward(x), expected = same->forward(flat);
    EXPECT_EQ(y.dim(), x.dim());
    EXPECT_TRUE(at::equal(y.reshape({6, 4}), expected));
    weighed(y).backward();
    (expected * error_of(y).view({6, 4})).sum().backward();
    expect_close(x.grad().view({6, 5}), flat.grad());
    expect_close(layer->weight.grad(), same->weight.grad());
    layer->zero_grad();
    same->zero_grad();
  }
  const auto one = layer->forward(rows[0]);
  EXPECT_EQ(one.dim(), 1);
  expect_close(one, layer->forward(rows)[0]);
}

/// A layer that runs as one fused node behaves like any other in autograd.
TEST(Layers, FusedLayersWorkWithAutogradGradAndHooks) {
  for (const std::string route : {"bp", "fa"}) {
    Linear layer = wide(Linear(5, 4, by(route)));
    const auto x = drawn({6, 5}, 1).requires_grad_();
    const auto y = layer->forward(x);
    const auto loss = weighed(y);
    const auto by_list = torch::autograd::grad({loss}, {x, layer->weight, layer->bias}, {}, true);
    EXPECT_FALSE(layer->weight.grad().defined());
    int heard = 0;
    layer->weight.register_hook([&](const at::Tensor&) { ++heard; });
    loss.backward({}, true);
    loss.backward();
    EXPECT_EQ(heard, 2);
    expect_close(layer->weight.grad(), 2 * by_list[1]);
    expect_close(layer->bias.grad(), 2 * by_list[2]);
    expect_close(x.grad(), 2 * by_list[0]);
    EXPECT_TRUE(at::equal(y, at::linear(x, layer->weight, layer->bias))) << "and its value was not overwritten";
  }
  Linear frozen = wide(Linear(5, 4));
  frozen->weight.requires_grad_(false);
  weighed(frozen->forward(drawn({6, 5}, 1))).backward();
  EXPECT_FALSE(frozen->weight.grad().defined());
  EXPECT_TRUE(frozen->bias.grad().defined());
  frozen->bias.requires_grad_(false);
  EXPECT_FALSE(frozen->forward(drawn({6, 5}, 1)).requires_grad());
}

/// float32 and 16 channels: with oneDNN the convolution is fused.
TEST(Layers, FusedConvolutionsEqualTheirReference) {
  for (const std::string route : {"bp", "fa", "dfa"})
    for (const std::string modulation : {"none", "grapes", "grapes-local"}) {
      SCOPED_TRACE(route + "+" + modulation);
      Conv2d fast(torch::nn::Conv2dOptions(16, 32, 3).padding(1), by(route, modulation));
      const auto slow = std::dynamic_pointer_cast<Conv2dImpl>(fast->clone());
      slow->to(f64);
      const auto x = drawn({4, 16, 9, 9}, 1).to(torch::kFloat).requires_grad_(), wide_x = x.detach().to(f64);
      wide_x.requires_grad_();
      const auto y = fast->forward(x), expected = slow->forward(wide_x);
      const auto near = [](const at::Tensor& a, const at::Tensor& b) {
        return ((a.to(f64) - b).norm() / b.norm().clamp_min(1e-12)).item<double>() < 1e-5;
      };
      EXPECT_TRUE(near(y, expected));
      const auto error = drawn(y.sizes(), 2);
      for (const bool again : {true, false}) {
        (y * error.to(torch::kFloat)).sum().backward({}, again);
        (expected * error).sum().backward({}, again);
      }
      EXPECT_TRUE(near(fast->weight.grad(), slow->weight.grad()));
      EXPECT_TRUE(near(fast->bias.grad(), slow->bias.grad()));
      ASSERT_EQ(x.grad().defined(), route != "dfa");
      if (route != "dfa") {
        EXPECT_TRUE(near(x.grad(), wide_x.grad()));
      }
    }
}

TEST(Layers, CanBeUsedInASequential) {
  torch::nn::Sequential model(Conv2d(torch::nn::Conv2dOptions(1, 2, 3)), torch::nn::Flatten(), Linear(8, 3, by("fa")));
  EXPECT_EQ(model->forward(torch::randn({5, 1, 4, 4})).sizes(), at::IntArrayRef({5, 3}));
}

TEST(Layers, AllowAnInPlaceActivationAfterThem) {
  Linear layer = wide(Linear(5, 6));
  const at::Tensor x = drawn({3, 5}, 1);
  weighed(layer->forward(x).relu()).backward();
  const at::Tensor expected = layer->weight.grad().clone();
  layer->weight.mutable_grad().reset();
  weighed(layer->forward(x).relu_()).backward();
  EXPECT_TRUE(at::equal(layer->weight.grad(), expected));
}

TEST(Layers, ReadingTheFactorDrawsNoRandomNumbers) {
  Linear layer = wide(Linear(5, 6, by("bp", "shuffled")));
  const at::Tensor first = layer->factor();
  EXPECT_TRUE(at::equal(first, layer->factor()));
  layer->forward(torch::randn({2, 5}, f64));
  EXPECT_FALSE(at::equal(first, layer->factor()));
  EXPECT_TRUE(at::equal(std::get<0>(first.sort()), std::get<0>(layer->factor().sort())));
}

TEST(Layers, ACloneHasTheSameWeightsAndRule) {
  Linear layer = wide(Linear(5, 4, by("fa", "grapes-local")));
  const auto copy = std::dynamic_pointer_cast<LinearImpl>(layer->clone());
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->rule().route, "fa");
  EXPECT_TRUE(torch::equal(copy->feedback, layer->feedback) && torch::equal(copy->weight, layer->weight));
  EXPECT_FALSE(copy->weight.is_alias_of(layer->weight));
  // Copies do not share the inner layer: each learns by itself, whichever ran last.
  const at::Tensor x = torch::randn({2, 5}, f64), ours = layer->forward(x), theirs = copy->forward(x);
  EXPECT_TRUE(torch::equal(ours, theirs));
  ours.sum().backward();
  EXPECT_TRUE(layer->weight.grad().defined() && !copy->weight.grad().defined());
}

TEST(Layers, WithoutGradientsOnlyTheValueIsComputed) {
  Linear layer(5, 4);
  {
    const torch::NoGradGuard no_grad;
    layer->weight.fill_(std::numeric_limits<float>::quiet_NaN());
  }
  EXPECT_THAT([&] { layer->forward(torch::ones({2, 5})); }, ThrowsMessage<c10::Error>(HasSubstr("grapes::nn::Linear")));
  const torch::NoGradGuard no_grad;
  EXPECT_NO_THROW(layer->forward(torch::ones({2, 5})));
}

TEST(Layers, InvalidRulesAndShapesAreErrors) {
  EXPECT_THAT([] { Linear(5, 4, by("pb")); }, ThrowsMessage<c10::ValueError>(HasSubstr("unknown route 'pb'")));
  EXPECT_THAT([] { Linear(5, 4, by("ifa")); }, ThrowsMessage<c10::Error>(HasSubstr("sends the error upward")));
  EXPECT_THAT([] { Linear(5, 4, Rule{.responsibility = credit::Responsibility::outgoing}); },
              ThrowsMessage<c10::Error>(HasSubstr("got outgoing")));
  EXPECT_THAT([] { Linear(5, 4, Rule{.gain = 0}); }, ThrowsMessage<c10::ValueError>(HasSubstr("gain must be above 0")));
  EXPECT_THAT([] { Linear(5, 4, by("bp", "grape")); }, ThrowsMessage<c10::ValueError>(HasSubstr("grapes")));
  EXPECT_THAT([] { Linear(5, 4)->forward(torch::ones({4})); }, ThrowsMessage<c10::Error>(HasSubstr("[..., 5]")));
  EXPECT_THAT([] { Conv2d(torch::nn::Conv2dOptions(3, 4, 3).groups(2)); },
              ThrowsMessage<c10::Error>(HasSubstr("divisible by groups")));
  EXPECT_THAT([] { Conv2d(torch::nn::Conv2dOptions(2, 4, 3).padding(torch::kSame)); },
              ThrowsMessage<c10::Error>(HasSubstr("padding must be given as numbers")));
  EXPECT_THAT(
      [] {
        DirectFeedback(std::vector<std::int64_t>{3}, 2)->forward(torch::ones({1, 2}), {});
      },
      ThrowsMessage<c10::Error>(HasSubstr("1 hidden activations")));
}

}  // namespace
}  // namespace grapes::nn
