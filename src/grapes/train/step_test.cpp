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
  bool bias = true, fused_update = true;
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
    options.fused_update = setting.fused_update;
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
      for (const auto& optimizer : optim::optimizers()) {
        if (!optimizer.elementwise && route.weights == credit::FeedbackWeights::learned) continue;  // refused
        // Errors through signs of one magnitude cancel up to rounding, and nero divides the rest by its own size.
        const bool cancels = route.name == "sign-symmetric" || route.name == "usf";
        if (cancels && optimizer.name == "nero") continue;
        expect_equal({route.name, modulation.name, optimizer.name});
      }
}

/// Gradients of one batch, by layer, W and b in one tensor.
std::vector<at::Tensor> gradients_of(const StepCase& setting, const std::string& model, nn::Norm norm) {
  nn::Options network;
  network.model = nn::parse_model(model);
  network.precision.dtype = at::kDouble;
  network.norm = norm;
  network.rule.route = setting.route;
  network.rule.modulation = setting.modulation;
  network.bias = setting.bias;
  const bool pictures = !model.starts_with("mlp");
  const std::vector<std::int64_t> shape = pictures ? std::vector<std::int64_t>{2, 8, 8} : std::vector<std::int64_t>{6};
  TrainState state(network, update_by("sgd"), seeded(5), classes_of(shape, 3));
  at::manual_seed(3);
  std::vector<std::int64_t> sizes = shape;
  sizes.insert(sizes.begin(), 12);
  const data::Batch batch{at::randn(sizes, at::kDouble), at::arange(12, at::kLong).remainder(3)};
  std::vector<at::Tensor> all;
  StepOptions options;
  options.rate = 0.1;
  options.before_update = [&] {
    for (const nn::Named& one : state.model->parameters()) {
      const auto l = static_cast<std::size_t>(std::stoi(one.name.substr(7)));
      const at::Tensor g = one.value.grad().flatten().clone();
      if (l < all.size())
        all[l] = at::cat({all[l], g});
      else
        all.push_back(g);
    }
  };
  step(state, batch, {}, options);
  return all;
}

TEST(Step, NormMatchedHasTheDirectionOfTheRouteAndTheNormsOfGrapes) {
  for (const std::string route : {"bp", "fa", "dfa", "ifa"})
    for (const std::string model : {"mlp:7,9,5", "layers:conv4,max2,conv5,6"})
      for (const bool bias : {false, true}) {
        const nn::Norm norm = model.starts_with("mlp") || bias ? nn::Norm::none : nn::Norm::batch;
        const auto by = [&](const char* modulation) {
          StepCase setting;
          setting.route = route;
          setting.modulation = modulation;
          setting.bias = bias;
          return gradients_of(setting, model, norm);
        };
        const auto plain = by("none"), grapes = by("grapes"), matched = by("norm-matched");
        for (std::size_t l = 0; l < plain.size(); ++l) {
          const double wanted = grapes[l].norm().item<double>(), had = plain[l].norm().item<double>();
          EXPECT_NEAR(matched[l].norm().item<double>(), wanted, 1e-12 * wanted) << route << ", " << model << ", " << l;
          EXPECT_LE((matched[l] - plain[l] * (wanted / had)).norm().item<double>(), 1e-12 * wanted)
              << route << ", " << model << ", " << l;
          if (l == 0 && route == "bp") {
            EXPECT_GT(wanted / had, 1.2) << model;
          }
        }
      }
}

TEST(Step, NormsOfUpdatesAreThoseOfTheStepsTaken) {
  for (const auto& optimizer : optim::optimizers())
    for (const bool fused : {false, true}) {
      nn::Options network;
      network.model = nn::parse_model("mlp:7");
      network.precision.dtype = at::kDouble;
      Kit kit(network, optimizer.name);
      data::Batch batch = batch_of(8);
      batch.inputs = batch.inputs.to(at::kDouble);
      for (int i = 0; i < 2; ++i) {
        std::vector<double> norms;
        StepOptions options;
        options.rate = 0.1;
        options.fused_update = fused;
        options.update_norms = &norms;
        const std::vector<at::Tensor> before = {kit.weight(0), kit.weight(1)};
        step(kit, batch, {}, options);
        ASSERT_EQ(norms.size(), 2U);
        for (std::size_t l = 0; l < 2; ++l)
          EXPECT_NEAR(norms[l], (kit.weight(l) - before[l]).norm().item<double>(), 1e-12) << optimizer.name;
        EXPECT_GT(norms[0], 0);
      }
    }
}

TEST(Step, TheReferencePassOfNormMatchedLeavesRunningStatisticsAlone) {
  const auto statistics = [](const char* modulation) {
    nn::Options network;
    network.model = nn::parse_model("cnn:4,4");
    network.norm = nn::Norm::batch;
    network.rule.modulation = modulation;
    TrainState state(network, update_by("sgd"), seeded(5), classes_of({2, 8, 8}, 3));
    at::manual_seed(3);
    StepOptions options;
    options.rate = 0.1;
    step(state, {at::randn({6, 2, 8, 8}), at::arange(6, at::kLong).remainder(3)}, {}, options);
    return state.model->buffers()[0].value.clone();
  };
  EXPECT_TRUE(at::equal(statistics("norm-matched"), statistics("none")));
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
  written.fused_update = false;
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
