// Every route × every modulation × every activation, with and without dropout and biases, compared with the recursions
// of grapes/testing/delta.h; and properties of all rows of the tables.
#include "grapes/core/responsibility.h"
#include "grapes/nn/activation.h"
#include "grapes/nn/loss.h"
#include "grapes/nn/network.h"
#include "grapes/nn/nn_test.h"
#include "grapes/testing/delta.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

namespace grapes::nn {
namespace {

/// The routes for networks without time.
std::vector<credit::Route> dense_routes() {
  std::vector<credit::Route> rows = credit::routes();
  std::erase_if(rows, [](const auto& row) { return row.local_in_time; });
  return rows;
}

struct Setting {
  std::string route = "bp", modulation = "none", activation = "tanh";
  double dropout = 0;
  std::vector<std::int64_t> nodes = {6, 5, 7, 4, 3};
};

Options dense_options(const Setting& setting) {
  Options options;
  options.precision.dtype = at::kDouble;
  options.activation = setting.activation;
  options.dropout = setting.dropout;
  options.rule.route = setting.route;
  options.rule.modulation = setting.modulation;
  if (setting.modulation == "constant" || setting.modulation == "power") options.rule.constants = {1.5, 0.5, 3};
  // The same form on all routes; the parity cases test the forms of the authors' program.
  options.rule.responsibility = credit::Responsibility::incoming;
  options.rule.clip.kind = credit::Clip::Kind::range;
  return options;
}

struct Data {
  at::Tensor inputs, labels;
};
Data examples(std::int64_t batch, std::int64_t inputs, std::int64_t classes) {
  Random random(7);
  Data data{at::empty({batch, inputs}, at::kDouble), at::empty({batch}, at::kLong)};
  for (std::int64_t i = 0; i < batch * inputs; ++i) data.inputs.data_ptr<double>()[i] = random.normal();
  for (std::int64_t b = 0; b < batch; ++b)
    data.labels[b] = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(classes)));
  return data;
}

/// f of the modulation balanced for a chain without biases, from 10,000 iterations of its equations; of balanced-once
/// from one.
std::vector<at::Tensor> balanced_by_hand(const std::vector<at::Tensor>& weights, int iterations) {
  std::vector<at::Tensor> f;
  for (std::size_t l = 0; l + 1 < weights.size(); ++l) f.push_back(at::ones({weights[l].size(0)}, at::kDouble));
  for (int i = 0; i < iterations; ++i) {
    std::vector<at::Tensor> next = f;
    for (std::size_t l = 0; l < f.size(); ++l) {
      at::Tensor in = weights[l].abs(), out = weights[l + 1].abs();
      if (l > 0) in = in * f[l - 1].sqrt();
      if (l + 1 < f.size()) out = out / f[l + 1].sqrt().unsqueeze(1);
      next[l] = in.sum(1) / out.sum(0);
      if (iterations > 1) next[l] = (next[l] * f[l]).sqrt();  // half of the way, which does not oscillate
    }
    f = next;
  }
  return f;
}

std::vector<at::Tensor> learn(Network& model, const Data& data, const Pass& pass) {
  const Criterion criterion("cross-entropy", "softmax", TargetKind::classes);
  criterion.loss(model.forward(data.inputs, pass), data.labels).backward();
  model.mirror_gradients();
  std::vector<at::Tensor> gradients;
  for (const Named& parameter : model.parameters()) gradients.push_back(parameter.value.grad().clone());
  return gradients;
}

Network mlp(Options options, const std::vector<std::int64_t>& nodes, std::uint64_t seed) {
  options.model = dense_model({nodes.begin() + 1, nodes.end() - 1});
  const Signature signature{{nodes.front()}, nodes.back()};
  return Network(options, stages_of(options.model, signature), signature, seed);
}

Pass training_at(std::int64_t step) {
  Pass pass = training();
  pass.step = step;
  return pass;
}

