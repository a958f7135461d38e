// The step as users get it (fused layers, descent inside the backward pass, fused updates) against the same step by
// plain tensor operations, weight by weight, over every route, modulation and update rule.
#include "grapes/train/step.h"

#include "grapes/nn/activation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace grapes::train {
namespace {

/// The routes that networks without time have.
std::vector<credit::Route> dense_routes() {
  std::vector<credit::Route> rows = credit::routes();
  std::erase_if(rows, [](const auto& row) { return row.local_in_time; });
  return rows;
}

struct Setting {
  std::string route = "bp", modulation = "grapes", optimizer = "sgd", activation = "relu";
  std::int64_t batch = 12;
  double dropout = 0.3;
  bool bias = true, descend = true;
  std::string precision = "float64";
};

std::vector<at::Tensor> learned(const Setting& setting, bool plain) {
  nn::Options network;
  network.model = "mlp:7,7,5";
  network.precision = setting.precision;
  network.activation = setting.activation;
  network.rule.route = setting.route;
  network.rule.modulation = setting.modulation;
  network.rule.constants = {1.5};
  network.dropout = setting.dropout;
  network.bias = setting.bias;
  const auto model = nn::make_network(network, {{6}, 3}, 5);
  optim::Options options;
  options.optimizer = setting.optimizer;
  options.epsilon = 1e-2;  // a small one would divide the rounding of a gradient near zero by almost nothing
  const auto optimizer = optim::make_optimizer(options, nn::learning(*model));
  const auto schedule = optim::make_schedule("constant", 0, 1);
  const nn::Criterion criterion("auto", "auto", nn::TargetKind::classes);
  Subject subject{*model, criterion, *optimizer, *schedule, 0.1};
  at::manual_seed(3);
  const data::Batch batch{at::randn({setting.batch, 6}, at::kDouble),
                          at::arange(setting.batch, at::kLong).remainder(3)};
  for (std::int64_t i = 0; i < 4; ++i) {
    nn::Pass pass;
    pass.step = i;
    StepUse use;
    use.rate = 0.1;
    use.plain = plain;
    use.descend = setting.descend;
    use.update = i != 1;  // the second batch's gradient waits for the third's
    use.carried = i == 2;
    step(subject, batch, pass, use);
  }
  std::vector<at::Tensor> all;
  for (const nn::Named& parameter : model->parameters()) all.push_back(parameter.value.detach());
  return all;
}

void expect_equal(const Setting& setting) {
  const auto fused = learned(setting, false), twin = learned(setting, true);
  // In bfloat16 a sum in another order may be rounded to the neighbor, 2⁻⁸ away; the layer by itself, where that
  // cannot happen, is held to 1e-6 in kernels_test.
  const double allowed = setting.precision == "float64" ? 1e-12 : 2e-3;
  for (std::size_t i = 0; i < fused.size(); ++i)
    EXPECT_LE((fused[i] - twin[i]).abs().max().item<double>(), allowed)
        << setting.route << " × " << setting.modulation << ", " << setting.optimizer << ", " << setting.activation
        << ", batch " << setting.batch << ", dropout " << setting.dropout << ", parameter " << i;
}

TEST(Step, FusedEqualsItsTwinOnEveryRouteModulationAndUpdateRule) {
  for (const auto& route : dense_routes())
    for (const auto& modulation : credit::modulations())
      for (const auto& optimizer : optim::optimizers()) expect_equal({route.name, modulation.name, optimizer.name});
}

TEST(Step, FusedEqualsItsTwinForEveryActivationBatchAndDropout) {
  for (const auto& activation : nn::activations())
    for (const std::int64_t batch : {1, 3, 8, 9, 40})
      for (const double dropout : {0.0, 0.3})
        for (const bool bias : {false, true})
          expect_equal({"bp", "grapes", "sgd", activation.name, batch, dropout, bias});
}

TEST(Step, RoundedProductsEqualTheirTwinAndAreRounded) {
  if (!kernels::bfloat16_missing().empty()) GTEST_SKIP() << kernels::bfloat16_missing();
  Setting setting;
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
  setting.activation = "tanh";  // no node is silent
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

TEST(Step, DescentInsideTheBackwardPassWritesNoGradient) {
  const auto with = learned({}, false);
  Setting written;
  written.descend = false;
  const auto without = learned(written, false);
  for (std::size_t i = 0; i < with.size(); ++i)
    EXPECT_LE((with[i] - without[i]).abs().max().item<double>(), 1e-14) << i;

  const auto model = nn::make_network({}, {{6}, 3}, 5);
  const auto optimizer = optim::make_optimizer({}, nn::learning(*model));
  const auto schedule = optim::make_schedule("constant", 0, 1);
  const nn::Criterion criterion("auto", "auto", nn::TargetKind::classes);
  Subject subject{*model, criterion, *optimizer, *schedule, 0.1};
  StepUse use;
  use.rate = 0.1;
  step(subject, {at::ones({4, 6}), at::zeros({4}, at::kLong)}, {}, use);
  for (const nn::Named& parameter : model->parameters()) EXPECT_FALSE(parameter.value.grad().defined());
  std::vector<double> norms;
  use.gradient_norms = &norms;
  step(subject, {at::ones({4, 6}), at::zeros({4}, at::kLong)}, {}, use);
  EXPECT_EQ(norms.size(), model->parameters().size()) << "who asks for norms gets gradients";
}

}  // namespace
}  // namespace grapes::train
