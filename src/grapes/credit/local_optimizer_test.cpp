#include "grapes/credit/local_optimizer.h"

#include "grapes/core/responsibility.h"
#include "grapes/credit/backward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <sstream>

namespace grapes {
namespace {

using State = Attachment::State;
using ::testing::HasSubstr;

torch::nn::Sequential mlp() {
  torch::manual_seed(1);
  torch::nn::Sequential model(torch::nn::Linear(4, 5), torch::nn::Tanh(), torch::nn::Linear(5, 3), torch::nn::Tanh(),
                              torch::nn::Linear(3, 2));
  model->to(at::kDouble);
  return model;
}

at::Tensor inputs() {
  torch::manual_seed(9);
  return at::randn({6, 4}, at::kDouble);
}

std::vector<at::Tensor> values(const torch::nn::Sequential& model) {
  std::vector<at::Tensor> all;
  for (const at::Tensor& p : model->parameters()) all.push_back(p.detach().clone());
  return all;
}

void expect_same(const std::vector<at::Tensor>& ours, const std::vector<at::Tensor>& expected) {
  for (std::size_t i = 0; i < ours.size(); ++i) EXPECT_TRUE(at::equal(ours[i], expected[i])) << "parameter " << i;
}

TEST(LocalOptimizer, MultipliesEachRowOfTheGradientByItsFactor) {
  auto model = mlp();
  const auto before = values(model);
  torch::optim::SGD sgd(model->parameters(), torch::optim::SGDOptions(0.1));
  LocalOptimizer optimizer(sgd, *model);
  model->forward(inputs()).pow(2).sum().backward();
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& p : model->parameters()) gradients.push_back(p.grad().clone());
  optimizer.step();
  for (std::size_t i = 0; i < before.size(); ++i) {
    at::Tensor G = gradients[i];
    if (i < 4) {
      const at::Tensor m = factor(before[i / 2 * 2]);
      G = i % 2 == 0 ? m.unsqueeze(1) * G : m * G;
    }
    EXPECT_TRUE(at::allclose(model->parameters()[i], before[i] - 0.1 * G, 1e-12, 1e-12)) << "parameter " << i;
    EXPECT_TRUE(at::equal(model->parameters()[i].grad(), gradients[i])) << "gradients are as they were";
  }
}

TEST(LocalOptimizer, EqualsTheLocalVersionInTheGraphUnderAnyOptimizer) {
  const auto train = [](bool in_graph, auto make) {
    auto model = mlp();
    const auto inner = make(model->parameters());
    LocalOptimizer optimizer(*inner, *model);
    BackwardOptions options;
    options.rule().modulation = "grapes-local";
    Modulator modulator(*model, options);
    for (int batch = 0; batch < 5; ++batch) {
      inner->zero_grad();
      const at::Tensor loss = model->forward(inputs()).pow(2).sum();
      if (in_graph) {
        modulator.backward(loss);
        inner->step();
      } else {
        loss.backward();
        optimizer.step();
      }
    }
    return values(model);
  };
  const auto compare = [&](auto make) {
    const auto a = train(false, make), b = train(true, make);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::allclose(a[i], b[i], 1e-12, 1e-12)) << i;
  };
  compare([](const auto& p) {
    return std::make_unique<torch::optim::SGD>(p, torch::optim::SGDOptions(0.05).momentum(0.9).weight_decay(0.01));
  });
  compare([](const auto& p) { return std::make_unique<torch::optim::Adam>(p, torch::optim::AdamOptions(0.01)); });
}

TEST(LocalOptimizer, AClosureIsScaledEachTimeItIsCalled) {
  auto model = mlp();
  torch::optim::LBFGS inner(model->parameters(), torch::optim::LBFGSOptions(0.05).max_iter(4));
  LocalOptimizerOptions none;
  none.rule().modulation = "constant";
  none.rule().constants = {2};
  none.include({"0", "2", "4"});
  LocalOptimizer optimizer(inner, *model, none);
  auto twin = mlp();
  torch::optim::LBFGS plain(twin->parameters(), torch::optim::LBFGSOptions(0.05).max_iter(4));
  int calls = 0;
  const at::Tensor loss = optimizer.step([&] {
    ++calls;
    inner.zero_grad();
    const at::Tensor value = model->forward(inputs()).pow(2).sum();
    value.backward();
    return value;
  });
  plain.step([&] {
    plain.zero_grad();
    const at::Tensor value = twin->forward(inputs()).pow(2).sum();
    (2 * value).backward();  // doubling every gradient gives the gradient of twice the loss
    return value;
  });
  EXPECT_GT(calls, 1);
  EXPECT_TRUE(loss.defined());
  const auto a = values(model), b = values(twin);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::allclose(a[i], b[i], 1e-10, 1e-10)) << i;
}