testing::Chain by_hand(const Setting& setting, const Network& model, const Pass& pass) {
  testing::Chain chain;
  chain.route = setting.route;
  chain.activation = setting.activation;
  chain.feedback.resize(model.weights().size());
  for (const auto& all : {model.parameters(), model.buffers()})
    for (const Named& one : all)
      if (one.name.ends_with("weight"))
        chain.weights.push_back(one.value.detach());
      else
        chain.feedback[static_cast<std::size_t>(std::stoi(one.name.substr(7)))] = one.value;
  chain.masks = pass.masks;
  chain.local = setting.modulation == "grapes-local";
  // train::step() matches the norms; a single pass has no factors.
  if (setting.modulation == "none" || setting.modulation == "norm-matched") return chain;
  if (setting.modulation.starts_with("balanced")) return chain;  // see both_sides()
  for (std::size_t l = 0; l + 1 < chain.weights.size(); ++l) {
    at::Tensor m = testing::factor_by_hand(chain.weights[l]);
    if (setting.modulation == "uniform") m = at::full_like(m, m.mean().item<double>());
    if (setting.modulation == "constant") m = at::full_like(m, std::vector<double>{1.5, 0.5, 3}[l]);
    if (setting.modulation == "inverse") m = m.max() + m.min() - m;
    if (setting.modulation == "mean-one") m = m / m.mean();
    if (setting.modulation == "power") {
      const at::Tensor r = chain.weights[l].abs().sum(1).pow(std::vector<double>{1.5, 0.5, 3}[l]);
      m = r / r.mean();
    }
    if (setting.modulation.starts_with("shuffled"))
      m = model.factors()[l].error;  // a test below checks that it is a permutation
    chain.factors.push_back(m);
  }
  return chain;
}

/// Multiplies the gradients of balanced modulations by f of their units and 1/f of the units below.
void both_sides(const Setting& setting, const Network& model, const std::vector<at::Tensor>& weights,
                std::vector<at::Tensor>& gradients) {
  if (!setting.modulation.starts_with("balanced")) return;
  std::vector<at::Tensor> f = balanced_by_hand(weights, setting.modulation == "balanced-once" ? 1 : 10000);
  for (std::size_t l = 0; l < f.size(); ++l) {
    if (setting.modulation == "balanced-shuffled") {
      const at::Tensor drawn = model.factors()[l].rows;
      EXPECT_TRUE(at::allclose(std::get<0>(drawn.sort()), std::get<0>(f[l].sort()), 1e-11, 0));
      f[l] = drawn;
    }
    gradients[l] = gradients[l] * f[l].unsqueeze(1);
    gradients[l + 1] = gradients[l + 1] / f[l];
  }
  // The feedback weights of kolen-pollack get the gradients of the weights.
  for (std::size_t l = weights.size(); l < gradients.size(); ++l) gradients[l] = gradients[l - weights.size() + 1].t();
}

TEST(Rules, EqualTheHandWrittenRecursions) {
  int settings = 0;
  for (const auto& route : dense_routes())
    for (const auto& modulation : credit::modulations())
      for (const auto& activation : activations())
        for (const double dropout : {0.0, 0.4}) {
          Setting setting{route.name, modulation.name, activation.name, dropout};
          Network model = mlp(dense_options(setting), setting.nodes, 11);
          const Data data = examples(9, 6, 3);
          Pass pass = training();
          if (dropout > 0) {
            Random random(5);
            for (std::size_t l = 1; l + 1 < setting.nodes.size(); ++l) {
              at::Tensor mask = at::empty({9, setting.nodes[l]}, at::kDouble);
              for (std::int64_t i = 0; i < mask.numel(); ++i)
                mask.data_ptr<double>()[i] = random.uniform() < 0.6 ? 1 / 0.6 : 0;
              pass.masks.push_back(mask);
            }
          }
          const auto ours = learn(model, data, pass);
          const testing::Chain chain = by_hand(setting, model, pass);
          auto expected = testing::gradients(chain, data.inputs, data.labels);
          both_sides(setting, model, chain.weights, expected);
          ASSERT_EQ(ours.size(), expected.size());
          for (std::size_t l = 0; l < ours.size(); ++l)
            EXPECT_LE((ours[l] - expected[l]).abs().max().item<double>(),
                      1e-12 * std::max(1.0, expected[l].abs().max().item<double>()))
                << route.name << " × " << modulation.name << ", " << activation.name << ", dropout " << dropout
                << ", layer " << l + 1;
          ++settings;
        }
  EXPECT_EQ(settings, 9 * 14 * 6 * 2);
}

