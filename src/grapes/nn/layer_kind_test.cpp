// Properties of every kind of layer, between two other layers in a network.
#include "grapes/nn/layer_kind.h"

#include "grapes/base/error.h"
#include "grapes/nn/network.h"
#include "grapes/nn/nn_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::nn {
namespace {

struct Learned {
  at::Tensor logits;
  std::vector<at::Tensor> gradients;
};

Learned learn(const std::string& kind, const credit::Rule& rule, bool plain = false) {
  Options options;
  options.activation = "tanh";
  options.bias = true;
  options.precision.dtype = at::kDouble;
  options.rule = rule;
  Stages stages = {{Stage::Do::dense, 6}, {Stage::Do::dense, 5}, output_layer(3)};
  stages[1].kind = kind;
  Network network(options, stages, {{4}, 3}, 1);
  const at::Tensor logits = network.forward(drawn({7, 4}, 2), training(plain));
  (logits * drawn({7, 3}, 3)).sum().backward();
  Learned learned{logits.detach(), {}};
  for (const Named& one : network.parameters()) learned.gradients.push_back(one.value.grad().clone());
  return learned;
}

/// Crossbars are tested in crossbars_test, because they compute with noise and in float32.
std::vector<LayerKind> exact_kinds() {
  std::vector<LayerKind> rows = layer_kinds();
  std::erase_if(rows, [](const LayerKind& row) { return row.name == "crossbar"; });
  return rows;
}

TEST(LayerKinds, TheForwardPassDoesNotDependOnTheRule) {
  for (const LayerKind& row : exact_kinds()) {
    const at::Tensor value = learn(row.name, credit::plain()).logits;
    for (const Rule& rule : {Rule(), Rule{.modulation = "grapes-local"}, Rule{.route = "fa"}, Rule{.route = "dfa"}})
      EXPECT_TRUE(at::equal(learn(row.name, rule).logits, value)) << row.name << " " << rule.route << rule.modulation;
  }
}

TEST(LayerKinds, AFactorOfOneEqualsNoModulationBitForBit) {
  for (const LayerKind& row : exact_kinds())
    for (const std::string route : {"bp", "fa", "sign-symmetric", "dfa"}) {
      const Learned none = learn(row.name, credit::plain(route));
      const Learned one = learn(row.name, {.route = route, .modulation = "constant", .constants = {1}});
      for (std::size_t i = 0; i < none.gradients.size(); ++i)
        EXPECT_TRUE(at::equal(one.gradients[i], none.gradients[i])) << row.name << " " << route << " " << i;
    }
}

/// A unit's gradient is its factor times the unmodulated gradient, if nothing above it is modulated.
TEST(LayerKinds, AConstantFactorScalesWhatAUnitLearns) {
  for (const LayerKind& row : exact_kinds()) {
    const Learned none = learn(row.name, credit::plain());
    const Learned two = learn(row.name, {.modulation = "constant", .constants = {1, 2}});
    for (const std::size_t i : {2, 3})  // W and b of the second layer
      EXPECT_TRUE(at::allclose(two.gradients[i], 2 * none.gradients[i], 1e-12, 1e-12)) << row.name << " " << i;
  }
}

TEST(LayerKinds, TheFusedLayerEqualsItsReference) {
  for (const LayerKind& row : exact_kinds())
    for (const std::string route : {"bp", "fa", "dfa"}) {
      const Learned fused = learn(row.name, Rule{.route = route}), plain = learn(row.name, Rule{.route = route}, true);
      EXPECT_TRUE(at::allclose(fused.logits, plain.logits, 1e-12, 1e-12)) << row.name;
      for (std::size_t i = 0; i < plain.gradients.size(); ++i)
        EXPECT_TRUE(at::allclose(fused.gradients[i], plain.gradients[i], 1e-12, 1e-12)) << row.name << " " << i;
    }
}

TEST(LayerKinds, AnUnknownNameIsAnError) {
  EXPECT_THAT([] { learn("liner", {}); }, ::testing::ThrowsMessage<UsageError>(::testing::HasSubstr("'linear'")));
}

}  // namespace
}  // namespace grapes::nn