TEST(LocalOptimizer, ResumesFromItsStateBitForBit) {
  LocalOptimizerOptions options;
  options.rule().modulation = "shuffled";
  options.rule().every = 3;
  const auto step = [](torch::nn::Sequential& model, LocalOptimizer& optimizer) {
    optimizer.zero_grad();
    model->forward(inputs()).pow(2).sum().backward();
    optimizer.step();
  };
  auto model = mlp();
  torch::optim::Adam adam(model->parameters(), torch::optim::AdamOptions(0.01));
  LocalOptimizer optimizer(adam, *model, options);
  for (int batch = 0; batch < 4; ++batch) step(model, optimizer);
  std::stringstream state, weights;
  torch::save(optimizer, state);
  torch::save(model, weights);
  for (int batch = 0; batch < 4; ++batch) step(model, optimizer);

  auto resumed = mlp();
  torch::load(resumed, weights);
  torch::optim::Adam again(resumed->parameters(), torch::optim::AdamOptions(0.01));
  LocalOptimizer second(again, *resumed, options);
  torch::load(second, state);
  for (int batch = 0; batch < 4; ++batch) step(resumed, second);
  expect_same(values(resumed), values(model));

  auto other = mlp();
  torch::optim::Adam third(other->parameters(), torch::optim::AdamOptions(0.01));
  options.exclude({"0"});
  LocalOptimizer fewer(third, *other, options);
  state.clear();
  state.seekg(0);
  try {
    torch::load(fewer, state);
    FAIL() << "no error";
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what_without_backtrace(), HasSubstr("must be saved for the layers 2; got 0, 2"));
  }
}

TEST(LocalOptimizer, ScalesOnlyTheLayersThatItsOptionsName) {
  auto model = mlp();
  torch::optim::SGD sgd(model->parameters(), torch::optim::SGDOptions(0.1));
  const auto with = [&](LocalOptimizerOptions options) {
    std::vector<State> states;
    for (const Attachment& attachment : LocalOptimizer(sgd, *model, std::move(options)).attachments())
      states.push_back(attachment.state);
    return states;
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(with({}), ElementsAre(State::local, State::local, State::output));
  EXPECT_THAT(with(LocalOptimizerOptions().output({"0"})), ElementsAre(State::output, State::local, State::local));
  EXPECT_THAT(with(LocalOptimizerOptions().include({"*"}).exclude({"2"})),
              ElementsAre(State::local, State::excluded, State::local));
  model->parameters()[0].requires_grad_(false);
  EXPECT_THAT(with({}), ElementsAre(State::local, State::local, State::output)) << "its bias learns";
  model->parameters()[1].requires_grad_(false);
  EXPECT_THAT(with({}), ElementsAre(State::frozen, State::local, State::output));
  EXPECT_EQ(LocalOptimizer(sgd, *model).describe(),
            "grapes: gain 2, clip [1, 2], incoming responsibility\n  0  frozen\n  2  local\n  4  output\n");
}

TEST(LocalOptimizer, SupportsTransposedConvolutionsRecurrentLayersAndEmbeddings) {
  struct Net : torch::nn::Module {
    torch::nn::Embedding words = register_module("words", torch::nn::Embedding(7, 4));
    torch::nn::GRU gru = register_module("gru", torch::nn::GRU(4, 3));
    torch::nn::ConvTranspose1d up =
        register_module("up", torch::nn::ConvTranspose1d(torch::nn::ConvTranspose1dOptions(4, 6, 3).groups(2)));
    torch::nn::Linear out = register_module("out", torch::nn::Linear(6, 2));
  } net;
  torch::optim::SGD sgd(net.parameters(), torch::optim::SGDOptions(1));
  LocalOptimizer optimizer(sgd, net);
  std::vector<at::Tensor> before;
  for (at::Tensor& p : net.parameters()) {
    before.push_back(p.detach().clone());
    p.mutable_grad() = at::ones_like(p);
  }
  optimizer.step();
  std::map<std::string, const Attachment*> all;
  for (const Attachment& attachment : optimizer.attachments()) all[attachment.name] = &attachment;
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all["words"]->state, State::unmatched);
  EXPECT_EQ(all["words"]->reason, "an embedding");
  EXPECT_EQ(all["out"]->state, State::output);
  EXPECT_EQ(all["gru.l0"]->factor.size(0), 9);
  const at::Tensor m = all["up"]->factor;
  ASSERT_EQ(m.size(0), 6);
  // With gradients of 1 the step is the factor itself. Inputs 0 and 1 belong to the first three units.
  const at::Tensor stepped = before[5] - net.up->weight;
  EXPECT_TRUE(at::allclose(stepped[1].select(1, 0), m.slice(0, 0, 3), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(stepped[2].select(1, 0), m.slice(0, 3, 6), 1e-5, 1e-5));
}

}  // namespace
}  // namespace grapes