TEST(Rules, ModulationByOneEqualsNoModulationBitForBit) {
  for (const auto& route : dense_routes()) {
    Options base = dense_options({route.name}), one = base;
    one.rule.modulation = "constant";
    one.rule.constants = {1};
    Network a = mlp(base, {6, 5, 5, 3}, 11), b = mlp(one, {6, 5, 5, 3}, 11);
    const Data data = examples(8, 6, 3);
    const auto left = learn(a, data, training()), right = learn(b, data, training());
    for (std::size_t l = 0; l < left.size(); ++l) EXPECT_TRUE(at::equal(left[l], right[l])) << route.name;
  }
}

TEST(Rules, TheForwardPassDoesNotDependOnTheRule) {
  const Data data = examples(8, 6, 3);
  at::Tensor first;
  for (const auto& route : dense_routes())
    for (const auto& modulation : credit::modulations()) {
      Network model = mlp(dense_options({route.name, modulation.name, "relu", 0.3}), {6, 5, 5, 5, 3}, 11);
      const at::Tensor logits = model.forward(data.inputs, training()).detach();
      if (!first.defined()) first = logits;
      EXPECT_TRUE(at::equal(logits, first)) << route.name << " × " << modulation.name;
    }
}

TEST(Rules, ShuffledIsAPermutationDrawnForEachBatchAndShuffledFixedOnce) {
  for (const std::string modulation : {"shuffled", "shuffled-fixed"}) {
    Network model = mlp(dense_options({"bp", modulation}), {6, 40, 3}, 11);
    const Data data = examples(4, 6, 3);
    const at::Tensor m = factor(model.parameters()[0].value);
    model.forward(data.inputs, training_at(0));
    const at::Tensor first = model.factors()[0].error;
    model.forward(data.inputs, training_at(1));
    const at::Tensor second = model.factors()[0].error;
    EXPECT_EQ(at::equal(first, second), modulation == "shuffled-fixed");
    EXPECT_FALSE(at::equal(first, m)) << modulation;
    for (const at::Tensor& drawn : {first, second})
      EXPECT_TRUE(at::equal(std::get<0>(drawn.sort()), std::get<0>(m.sort()))) << modulation;
  }
}

TEST(Rules, OnlyBrsfRedrawsMagnitudesForEveryBatch) {
  const Data data = examples(4, 6, 3);
  for (const std::string route : {"fa", "frsf", "usf", "brsf"}) {
    Network model = mlp(dense_options({route}), {6, 5, 4, 3}, 11),
            again = mlp(dense_options({route}), {6, 5, 4, 3}, 11);
    const auto used = [&data](Network& network, std::int64_t step) {
      network.forward(data.inputs, training_at(step));
      return network.buffers()[1].value;
    };
    const at::Tensor first = used(model, 0), second = used(model, 1);
    EXPECT_EQ(at::equal(first, second), route != "brsf") << route;
    EXPECT_TRUE(at::equal(used(again, 1), second)) << route;  // a draw depends on the batch alone, so a run can resume
    model.forward(data.inputs, {});
    EXPECT_TRUE(at::equal(model.buffers()[1].value, second)) << route;  // not in evaluation
  }
}

