#include "grapes/credit/backward.h"

#include "grapes/base/error.h"
#include "grapes/core/modulate.h"
#include "grapes/core/responsibility.h"
#include "grapes/testing/delta.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <functional>

namespace grapes {
namespace {

namespace F = torch::nn::functional;
using State = Attachment::State;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<at::Tensor> gradients_of(const torch::nn::Module& model) {
  std::vector<at::Tensor> all;
  for (const at::Tensor& p : model.parameters()) all.push_back(p.grad().defined() ? p.grad().clone() : at::Tensor());
  return all;
}

void clear(torch::nn::Module& model) {
  for (at::Tensor& p : model.parameters()) p.mutable_grad() = at::Tensor();
}

void expect_close(const std::vector<at::Tensor>& ours, const std::vector<at::Tensor>& expected,
                  const std::string& what = "") {
  ASSERT_EQ(ours.size(), expected.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    ASSERT_EQ(ours[i].defined(), expected[i].defined()) << what << " parameter " << i;
    if (!ours[i].defined()) continue;
    const double scale = std::max(1.0, expected[i].abs().max().item<double>());
    EXPECT_LE((ours[i] - expected[i]).abs().max().item<double>(), 1e-12 * scale) << what << " parameter " << i;
  }
}

/// The gradients by Modulator on `value`, against plain backpropagation through `written`, where the modulations stand
/// in the forward pass.
void expect_equal(torch::nn::Module& model, const std::function<at::Tensor()>& value,
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
  // And it is not simply the plain gradient.
  clear(model);
  value().backward();
  bool differs = false;
  const auto plain = gradients_of(model);
  for (std::size_t i = 0; i < plain.size(); ++i)
    if (plain[i].defined()) differs |= !at::allclose(plain[i], ours[i], 1e-6, 1e-9);
  EXPECT_TRUE(differs);
}

std::vector<State> states(const Modulator& modulator) {
  std::vector<State> all;
  for (const Attachment& attachment : modulator.attachments()) all.push_back(attachment.state);
  return all;
}

/// Weights that are wide enough for no two nodes to have the same factor.
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

torch::nn::Sequential mlp(bool in_place = false) {
  return spread(torch::nn::Sequential(torch::nn::Linear(6, 5), torch::nn::ReLU(torch::nn::ReLUOptions(in_place)),
                                      torch::nn::Linear(5, 4), torch::nn::ReLU(torch::nn::ReLUOptions(in_place)),
                                      torch::nn::Linear(4, 3)));
}

at::Tensor weight(const torch::nn::Sequential& model, std::size_t i) {
  return model->named_parameters()[std::to_string(i) + ".weight"];
}
at::Tensor bias(const torch::nn::Sequential& model, std::size_t i) {
  return model->named_parameters()[std::to_string(i) + ".bias"];
}

TEST(Backward, EqualsTheRecursionOfThePaper) {
  torch::manual_seed(3);
  auto model =
      spread(torch::nn::Sequential(torch::nn::Linear(torch::nn::LinearOptions(6, 5).bias(false)), torch::nn::Tanh(),
                                   torch::nn::Linear(torch::nn::LinearOptions(5, 4).bias(false)), torch::nn::Tanh(),
                                   torch::nn::Linear(torch::nn::LinearOptions(4, 3).bias(false))));
  testing::Chain chain;
  for (const std::size_t i : {0, 2, 4}) chain.weights.push_back(weight(model, i).detach());
  chain.feedback.resize(2);
  chain.activation = "tanh";
  for (const std::size_t l : {0, 1}) chain.factors.push_back(testing::factor_by_hand(chain.weights[l]));
  const at::Tensor x = at::randn({7, 6}, at::kDouble), labels = at::arange(7).remainder(3);
  for (const bool local : {false, true}) {
    chain.local = local;
    clear(*model);
    BackwardOptions options;
    if (local) options.modulation = "grapes-local";
    backward(F::cross_entropy(model->forward(x), labels), *model, options);
    expect_close(gradients_of(*model), testing::gradients(chain, x, labels));
  }
}

at::Tensor written_mlp(const torch::nn::Sequential& model, const at::Tensor& x) {
  at::Tensor h = x;
  for (const std::size_t i : {0, 2}) {
    const at::Tensor z = at::matmul(h, weight(model, i).t()) + bias(model, i);
    h = at::relu(modulate(z, factor(weight(model, i)), z.dim() - 1));
  }
  return at::matmul(h, weight(model, 4).t()) + bias(model, 4);
}

TEST(Backward, LinearOnInputsOfAnyRankAndStrides) {
  auto model = mlp();
  const at::Tensor x = at::randn({4, 3, 6}, at::kDouble);
  for (const at::Tensor& input : {x[0], x, x.transpose(0, 1), x[0][0], x.view({2, 2, 3, 6})})
    expect_equal(
        *model, [&] { return model->forward(input).pow(2).sum(); },
        [&] { return written_mlp(model, input).pow(2).sum(); });
}

TEST(Backward, ActivationsInPlace) {
  auto model = mlp(true);
  const at::Tensor x = at::randn({4, 6}, at::kDouble);
  expect_equal(
      *model, [&] { return model->forward(x).pow(2).sum(); }, [&] { return written_mlp(model, x).pow(2).sum(); });
}

TEST(Backward, ModulatedFactorsTellTheLayersApart) {
  auto model = mlp();
  Modulator modulator(*model);
  EXPECT_THAT(states(modulator), ElementsAre(State::unmatched, State::unmatched, State::unmatched));
  modulator.backward(model->forward(at::randn({4, 6}, at::kDouble)).sum());
  EXPECT_THAT(states(modulator), ElementsAre(State::modulated, State::modulated, State::output));
  EXPECT_EQ(modulator.attachments()[1].name, "2.weight");
  EXPECT_TRUE(at::equal(modulator.attachments()[1].factor, factor(weight(model, 2))));
  EXPECT_FALSE(modulator.attachments()[2].factor.defined());
  EXPECT_THAT(modulator.describe(), HasSubstr("4.weight  output\n"));
  EXPECT_THAT(modulator.describe(), HasSubstr("0.weight  modulated, 5 factors from "));
}

TEST(Backward, IsNothingToPlainBackwardAndNothingTwice) {
  auto model = mlp();
  const at::Tensor x = at::randn({4, 6}, at::kDouble);
  const auto gradient = [&](const std::function<void(const at::Tensor&)>& run) {
    clear(*model);
    run(model->forward(x).pow(2).sum());
    return gradients_of(*model);
  };
  const auto plain = gradient([](const at::Tensor& loss) { loss.backward(); });
  Modulator m(*model);
  const auto once = gradient([&](const at::Tensor& loss) { m.backward(loss); });
  std::vector<at::Tensor> doubled, mixed;
  for (std::size_t i = 0; i < once.size(); ++i) {
    doubled.push_back(2 * once[i]);
    mixed.push_back(2 * once[i] + plain[i]);
  }
  const auto retained = gradient([&](const at::Tensor& loss) {
    m.backward(loss, {}, true);
    m.backward(loss);
  });
  expect_close(retained, doubled, "the same graph twice");
  const auto through_both = gradient([&](const at::Tensor& loss) {
    m.backward(loss, {}, true);
    loss.backward({}, true);
    Modulator(*model).backward(loss);
  });
  expect_close(through_both, mixed, "a plain pass and another Modulator on the same graph");
  const auto accumulated = gradient([&](const at::Tensor& loss) {
    m.backward(loss);
    m.backward(model->forward(x).pow(2).sum());
  });
  expect_close(accumulated, doubled, "two batches accumulated");
}

TEST(Backward, LeavesTheGradientThatItWasGivenAlone) {
  auto model = mlp();
  const at::Tensor x = at::randn({4, 6}, at::kDouble), e = at::randn({4, 5}, at::kDouble), kept = e.clone();
  BackwardOptions options;
  options.include = {"0"};
  // The error given is the error at the modulated node itself.
  const at::Tensor z = F::linear(x, weight(model, 0), bias(model, 0));
  Modulator(*model, options).backward(z, e);
  EXPECT_TRUE(at::equal(e, kept));
  const at::Tensor expected = (e * factor(weight(model, 0))).t().mm(x);
  EXPECT_TRUE(at::allclose(weight(model, 0).grad(), expected, 1e-12, 1e-12));
}

TEST(Backward, SeesWeightsThatAnOptimizerWrote) {
  auto model = mlp();
  torch::optim::SGD optimizer(model->parameters(), torch::optim::SGDOptions(0.3));
  const at::Tensor x = at::randn({4, 6}, at::kDouble);
  Modulator m(*model);
  m.backward(model->forward(x).pow(2).sum());
  const at::Tensor before = m.attachments()[0].factor.clone();
  optimizer.step();
  m.backward(model->forward(x).pow(2).sum());
  EXPECT_FALSE(at::equal(m.attachments()[0].factor, before));
  EXPECT_TRUE(at::equal(m.attachments()[0].factor, factor(weight(model, 0))));

  BackwardOptions options;
  options.every = 2;
  Modulator rarely(*model, options);
  rarely.backward(model->forward(x).pow(2).sum());
  const at::Tensor kept = rarely.attachments()[0].factor.clone();
  optimizer.step();
  rarely.backward(model->forward(x).pow(2).sum());
  EXPECT_TRUE(at::equal(rarely.attachments()[0].factor, kept));
  rarely.backward(model->forward(x).pow(2).sum());
  EXPECT_TRUE(at::equal(rarely.attachments()[0].factor, factor(weight(model, 0))));
}

TEST(Backward, FrozenLayersPassTheErrorUnscaled) {
  auto model = mlp();
  weight(model, 2).requires_grad_(false);
  Modulator modulator(*model);
  const at::Tensor x = at::randn({16, 6}, at::kDouble);
  expect_equal(
      *model, [&] { return model->forward(x).pow(2).sum(); },
      [&] {
        const at::Tensor z = F::linear(x, weight(model, 0), bias(model, 0));
        const at::Tensor h =
            at::relu(F::linear(at::relu(modulate(z, factor(weight(model, 0)))), weight(model, 2), bias(model, 2)));
        return F::linear(h, weight(model, 4), bias(model, 4)).pow(2).sum();
      });
  modulator.backward(model->forward(x).sum());
  EXPECT_THAT(states(modulator), ElementsAre(State::modulated, State::frozen, State::output));
}

struct Tied : torch::nn::Module {
  Tied() {
    torch::manual_seed(5);
    W = register_parameter("W", at::randn({6, 4}, at::kDouble));
    U = register_parameter("U", at::randn({4, 4}, at::kDouble));
    b = register_parameter("b", at::randn({4}, at::kDouble));
  }
  at::Tensor forward(const at::Tensor& x) {
    at::Tensor h = at::tanh(x.mm(W) + b);
    for (int i = 0; i < 3; ++i) h = at::tanh(h.mm(U.t()));
    h = at::tanh(U.mm(h.t()).t());
    return h.mm(W.t());
  }
  at::Tensor W, U, b;
};

TEST(Backward, SharedWeightsInEachUseByHandWrittenProducts) {
  Tied model;
  const at::Tensor x = at::randn({5, 6}, at::kDouble);
  const auto written = [&] {
    at::Tensor h = at::tanh(modulate(x.mm(model.W) + model.b, factor(model.W, {}, 1)));
    const at::Tensor m = factor(model.U);
    for (int i = 0; i < 3; ++i) h = at::tanh(modulate(h.mm(model.U.t()), m));
    h = at::tanh(modulate(h.mm(model.U.t()), m));
    return h.mm(model.W.t()).pow(2).sum();  // the decoder is the output layer
  };
  expect_equal(
      model, [&] { return model.forward(x).pow(2).sum(); }, written);
  Modulator m(model);
  m.backward(model.forward(x).sum());
  EXPECT_THAT(states(m), ElementsAre(State::modulated, State::modulated));
  EXPECT_EQ(m.attachments()[0].uses, 2);
  EXPECT_EQ(m.attachments()[1].uses, 4);
  BackwardOptions local;
  local.local = {"W"};
  local.include = {"W"};
  EXPECT_THROW(Modulator(model, local).backward(model.forward(x).sum()), c10::Error) << "rows here, columns there";
}

TEST(Backward, BiasesHoweverTheyAreAdded) {
  struct Odd : torch::nn::Module {
    at::Tensor W = register_parameter("W", at::randn({4, 6}, at::kDouble));
    at::Tensor K = register_parameter("K", at::randn({3, 2, 3}, at::kDouble));
    at::Tensor b = register_parameter("b", at::randn({4}, at::kDouble));
    at::Tensor c = register_parameter("c", at::randn({3}, at::kDouble));
  };
  torch::manual_seed(7);
  Odd model;
  const at::Tensor x = at::randn({6, 5}, at::kDouble), v = x.select(1, 0), s = at::randn({2, 2, 8}, at::kDouble);
  const at::Tensor m = factor(model.W), k = factor(model.K);
  const auto check = [&](const std::function<at::Tensor(bool)>& forward) {
    BackwardOptions options;
    options.include = {"W", "K"};
    options.warn = false;
    for (const at::Tensor& p : model.parameters()) p.mutable_grad() = at::zeros_like(p);
    Modulator(model, options).backward(forward(false).pow(3).sum());
    const auto ours = gradients_of(model);
    for (const at::Tensor& p : model.parameters()) p.mutable_grad() = at::zeros_like(p);
    forward(true).pow(3).sum().backward();
    expect_close(ours, gradients_of(model));
  };
  const auto by = [](bool written, const at::Tensor& z, const at::Tensor& factors, std::int64_t dim) {
    return written ? modulate(z, factors, dim) : z;
  };
  check([&](bool w) { return by(w, model.W.mm(x) + model.b.unsqueeze(1), m, 0); });
  check([&](bool w) { return by(w, model.W.mm(x).t() + model.b, m, 1); });
  check([&](bool w) { return by(w, x.t().mm(model.W.t()).add_(model.b.view({1, 4}).expand({5, 4})), m, 1); });
  check([&](bool w) { return by(w, model.W.mv(v) + model.b, m, 0); });
  check([&](bool w) { return by(w, at::conv1d(s, model.K) + model.c.view({1, 3, 1}), k, 1); });
  check([&](bool w) { return by(w, at::conv1d(s, model.K, model.c), k, 1); });

  // What cannot be told apart is left alone, and said.
  Modulator both(model);
  const at::Tensor z = model.W.mm(x);
  both.backward((at::tanh(z + model.b.unsqueeze(1)) + z).sum());
  EXPECT_EQ(both.attachments()[0].why, "used both with and without its bias");
}

TEST(Backward, ALocalWeightDoesNotCompoundInAHandWrittenRecurrence) {
  Tied model;
  const at::Tensor x = at::randn({5, 6}, at::kDouble);
  BackwardOptions options;
  options.local = {"U"};
  expect_equal(
      model, [&] { return model.forward(x).pow(2).sum(); },
      [&] {
        at::Tensor h = at::tanh(modulate(x.mm(model.W) + model.b, factor(model.W, {}, 1)));
        const at::Tensor U = modulate(model.U, factor(model.U), 0);
        for (int i = 0; i < 4; ++i) h = at::tanh(h.mm(U.t()));
        return h.mm(model.W.t()).pow(2).sum();
      },
      options);
}

TEST(Backward, ConvolutionsPerOutputChannel) {
  using namespace torch::nn;
  const at::Tensor flat = at::randn({2, 4, 7}, at::kDouble), image = at::randn({2, 4, 6, 6}, at::kDouble),
                   volume = at::randn({2, 4, 4, 4, 4}, at::kDouble);
  const auto check = [](const auto& layer, const at::Tensor& x, const at::Tensor& m) {
    auto model = spread(torch::nn::Sequential(layer, ReLU(ReLUOptions(true)), AnyModule(Flatten())));
    const at::Tensor h = model->forward(x);
    BackwardOptions options;
    options.include = {"0"};
    const at::Tensor last = at::randn({h.size(1)}, at::kDouble);
    expect_equal(
        *model, [&] { return (model->forward(x) * last).sum(); },
        [&] {
          at::Tensor z = const_cast<std::decay_t<decltype(layer)>&>(layer)->forward(x);  // NOLINT
          return (at::relu(modulate(z, m.defined() ? m : factor(layer->weight))).flatten(1) * last).sum();
        },
        options);
  };
  check(Conv1d(Conv1dOptions(4, 6, 3)), flat, {});
  check(Conv2d(Conv2dOptions(4, 6, 3).stride(2).padding(1)), image, {});
  check(Conv2d(Conv2dOptions(4, 6, 3).groups(2)), image, {});
  check(Conv3d(Conv3dOptions(4, 6, 2).bias(false)), volume, {});
}

/// r[g · N/G + o] = Σ_i Σ_k |W[i, o, k]| over the inputs i of group g, in plain loops.
at::Tensor transposed_factor(const at::Tensor& W, std::int64_t groups) {
  const std::int64_t in = W.size(0) / groups, out = W.size(1);
  at::Tensor r = at::zeros({groups * out}, at::kDouble);
  for (std::int64_t g = 0; g < groups; ++g)
    for (std::int64_t o = 0; o < out; ++o)
      for (std::int64_t i = 0; i < in; ++i) r[g * out + o] += W.detach()[g * in + i][o].abs().sum();
  return factor_from(r);
}

TEST(Backward, TransposedConvolutionsPerOutputChannel) {
  torch::manual_seed(8);
  for (const std::int64_t groups : {1, 2}) {
    // As many channels out as in: only the operation itself tells which axis is which.
    torch::nn::ConvTranspose2d layer(torch::nn::ConvTranspose2dOptions(4, 4, 3).groups(groups));
    layer->to(at::kDouble);
    layer->weight.data().mul_(at::rand({4, 4 / groups, 1, 1}, at::kDouble) + 0.2);
    const at::Tensor x = at::randn({2, 4, 5, 5}, at::kDouble), e = at::randn({2, 4, 7, 7}, at::kDouble);
    const at::Tensor m = transposed_factor(layer->weight, groups);
    for (const bool local : {false, true}) {
      BackwardOptions options;
      options.include = {"weight"};
      if (local) options.modulation = "grapes-local";
      expect_equal(
          *layer, [&] { return (layer->forward(x) * e).sum(); },
          [&] { return (modulate(layer->forward(x), m) * e).sum(); }, options);
    }
  }
}

TEST(Backward, EveryModulationByItsName) {
  auto model = mlp();
  const at::Tensor x = at::randn({4, 6}, at::kDouble), m0 = factor(weight(model, 0));
  BackwardOptions options;
  options.modulation = "uniform";
  Modulator uniform(*model, options);
  uniform.backward(model->forward(x).sum());
  EXPECT_TRUE(at::allclose(uniform.attachments()[0].factor, at::full({5}, m0.mean().item<double>(), at::kDouble)));

  options.modulation = "constant";
  options.constants = {1.5, 1.25};
  Modulator constant(*model, options);
  constant.backward(model->forward(x).sum());
  EXPECT_TRUE(at::equal(constant.attachments()[0].factor, at::full({5}, 1.5, at::kDouble)));
  EXPECT_TRUE(at::equal(constant.attachments()[1].factor, at::full({4}, 1.25, at::kDouble)));

  options.modulation = "shuffled";
  options.low = 0;
  Modulator shuffled(*model, options), again(*model, options);
  bool moved = false;
  for (int batch = 0; batch < 5; ++batch) {
    shuffled.backward(model->forward(x).sum());
    again.backward(model->forward(x).sum());
    const at::Tensor dealt = shuffled.attachments()[0].factor, own = factor(weight(model, 0), {}, 0, {}, 2, 0, 2);
    EXPECT_TRUE(at::equal(dealt, again.attachments()[0].factor)) << "the same seed";
    EXPECT_TRUE(at::equal(std::get<0>(dealt.sort()), std::get<0>(own.sort())));
    moved |= !at::equal(dealt, own);
  }
  EXPECT_TRUE(moved);

  options.modulation = "none";
  clear(*model);
  Modulator(*model, options).backward(model->forward(x).sum());
  const auto ours = gradients_of(*model);
  clear(*model);
  model->forward(x).sum().backward();
  const auto plain = gradients_of(*model);
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(at::equal(ours[i], plain[i]));
}

TEST(Backward, IncludesAndExcludesByName) {
  auto model = mlp();
  const at::Tensor x = at::randn({4, 6}, at::kDouble);
  BackwardOptions options;
  options.include = {"2", "4.weight"};
  Modulator included(*model, options);
  included.backward(model->forward(x).sum());
  EXPECT_THAT(states(included), ElementsAre(State::excluded, State::modulated, State::modulated));
  options.include.clear();
  options.exclude = {"0"};
  Modulator excluded(*model, options);
  excluded.backward(model->forward(x).sum());
  EXPECT_THAT(states(excluded), ElementsAre(State::excluded, State::modulated, State::output));
}

TEST(Backward, EveryHeadIsAnOutputLayer) {
  torch::manual_seed(2);
  torch::nn::Linear trunk(3, 4), left(4, 2), right(4, 1);
  torch::nn::ModuleDict model;
  model->update({{"trunk", trunk.ptr()}, {"left", left.ptr()}, {"right", right.ptr()}});
  const at::Tensor h = at::relu(trunk(at::randn({5, 3})));
  Modulator modulator(*model);
  modulator.backward(left(h).sum() + right(h).pow(2).sum());
  std::map<std::string, State> by_name;
  for (const Attachment& attachment : modulator.attachments()) by_name[attachment.name] = attachment.state;
  EXPECT_EQ(by_name["trunk.weight"], State::modulated);
  EXPECT_EQ(by_name["left.weight"], State::output);
  EXPECT_EQ(by_name["right.weight"], State::output);
}

/// What `run` makes LibTorch print of warnings.
std::string warnings_of(const std::function<void()>& run) {
  ::testing::internal::CaptureStderr();
  run();
  return ::testing::internal::GetCapturedStderr();
}

TEST(Backward, WarnsOnceOfWhatItDidNotMatch) {
  torch::manual_seed(2);
  torch::nn::Sequential model(torch::nn::Embedding(7, 3), torch::nn::Linear(3, 4), torch::nn::ReLU(),
                              torch::nn::Linear(4, 2));
  model->register_module("spare", torch::nn::Linear(2, 2));
  model->register_parameter("mask", at::rand({5, 4}));
  const auto loss = [&] {
    at::Tensor h = model->children()[0]->as<torch::nn::Embedding>()->forward(at::arange(5));
    h = model->children()[1]->as<torch::nn::Linear>()->forward(h) * model->named_parameters()["mask"];
    return model->children()[3]->as<torch::nn::Linear>()->forward(at::relu(h)).sum();
  };
  Modulator modulator(*model);
  const std::string first = warnings_of([&] { modulator.backward(loss()); });
  EXPECT_THAT(first, HasSubstr("mask (used by MulBackward0)"));
  EXPECT_THAT(first, HasSubstr("0.weight (an embedding)"));
  EXPECT_THAT(first, HasSubstr("spare.weight (not used by this loss)"));
  EXPECT_EQ(warnings_of([&] { modulator.backward(loss()); }), "");
  BackwardOptions options;
  options.exclude = {"mask", "0", "spare"};
  EXPECT_EQ(warnings_of([&] { Modulator(*model, options).backward(loss()); }), "") << "what is excluded is no surprise";
  options = {};
  options.warn = false;
  EXPECT_EQ(warnings_of([&] { Modulator(*model, options).backward(loss()); }), "");
}

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Backward, SaysWhatCannotBe) {
  auto model = mlp();
  const at::Tensor x = at::randn({4, 6}, at::kDouble);
  const auto with = [&](const std::function<void(BackwardOptions&)>& change) {
    BackwardOptions options;
    change(options);
    return error_of([&] { Modulator(*model, options).backward(model->forward(x).sum()); });
  };
  EXPECT_THAT(with([](auto& o) { o.include = {"2.wieght"}; }), HasSubstr("did you mean '2.weight'?"));
  EXPECT_THAT(with([](auto& o) { o.exclude = {"9"}; }),
              HasSubstr("backward: exclude must name layers of the model; got '9'"));
  EXPECT_THAT(with([](auto& o) { o.modulation = "grape"; }), HasSubstr("did you mean 'grapes'?"));
  EXPECT_THAT(with([](auto& o) { o.modulation = "constant"; }), HasSubstr("must have constants"));
  EXPECT_THAT(with([](auto& o) { o.every = 0; }), HasSubstr("every must be 1 or more; got 0"));
  EXPECT_THAT(with([](auto& o) { o.low = 3; }), HasSubstr("0 <= low <= high"));
  EXPECT_THAT(error_of([&] { Modulator(*model).backward(at::ones({1})); }), HasSubstr("got one without a graph"));
  EXPECT_THAT(error_of([&] { Modulator{*torch::nn::Sequential(torch::nn::ReLU())}; }), HasSubstr("two axes or more"));
  BackwardOptions shuffled;
  shuffled.modulation = "shuffled";
  EXPECT_THAT(error_of([&] { backward(model->forward(x).sum(), *model, shuffled); }), HasSubstr("grapes::Modulator"));
  weight(model, 2).data()[0][0] = std::numeric_limits<double>::infinity();
  EXPECT_THAT(with([](auto&) {}), HasSubstr("2.weight: factor: every weight must be finite"));
}

TEST(Backward, AfterAnErrorNothingStaysScaled) {
  auto model = mlp();
  const at::Tensor x = at::randn({4, 6}, at::kDouble);
  Modulator m(*model);
  const at::Tensor logits = model->forward(x);
  EXPECT_THROW(m.backward(logits), std::exception) << "not a number, and no gradient given";
  clear(*model);
  logits.sum().backward();
  const auto after = gradients_of(*model);
  clear(*model);
  model->forward(x).sum().backward();
  const auto plain = gradients_of(*model);
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(at::equal(after[i], plain[i]));
}

}  // namespace
}  // namespace grapes
