#include "grapes/core/modulate.h"
#include "grapes/core/responsibility.h"
#include "grapes/credit/backward_test.h"

#include <torch/torch.h>

#include <functional>
#include <limits>
#include <map>

namespace grapes {
namespace {

TEST(Backward, ScalesConvolutionsPerOutputChannel) {
  using namespace torch::nn;
  const at::Tensor flat = at::randn({2, 4, 7}, at::kDouble), image = at::randn({2, 4, 6, 6}, at::kDouble),
                   volume = at::randn({2, 4, 4, 4, 4}, at::kDouble);
  const auto check = [](const auto& layer, const at::Tensor& x, const at::Tensor& m) {
    auto model = spread(torch::nn::Sequential(layer, ReLU(ReLUOptions(true)), AnyModule(Flatten())));
    const at::Tensor h = model->forward(x);
    BackwardOptions options;
    options.include({"0"});
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

TEST(Backward, ScalesTransposedConvolutionsPerOutputChannel) {
  torch::manual_seed(8);
  for (const std::int64_t groups : {1, 2}) {
    // As many output as input channels, so only the operation shows which axis is which.
    torch::nn::ConvTranspose2d layer(torch::nn::ConvTranspose2dOptions(4, 4, 3).groups(groups));
    layer->to(at::kDouble);
    layer->weight.data().mul_(at::rand({4, 4 / groups, 1, 1}, at::kDouble) + 0.2);
    const at::Tensor x = at::randn({2, 4, 5, 5}, at::kDouble), e = at::randn({2, 4, 7, 7}, at::kDouble);
    const at::Tensor m = transposed_factor(layer->weight, groups);
    for (const bool local : {false, true}) {
      BackwardOptions options;
      options.include({"weight"});
      if (local) options.rule().modulation = "grapes-local";
      expect_equal(
          *layer, [&] { return (layer->forward(x) * e).sum(); },
          [&] { return (modulate(layer->forward(x), m) * e).sum(); }, options);
    }
  }
}

TEST(Backward, SupportsEveryModulationByName) {
  auto model = mlp();
  const at::Tensor x = at::randn({4, 6}, at::kDouble), m0 = factor(weight(model, 0));
  BackwardOptions options;
  options.rule().modulation = "uniform";
  Modulator uniform(*model, options);
  uniform.backward(model->forward(x).sum());
  EXPECT_TRUE(at::allclose(uniform.attachments()[0].factor, at::full({5}, m0.mean().item<double>(), at::kDouble)));

  options.rule().modulation = "constant";
  options.rule().constants = {1.5, 1.25};
  Modulator constant(*model, options);
  constant.backward(model->forward(x).sum());
  EXPECT_TRUE(at::equal(constant.attachments()[0].factor, at::full({5}, 1.5, at::kDouble)));
  EXPECT_TRUE(at::equal(constant.attachments()[1].factor, at::full({4}, 1.25, at::kDouble)));

  options.rule().modulation = "shuffled";
  options.rule().clip = {credit::Clip::Kind::none};
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

  options.rule().modulation = "none";
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
  options.include({"2", "4.weight"});
  Modulator included(*model, options);
  included.backward(model->forward(x).sum());
  EXPECT_THAT(states(included), ElementsAre(State::excluded, State::modulated, State::modulated));
  options.include().clear();
  options.exclude({"0"});
  Modulator excluded(*model, options);
  excluded.backward(model->forward(x).sum());
  EXPECT_THAT(states(excluded), ElementsAre(State::excluded, State::modulated, State::output));
  const auto with = [&](BackwardOptions chosen) {
    Modulator modulator(*model, std::move(chosen));
    modulator.backward(model->forward(x).sum());
    return states(modulator);
  };
  EXPECT_THAT(with(BackwardOptions().output({"2"})), ElementsAre(State::modulated, State::output, State::modulated));
  EXPECT_THAT(with(BackwardOptions().include({"*"})),
              ElementsAre(State::modulated, State::modulated, State::modulated));
  EXPECT_THAT(with(BackwardOptions().include({"[02]"}).output({"2"})),
              ElementsAre(State::modulated, State::output, State::excluded));
  EXPECT_THAT(with(BackwardOptions().local({"2*"})), ElementsAre(State::modulated, State::local, State::output));
}

TEST(Backward, DescribesTheRuleAndEveryLayer) {
  auto model = mlp();
  Modulator modulator(*model,
                      BackwardOptions().rule({.modulation = "constant", .constants = {1.5}, .gain = 3}).exclude({"0"}));
  EXPECT_EQ(modulator.describe(),
            "constant:1.5: gain 3, clip [1, 2], incoming responsibility\n"
            "  0  unmatched: no backward pass yet\n"
            "  2  unmatched: no backward pass yet\n"
            "  4  unmatched: no backward pass yet\n");
  modulator.backward(model->forward(at::randn({4, 6}, at::kDouble)).sum());
  EXPECT_EQ(modulator.describe(),
            "constant:1.5: gain 3, clip [1, 2], incoming responsibility\n"
            "  0  excluded\n"
            "  2  modulated, 4 factors from 1.5 to 1.5\n"
            "  4  output\n");
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
  EXPECT_EQ(by_name["trunk"], State::modulated);
  EXPECT_EQ(by_name["left"], State::output);
  EXPECT_EQ(by_name["right"], State::output);
}

/// The warnings that LibTorch prints during `run`.
std::string warnings_of(const std::function<void()>& run) {
  ::testing::internal::CaptureStderr();
  run();
  return ::testing::internal::GetCapturedStderr();
}

TEST(Backward, WarnsOnceAboutUnmatchedWeights) {
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
  EXPECT_THAT(first, HasSubstr("0 (an embedding)"));
  EXPECT_THAT(first, HasSubstr("spare (not used by this loss)"));
  EXPECT_EQ(warnings_of([&] { modulator.backward(loss()); }), "");
  BackwardOptions options;
  options.exclude({"mask", "0", "spare"});
  EXPECT_EQ(warnings_of([&] { Modulator(*model, options).backward(loss()); }), "") << "excluded layers give no warning";
  options = {};
  options.warn(false);
  EXPECT_EQ(warnings_of([&] { Modulator(*model, options).backward(loss()); }), "");
}

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "no error";
}

TEST(Backward, InvalidOptionsAndModelsAreErrors) {
  auto model = mlp();
  const at::Tensor x = at::randn({4, 6}, at::kDouble);
  const auto with = [&](const std::function<void(BackwardOptions&)>& change) {
    BackwardOptions options;
    change(options);
    return error_of([&] { Modulator(*model, options).backward(model->forward(x).sum()); });
  };
  EXPECT_THAT(with([](auto& o) { o.include({"2.wieght"}); }), HasSubstr("did you mean '2.weight'?"));
  EXPECT_THAT(with([](auto& o) { o.exclude({"9"}); }),
              HasSubstr("backward: exclude must name layers of the model; got '9'"));
  EXPECT_THAT(with([](auto& o) { o.rule().modulation = "grape"; }), HasSubstr("did you mean 'grapes'?"));
  EXPECT_THAT(with([](auto& o) { o.rule().modulation = "constant"; }), HasSubstr("must have constants"));
  EXPECT_THAT(with([](auto& o) { o.rule().modulation = "power"; }),
              HasSubstr("backward: the modulation power must have constants; got none"));
  for (const char* whole : {"norm-matched", "balanced", "balanced-once", "balanced-shuffled"})
    EXPECT_THAT(with([whole](auto& o) { o.rule().modulation = whole; }), HasSubstr("needs the whole network"));
  EXPECT_EQ(with([](auto& o) { o.rule() = {.modulation = "power", .constants = {-1}}; }), "no error");
  EXPECT_THAT(with([](auto& o) { o.rule() = {.modulation = "constant", .constants = {-1}}; }),
              HasSubstr("constants must be above 0; got -1"));
  EXPECT_THAT(with([](auto& o) { o.rule().route = "fa"; }), HasSubstr("the route must be bp"));
  EXPECT_THAT(with([](auto& o) { o.rule().responsibility = credit::Responsibility::outgoing; }),
              HasSubstr("which is unknown for a single layer"));
  EXPECT_THAT(with([](auto& o) { o.rule().every = 0; }), HasSubstr("every must be at least 1; got 0"));
  EXPECT_THAT(with([](auto& o) { o.rule().clip = {credit::Clip::Kind::range, 3, 2}; }), HasSubstr("0 <= low <= high"));
  EXPECT_THAT(error_of([&] { Modulator(*model).backward(at::ones({1})); }), HasSubstr("got a loss without a graph"));
  EXPECT_THAT(error_of([&] { Modulator{*torch::nn::Sequential(torch::nn::ReLU())}; }), HasSubstr("at least two axes"));
  BackwardOptions shuffled;
  shuffled.rule().modulation = "shuffled";
  EXPECT_THAT(error_of([&] { backward(model->forward(x).sum(), *model, shuffled); }), HasSubstr("grapes::Modulator"));
  weight(model, 2).data()[0][0] = std::numeric_limits<double>::infinity();
  EXPECT_THAT(with([](auto&) {}), HasSubstr("2: factor: every weight must be finite"));
}

TEST(Backward, NothingStaysScaledAfterAnException) {
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