TEST(Rules, SignRoutesHaveTheSignsOfTheWeightsAndTheMagnitudesOfTheirDraw) {
  const at::Tensor W = at::tensor({1.5, -0.5, 0.0, -2.0, 0.25, 3.0}, at::kDouble).reshape({2, 3});
  const at::Tensor R = at::tensor({-0.5, 2.0, 1.0, -1.0, 0.0, 4.0}, at::kDouble).reshape({3, 2});
  const auto matrix = [&W](const std::string& route, const at::Tensor& B) {
    return credit::route_of({.route = route}).down(W, B).matrix;
  };
  const at::Tensor expected = at::tensor({0.5, -2.0, -1.0, 1.0, 0.0, 4.0}, at::kDouble).reshape({3, 2});
  EXPECT_TRUE(at::equal(matrix("frsf", R), expected));
  EXPECT_TRUE(at::equal(matrix("brsf", R), expected));
  EXPECT_TRUE(at::equal(matrix("usf", at::scalar_tensor(0.5, at::kDouble)), W.t().sign() * 0.5));
  EXPECT_TRUE(at::allclose(matrix("sign-symmetric", {}), W.t().sign() * (7.25 / 6), 1e-15, 0));
  EXPECT_DOUBLE_EQ(credit::magnitude(R).item<double>(), std::sqrt((0.25 + 4 + 1 + 1 + 16) / 6));
}

TEST(Rules, FactorsAreRecomputedEveryKBatches) {
  Options options = dense_options({"bp", "grapes"});
  options.rule.every = 2;
  Network model = mlp(options, {6, 5, 3}, 11);
  const Data data = examples(4, 6, 3);
  const auto used = [&](std::int64_t step) {
    model.forward(data.inputs, training_at(step));
    return model.factors()[0].error;
  };
  const at::Tensor before = used(0);
  {
    const at::NoGradGuard no_grad;
    at::Tensor W = model.parameters()[0].value;
    W[0].mul_(5);
  }
  EXPECT_TRUE(at::equal(used(1), before));
  EXPECT_FALSE(at::equal(used(2), before));
}

TEST(Rules, OutgoingResponsibilitySumsTheColumnsAbove) {
  Options options = dense_options({"bp", "grapes"});
  options.rule.responsibility = credit::Responsibility::outgoing;
  Network model = mlp(options, {6, 5, 4, 3}, 11);
  model.forward(examples(4, 6, 3).inputs, training());
  for (std::size_t l = 0; l < 2; ++l)
    EXPECT_TRUE(
        at::allclose(model.factors()[l].error, testing::factor_by_hand(model.parameters()[l + 1].value.t()), 1e-14, 0));
}

TEST(Rules, ErrorsNameTheLayerWithAWeightThatIsNotFinite) {
  Network model = mlp(dense_options({"bp", "grapes"}), {6, 5, 4, 3}, 11);
  {
    const at::NoGradGuard no_grad;
    at::Tensor W = model.parameters()[1].value;
    W[0][0] = std::numeric_limits<double>::infinity();
  }
  try {
    model.forward(examples(4, 6, 3).inputs, training());
    FAIL() << "accepted";
  } catch (const c10::ValueError& error) {
    EXPECT_NE(std::string(error.what()).find("layer 2"), std::string::npos) << error.what();
  }
}

TEST(Rules, BackpropagationIsTheGradient) {
  // Finite differences of the loss, in every weight, for every activation and both losses.
  for (const auto& activation : activations())
    for (const char* loss : {"cross-entropy", "mse"}) {
      Options options = dense_options({"bp", "none", activation.name});
      options.bias = true;
      Network model = mlp(options, {4, 5, 3}, 2);
      const Data data = examples(6, 4, 3);
      const Criterion criterion(loss, "auto", TargetKind::classes);
      criterion.loss(model.forward(data.inputs, training()), data.labels).backward();
      for (const Named& parameter : model.parameters()) {
        double* w = parameter.value.data_ptr<double>();
        const double* g = parameter.value.grad().data_ptr<double>();
        for (std::int64_t i = 0; i < parameter.value.numel(); ++i) {
          const double kept = w[i], step = 1e-6;
          const auto at_weight = [&](double value) {
            w[i] = value;
            return criterion.loss(model.forward(data.inputs, {}), data.labels).item<double>();
          };
          const double slope = (at_weight(kept + step) - at_weight(kept - step)) / (2 * step);
          w[i] = kept;
          EXPECT_NEAR(g[i], slope, 1e-7) << activation.name << ", " << loss << ", " << parameter.name << "[" << i
                                         << "]";
        }
      }
    }
}

}  // namespace
}  // namespace grapes::nn
