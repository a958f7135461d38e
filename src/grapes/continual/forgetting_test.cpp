#include "grapes/continual/forgetting.h"

#include "grapes/continual/continual_test.h"
#include "grapes/core/responsibility.h"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>

namespace grapes::continual {
namespace {

using record::Json;

TEST(ForgettingAnalysis, RankCorrelationIsSpearmans) {
  const at::Tensor x = at::tensor({1.0, 2.0, 3.0, 4.0, 5.0});
  EXPECT_DOUBLE_EQ(rank_correlation(x, x.exp()), 1);
  EXPECT_DOUBLE_EQ(rank_correlation(x, -x), -1);
  EXPECT_DOUBLE_EQ(rank_correlation(x, at::tensor({2.0, 1.0, 4.0, 3.0, 5.0})), 0.8);  // 1 - 6 · 4 / (5 · 24)
  // Ties share their mean rank: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
  EXPECT_NEAR(rank_correlation(at::tensor({1.0, 7.0, 7.0, 9.0}), at::tensor({1.0, 2.0, 3.0, 4.0})),
              4.5 / std::sqrt(4.5 * 5), 1e-12);
  EXPECT_TRUE(std::isnan(rank_correlation(x, at::ones({5}))));
}

TEST(ForgettingAnalysis, MeasuresChangesAndTheLossIncreaseTheyCause) {
  for (const std::string scenario : {"permuted", "split"}) {
    Kit kit(scenario, "none", [] {
      nn::Options network = Kit::small();
      network.rule.modulation = "grapes";
      network.precision.dtype = at::kDouble;
      network.activation = "tanh";
      return network;
    }());
    ForgettingAnalysis forgetting(kit.context());
    const std::vector<nn::Named> weights = kit.state.model->parameters();
    std::vector<at::Tensor> first;
    at::Tensor before;
    for (std::int64_t task = 0; task < 2; ++task) {
      forgetting.begin();
      before = weights[0].value.detach().clone();
      {
        const at::NoGradGuard no_grad;
        for (const nn::Named& w : weights) {
          const at::Tensor change = 0.03 * at::randn_like(w.value);
          at::Tensor(w.value).add_(change);
          first.push_back(change);
        }
      }
      const Json analysis = forgetting.end(task);
      EXPECT_NEAR(analysis["weights"][0]["weight_change"], (weights[0].value.detach() - before).norm().item<double>(),
                  1e-9);
      EXPECT_NEAR(analysis["weights"][0]["weight_norm"], before.norm().item<double>(), 1e-9);
      EXPECT_NEAR(
          analysis["weights"][0]["factor_change"],
          rank_correlation(factor(before, {}, 0, {}, 2, 0, 2), (weights[0].value.detach() - before).norm(2, {1})),
          1e-12);
      EXPECT_TRUE(analysis["weights"][2]["factor_change"].is_null());  // the output layer has no factors
      if (task == 0) {
        EXPECT_TRUE(analysis["loss_before"].is_null());
        EXPECT_TRUE(analysis["weights"][0]["overlap"].is_null());
        continue;
      }
      // The increases over all units sum to the rise of the loss on the first task.
      double cost = 0;
      for (const Json& weight : analysis["weights"]) cost += weight["loss_increase"].get<double>();
      const double rise = analysis["loss_after"].get<double>() - analysis["loss_before"].get<double>();
      EXPECT_GT(std::abs(rise), 1e-4);
      EXPECT_NEAR(cost, rise, 0.01 * std::abs(rise) + 1e-5) << scenario;
      const at::Tensor a = first[3], b = first[0];
      EXPECT_NEAR(analysis["weights"][0]["overlap"], ((a * b).sum() / (a.norm() * b.norm())).item<double>(), 1e-9);
      EXPECT_NEAR(analysis["weights"][0]["overlap_size"], ((a * b).abs().sum() / (a.norm() * b.norm())).item<double>(),
                  1e-9);
    }
  }
}

}  // namespace
}  // namespace grapes::continual
