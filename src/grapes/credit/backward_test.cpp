#include "grapes/credit/backward_test.h"

#include "grapes/core/modulate.h"
#include "grapes/core/responsibility.h"
#include "grapes/testing/delta.h"

#include <torch/torch.h>

#include <functional>

namespace grapes {
namespace {

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
    if (local) options.rule().modulation = "grapes-local";
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

TEST(Backward, ScalesLinearLayersOnInputsOfAnyRankAndStrides) {
  auto model = mlp();
  const at::Tensor x = at::randn({4, 3, 6}, at::kDouble);
  for (const at::Tensor& input : {x[0], x, x.transpose(0, 1), x[0][0], x.view({2, 2, 3, 6})})
    expect_equal(
        *model, [&] { return model->forward(input).pow(2).sum(); },
        [&] { return written_mlp(model, input).pow(2).sum(); });
}

TEST(Backward, WorksWithInPlaceActivations) {
  auto model = mlp(true);
  const at::Tensor x = at::randn({4, 6}, at::kDouble);
  expect_equal(
      *model, [&] { return model->forward(x).pow(2).sum(); }, [&] { return written_mlp(model, x).pow(2).sum(); });
}

TEST(Backward, AttachmentsNameTheStateAndFactorsOfEachLayer) {
  auto model = mlp();
  Modulator modulator(*model);
  EXPECT_THAT(states(modulator), ElementsAre(State::unmatched, State::unmatched, State::unmatched));
  modulator.backward(model->forward(at::randn({4, 6}, at::kDouble)).sum());
  EXPECT_THAT(states(modulator), ElementsAre(State::modulated, State::modulated, State::output));
  EXPECT_EQ(modulator.attachments()[1].name, "2");
  EXPECT_TRUE(at::equal(modulator.attachments()[1].factor, factor(weight(model, 2))));
  EXPECT_FALSE(modulator.attachments()[2].factor.defined());
  EXPECT_THAT(modulator.describe(), HasSubstr("4  output\n"));
  EXPECT_THAT(modulator.describe(), HasSubstr("0  modulated, 5 factors from "));
}

TEST(Backward, DoesNotAffectPlainBackwardAndNeverScalesTwice) {
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

TEST(Backward, DoesNotChangeTheGivenGradient) {
  auto model = mlp();
  const at::Tensor x = at::randn({4, 6}, at::kDouble), e = at::randn({4, 5}, at::kDouble), kept = e.clone();
  BackwardOptions options;
  options.include({"0"});
  // The given error is that at the modulated unit itself.
  const at::Tensor z = F::linear(x, weight(model, 0), bias(model, 0));
  Modulator(*model, options).backward(z, e);
  EXPECT_TRUE(at::equal(e, kept));
  const at::Tensor expected = (e * factor(weight(model, 0))).t().mm(x);
  EXPECT_TRUE(at::allclose(weight(model, 0).grad(), expected, 1e-12, 1e-12));
}

TEST(Backward, UsesTheWeightsThatAnOptimizerWrote) {
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
  options.rule().every = 2;
  Modulator rarely(*model, options);
  rarely.backward(model->forward(x).pow(2).sum());
  const at::Tensor kept = rarely.attachments()[0].factor.clone();
  optimizer.step();
  rarely.backward(model->forward(x).pow(2).sum());
  EXPECT_TRUE(at::equal(rarely.attachments()[0].factor, kept));
  rarely.backward(model->forward(x).pow(2).sum());
  EXPECT_TRUE(at::equal(rarely.attachments()[0].factor, factor(weight(model, 0))));
}

/// Numbers worked out in the test; python/tests/test_weights.py has the same.
TEST(Backward, AFrozenLayerScalesTheErrorThatPassesThroughIt) {
  using torch::nn::LinearOptions;
  torch::nn::Sequential model(torch::nn::Linear(LinearOptions(2, 3).bias(false)),
                              torch::nn::Linear(LinearOptions(3, 2).bias(false)),
                              torch::nn::Linear(LinearOptions(2, 1).bias(false)));
  weight(model, 0).set_data(at::tensor({1., 0., 1., -1., 3., 1.}).view({3, 2}));  // m = 1, 1, 2
  weight(model, 1).set_data(at::tensor({1., 1., 2., 0., 1., 0.}).view({2, 3}));   // m = 2, 1
  weight(model, 2).set_data(at::tensor({1., 3.}).view({1, 2}));                   // the output layer
  weight(model, 1).requires_grad_(false);
  const at::Tensor x = at::tensor({1., 2.}).view({1, 2});
  const auto gradient = [&](const std::string& modulation) {
    clear(*model);
    Modulator(*model, Rule{.modulation = modulation}).backward(model->forward(x).sum());
    EXPECT_FALSE(weight(model, 1).grad().defined()) << "it does not learn";
    return weight(model, 0).grad().clone();
  };
  EXPECT_TRUE(at::equal(gradient("grapes"), at::tensor({2., 4., 5., 10., 8., 16.}).view({3, 2})));
  EXPECT_TRUE(at::equal(gradient("grapes-local"), at::tensor({1., 2., 4., 8., 4., 8.}).view({3, 2})));
  EXPECT_TRUE(at::equal(gradient("none"), at::tensor({1., 2., 4., 8., 2., 4.}).view({3, 2})));
}

TEST(Backward, FrozenLayersOfEveryKindAreFound) {
  const auto check = [](const auto& frozen, const at::Tensor& x, std::int64_t dim, bool bias_learns) {
    torch::nn::Linear first(x.size(-1), x.size(-1));
    auto model = spread(torch::nn::Sequential(first, frozen));
    weight(model, 1).requires_grad_(false);
    if (!bias_learns && frozen->bias.defined()) frozen->bias.requires_grad_(false);
    const at::Tensor e = at::randn(model->forward(x).sizes(), at::kDouble);
    expect_equal(
        *model, [&] { return (model->forward(x) * e).sum(); },
        [&] {
          const at::Tensor h = modulate(first(x), factor(first->weight), x.dim() - 1);
          return (modulate(model[1]->template as<std::decay_t<decltype(*frozen)>>()->forward(h),
                           factor(weight(model, 1)), dim) *
                  e)
              .sum();
        },
        BackwardOptions().include({"*"}));
  };
  using namespace torch::nn;
  for (const bool bias_learns : {true, false}) {
    check(Linear(5, 4), at::randn({3, 5}, at::kDouble), 1, bias_learns);
    check(Linear(5, 4), at::randn({2, 3, 5}, at::kDouble), 2, bias_learns);
    check(Conv1d(Conv1dOptions(2, 4, 3)), at::randn({3, 2, 5}, at::kDouble), 1, bias_learns);
    check(Conv2d(Conv2dOptions(4, 6, 3).groups(2)), at::randn({2, 4, 5, 5}, at::kDouble), 1, bias_learns);
  }
  check(Linear(LinearOptions(5, 4).bias(false)), at::randn({2, 3, 5}, at::kDouble), 2, false);
}

TEST(Backward, AFrozenLayerIsModulatedOutputOrFrozen) {
  auto model = mlp();
  const at::Tensor x = at::randn({4, 6}, at::kDouble);
  Modulator modulator(*model);
  weight(model, 2).requires_grad_(false);
  modulator.backward(model->forward(x).sum());
  EXPECT_THAT(states(modulator), ElementsAre(State::modulated, State::modulated, State::output));
  weight(model, 4).requires_grad_(false);
  modulator.backward(model->forward(x).sum());
  EXPECT_THAT(states(modulator), ElementsAre(State::modulated, State::modulated, State::output))
      << "a frozen output layer is the output layer all the same";
  weight(model, 0).requires_grad_(false), bias(model, 0).requires_grad_(false);
  modulator.backward(model->forward(x).sum());
  EXPECT_EQ(states(modulator)[0], State::frozen) << "no error passes through it";
}

/// If only the bias of a layer requires a gradient, the graph has no product with its weight.
TEST(Backward, ABiasCanLearnWhileItsWeightIsFrozen) {
  auto model = mlp();
  weight(model, 0).requires_grad_(false), weight(model, 2).requires_grad_(false);
  const at::Tensor x = at::randn({2, 4, 6}, at::kDouble);
  const auto written = [&] {
    const at::Tensor z = modulate(F::linear(x, weight(model, 0), bias(model, 0)), factor(weight(model, 0)), 2);
    const at::Tensor a =
        modulate(F::linear(at::relu(z), weight(model, 2), bias(model, 2)), factor(weight(model, 2)), 2);
    return F::linear(at::relu(a), weight(model, 4), bias(model, 4)).pow(2).sum();
  };
  expect_equal(
      *model, [&] { return model->forward(x).pow(2).sum(); }, written);
  const at::Tensor flat = x[0];
  expect_equal(
      *model, [&] { return model->forward(flat).pow(2).sum() + model->forward(x).pow(2).sum(); },
      [&] {
        const at::Tensor z = modulate(F::linear(flat, weight(model, 0), bias(model, 0)), factor(weight(model, 0)));
        const at::Tensor a =
            modulate(F::linear(at::relu(z), weight(model, 2), bias(model, 2)), factor(weight(model, 2)));
        return F::linear(at::relu(a), weight(model, 4), bias(model, 4)).pow(2).sum() + written();
      });
  // The same for the local version.
  clear(*model);
  model->forward(x).sum().backward();
  const at::Tensor plain = bias(model, 0).grad().clone();
  clear(*model);
  Modulator(*model, BackwardOptions().local({"0"})).backward(model->forward(x).sum());
  EXPECT_FALSE(at::allclose(bias(model, 0).grad(), plain));
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

TEST(Backward, ScalesEachUseOfASharedWeight) {
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
  EXPECT_THROW(Modulator(model, BackwardOptions().include({"W"}).local({"W"})).backward(model.forward(x).sum()),
               c10::Error)
      << "rows here, columns there";
}

TEST(Backward, ScalesBiasesThatAreAddedByAnyOperation) {
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
    options.include({"W", "K"});
    options.warn(false);
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

  // Ambiguous layers are not modulated, with a warning.
  Modulator both(model);
  const at::Tensor z = model.W.mm(x);
  both.backward((at::tanh(z + model.b.unsqueeze(1)) + z).sum());
  EXPECT_EQ(both.attachments()[0].reason, "used both with and without its bias");
}

TEST(Backward, ALocalRecurrentWeightIsNotScaledAtEveryTimeStep) {
  Tied model;
  const at::Tensor x = at::randn({5, 6}, at::kDouble);
  BackwardOptions options;
  options.local({"U"});
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

}  // namespace
}  // namespace grapes
