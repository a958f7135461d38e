// Compares the training step (fused layers, updates in the backward pass, fused updates) with the same step by tensor
// operations, weight by weight, for every route, modulation and update rule.
#include "grapes/train/step.h"

#include "grapes/nn/activation.h"
#include "grapes/train/kit_test.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace grapes::train {
namespace {

/// The routes for networks without time.
std::vector<credit::Route> dense_routes() {
  std::vector<credit::Route> rows = credit::routes();
  std::erase_if(rows, [](const auto& row) { return row.local_in_time; });
  return rows;
}

struct StepCase {
  std::string route = "bp", modulation = "grapes", optimizer = "sgd", activation = "relu";
  std::int64_t batch = 12;
  double dropout = 0.3;
  bool bias = true, fused_sgd = true;
  std::string precision = "float64";
};

std::vector<at::Tensor> learned(const StepCase& setting, bool plain) {
  nn::Options network;
  network.model = nn::parse_model("mlp:7,7,5");
  network.precision = nn::parse_precision(setting.precision);
  network.activation = setting.activation;
  network.rule.route = setting.route;
  network.rule.modulation = setting.modulation;
  network.rule.constants = {1.5};
  network.dropout = setting.dropout;
  network.bias = setting.bias;
  // A small ε would divide the rounding error of a gradient near zero by almost nothing.
  TrainState state(network, update_by(setting.optimizer, 0.1, 1e-2), seeded(5), classes_of({6}, 3));
  at::manual_seed(3);
  const data::Batch batch{at::randn({setting.batch, 6}, at::kDouble),
                          at::arange(setting.batch, at::kLong).remainder(3)};
  for (std::int64_t i = 0; i < 4; ++i) {
    nn::Pass pass;
    pass.step = i;
    StepOptions options;
    options.rate = 0.1;
    options.plain = plain;
    options.fused_sgd = setting.fused_sgd;
    options.update = i != 1;  // the second batch's gradient is added to the third's
    options.carried = i == 2;
    step(state, batch, pass, options);
  }
  std::vector<at::Tensor> all;
  for (const nn::Named& parameter : state.model->parameters()) all.push_back(parameter.value.detach());
  return all;
}

void expect_equal(const StepCase& setting) {
  const auto fused = learned(setting, false), reference = learned(setting, true);
  // In bfloat16 a sum in another order may round to the neighbor, 2⁻⁸ away. kernels_test tests a single layer, where
  // this cannot happen, to 1e-6.
  const double allowed = setting.precision == "float64" ? 1e-12 : 2e-3;
  for (std::size_t i = 0; i < fused.size(); ++i)
    EXPECT_LE((fused[i] - reference[i]).abs().max().item<double>(), allowed)
        << setting.route << " × " << setting.modulation << ", " << setting.optimizer << ", " << setting.activation
        << ", batch " << setting.batch << ", dropout " << setting.dropout << ", parameter " << i;
}

TEST(Step, FusedEqualsItsReferenceOnEveryRouteModulationAndUpdateRule) {
  for (const auto& route : dense_routes())
    for (const auto& modulation : credit::modulations())
      for (const auto& optimizer : optim::optimizers())
        if (optimizer.elementwise || route.weights != credit::FeedbackWeights::learned)
          expect_equal({route.name, modulation.name, optimizer.name});
}

TEST(Step, FusedEqualsItsReferenceForEveryActivationBatchAndDropout) {
  for (const auto& activation : nn::activations())
    for (const std::int64_t batch : {1, 3, 8, 9, 40})
      for (const double dropout : {0.0, 0.3})
        for (const bool bias : {false, true})
          expect_equal({"bp", "grapes", "sgd", activation.name, batch, dropout, bias});
}

TEST(Step, RoundedProductsEqualTheirReferenceAndAreRounded) {
  if (!kernels::bfloat16_missing().empty()) GTEST_SKIP() << kernels::bfloat16_missing();
  StepCase setting;
  setting.precision = "bf16";
  for (const auto& route : dense_routes())
    for (const auto& modulation : credit::modulations())
      for (const char* optimizer : {"sgd", "adam"}) {
        setting.route = route.name;
        setting.modulation = modulation.name;
        setting.optimizer = optimizer;
        expect_equal(setting);
      }
  setting = {};
  setting.activation = "tanh";  // no unit is silent
  for (const std::int64_t batch : {1, 8, 40}) {
    setting.batch = batch;
    setting.precision = "bf16";
    expect_equal(setting);
    const auto rounded = learned(setting, false);
    setting.precision = "float32";
    const auto exact = learned(setting, false);
    EXPECT_EQ(rounded[0].scalar_type(), at::kFloat);
    double difference = 0;
    for (std::size_t i = 0; i < exact.size(); ++i)
      difference = std::max(difference, (rounded[i] - exact[i]).abs().max().item<double>());
    EXPECT_GT(difference, 1e-5);
    EXPECT_LT(difference, 1e-2);
  }
}

TEST(Step, TheUpdateInsideTheBackwardPassWritesNoGradient) {
  const auto with = learned({}, false);
  StepCase written;
  written.fused_sgd = false;
  const auto without = learned(written, false);
  for (std::size_t i = 0; i < with.size(); ++i)
    EXPECT_LE((with[i] - without[i]).abs().max().item<double>(), 1e-14) << i;

  TrainState state({}, {}, seeded(5), classes_of({6}, 3));
  StepOptions options;
  options.rate = 0.1;
  const data::Batch batch{at::ones({4, 6}), at::zeros({4}, at::kLong)};
  step(state, batch, {}, options);
  for (const nn::Named& parameter : state.model->parameters()) EXPECT_FALSE(parameter.value.grad().defined());
  std::vector<double> norms;
  options.gradient_norms = &norms;
  step(state, batch, {}, options);
  EXPECT_EQ(norms.size(), state.model->parameters().size()) << "norms are of gradients, which must then be written";
}

TEST(Step, CallbacksRunBeforeAndAfterTheUpdate) {
  TrainState state({}, update_by("momentum"), seeded(5), classes_of({6}, 3));
  const auto weight = [&] { return state.model->parameters()[0].value.detach().clone(); };
  const at::Tensor start = weight();
  at::Tensor before, after;
  StepOptions options;
  options.rate = 0.1;
  options.before_update = [&] { before = weight(); };
  options.after_update = [&](const StepResult&) { after = weight(); };
  EXPECT_TRUE(step(state, batch_of(4), {}, options).updated);
  EXPECT_TRUE(before.equal(start));
  EXPECT_FALSE(after.equal(start));
  EXPECT_TRUE(after.equal(weight()));
  options.update = false;
  options.after_update = [](const StepResult&) { FAIL() << "there was no update"; };
  EXPECT_FALSE(step(state, batch_of(4), {}, options).updated);
}

}  // namespace
}  // namespace grapes::train
