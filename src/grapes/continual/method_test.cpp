#include "grapes/continual/method.h"

#include "grapes/base/random.h"
#include "grapes/continual/continual_test.h"
#include "grapes/train/trainer.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace grapes::continual {
namespace {

nn::Options linear(const std::string& precision) {
  nn::Options network;
  network.model = nn::parse_model("linear");
  network.precision = nn::parse_precision(precision);
  return network;
}

at::Tensor weight_of(const nn::Network& model) { return model.parameters().front().value; }

at::Tensor state_of(Method& method, const std::string& name) {
  for (const Method::State& state : method.state())
    if (state.name == name) return state.value;
  throw std::out_of_range(name);
}

TEST(Methods, AnswersAreTheOutputsOfEachExamplesOwnTask) {
  const Kit kit("split");
  const at::Tensor logits = at::arange(18, at::kFloat).view({2, 9});
  EXPECT_TRUE(answers(kit.scenario, logits, at::tensor({2, 0}, at::kLong))
                  .equal(at::tensor({6.F, 7.F, 8.F, 9.F, 10.F, 11.F}).view({2, 3})));
  EXPECT_TRUE(answers(kit.scenario, logits, at::tensor({1}, at::kLong)).equal(logits.narrow(1, 3, 3)));
  const Kit one("class-incremental");
  EXPECT_TRUE(answers(one.scenario, logits, at::tensor({1}, at::kLong)).equal(logits));
}

TEST(TaskBatches, FollowTheFileIfNotShuffled) {
  Kit kit("split");
  EXPECT_FALSE(order_of_task(kit.scenario, 1, 0, 2, 3).equal(order_of_task(kit.scenario, 1, 1, 2, 3)));
  kit.scenario.shuffle = false;
  const at::Tensor order = order_of_task(kit.scenario, 1, 1, 2, 3);
  EXPECT_TRUE(order.select(1, 0).eq(1).all().item<bool>());
  EXPECT_TRUE(order.select(1, 1).equal(at::arange(kit.scenario.tasks[1].train->size(), at::kLong)));
}

TEST(TaskBatches, MixTasksAndKeepTheTaskOfEachExample) {
  const Kit kit("split");
  const at::Tensor examples = at::tensor({2, 5, 0, 1, 2, 3}, at::kLong).view({3, 2});
  const data::Batch batch = make_batch(kit.scenario, examples, 7, 3);
  EXPECT_TRUE(tasks_of(examples).equal(at::tensor({0, 2, 2}, at::kLong)));
  EXPECT_TRUE(rows_of(examples).equal(at::tensor({1, 0, 2}, at::kLong)));
  const data::Batch first = kit.scenario.tasks[0].train->get(at::tensor({1}, at::kLong)),
                    third = kit.scenario.tasks[2].train->get(at::tensor({5, 3}, at::kLong));
  EXPECT_TRUE(batch.inputs.equal(at::cat({first.inputs, third.inputs})));
  EXPECT_TRUE(batch.targets.equal(at::cat({first.targets, third.targets})));
}

TEST(Ewc, TheFisherInformationOfALinearNetworkEqualsItsClosedForm) {
  // For logits a = W x, the expected square of d log p(c | x) / dW_ni over the drawn classes is p_n (1 - p_n) x_i².
  Kit kit("permuted", "ewc", linear("float64"));
  kit.options.fisher_examples = 216;  // all training examples
  const auto method = make_ewc(kit.context());
  method->end(0);
  const at::Tensor W = weight_of(*kit.state.model).detach(), F = state_of(*method, "importance.0");
  const data::Dataset& examples = *kit.scenario.tasks[0].plain;
  const at::Tensor x = examples.get(at::arange(examples.size(), at::kLong)).inputs.flatten(1).to(at::kDouble);
  const at::Tensor p = at::softmax(x.mm(W.t()), 1);
  const at::Tensor expected = (p * (1 - p)).t().mm(x.square()) / static_cast<double>(x.size(0));
  // The classes are drawn, so single weights agree within the error of 216 draws; the sum over all weights agrees
  // closely.
  EXPECT_NEAR(F.sum().item<double>() / expected.sum().item<double>(), 1, 0.05);
  const double correlation = (F * expected).sum().item<double>() / (F.norm() * expected.norm()).item<double>();
  EXPECT_GT(correlation, 0.95);
}

TEST(Ewc, TheFisherInformationIsComputedWithoutDropout) {
  nn::Options network = Kit::small();
  std::vector<at::Tensor> fisher;
  for (const double dropout : {0.0, 0.5}) {
    network.dropout = dropout;
    Kit kit("permuted", "ewc", network);
    const auto method = make_ewc(kit.context());
    method->end(0);
    fisher.push_back(state_of(*method, "importance.0").clone());
  }
  EXPECT_TRUE(fisher[0].equal(fisher[1]));
}

TEST(Ewc, TheFisherInformationUsesRunningStatistics) {
  nn::Options network;
  network.model = nn::parse_model("cnn:4");
  network.norm = nn::Norm::batch;
  network.precision.dtype = at::kDouble;
  Kit kit("permuted", "ewc", network);
  train::train(kit.state, small_digits(),
               kit.training);  // so that the running statistics are not those of a single example
  kit.options.fisher_examples = 1;
  const auto method = make_ewc(kit.context());
  method->end(0);

  Random random(stream_seed(kit.training.seed, "fisher", 0));
  const data::Dataset& examples = *kit.scenario.tasks[0].plain;
  const data::Batch one = examples.get(at::tensor({permutation(examples.size(), random).front()}, at::kLong));
  const std::vector<nn::Named> parameters = kit.state.model->parameters();
  const at::NoGradGuard no_grad;
  // log p of every class, in evaluation mode, when a weight is changed slightly.
  const auto moved = [&](std::size_t i, std::int64_t k, double by) {
    at::Tensor weight = parameters[i].value.flatten()[k];
    weight.add_(by);
    const at::Tensor log_p = at::log_softmax(kit.state.model->forward(one.inputs, {}), 1)[0];
    weight.sub_(by);
    return log_p;
  };
  int classes = 0;  // for which the information may be the squared gradient
  for (std::int64_t c = 0; c < 10; ++c) {
    bool all = true;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const at::Tensor F = state_of(*method, fmt::format("importance.{}", i)).flatten();
      const std::int64_t k = F.argmax().item<std::int64_t>();
      const double slope = ((moved(i, k, 1e-6) - moved(i, k, -1e-6))[c] / 2e-6).item<double>();
      all = all && std::abs(F[k].item<double>() - slope * slope) < 1e-5 * std::max(1e-3, slope * slope);
    }
    if (all) ++classes;
  }
  EXPECT_EQ(classes, 1) << "the information is not the squared gradient of one class in evaluation";
}

TEST(Ewc, ThePenaltyGradientSumsOverAllEarlierTasks) {
  Kit kit("permuted", "ewc", linear("float64"));
  const auto method = make_ewc(kit.context());
  at::Tensor W = weight_of(*kit.state.model);
  std::vector<at::Tensor> fisher, anchor;
  at::Tensor before = at::zeros_like(W.detach());
  for (std::int64_t task = 0; task < 3; ++task) {
    method->end(task);
    fisher.push_back(state_of(*method, "importance.0").clone() - before);
    before = state_of(*method, "importance.0").clone();
    anchor.push_back(W.detach().clone());
    const at::NoGradGuard no_grad;
    W.add_(at::randn_like(W), 0.1);
  }
  method->begin(3);
  ASSERT_TRUE(method->needs_gradients());
  W.mutable_grad() = at::ones_like(W.detach());
  method->before_update({});
  const at::Tensor leaf = W.detach().clone().requires_grad_();
  at::Tensor penalty = at::zeros({}, at::kDouble);
  for (std::size_t k = 0; k < 3; ++k) penalty = penalty + (fisher[k] * (leaf - anchor[k]).square()).sum();
  (penalty * (kit.options.ewc_strength / 2)).backward();
  EXPECT_TRUE(at::allclose(W.grad() - 1, leaf.grad(), 1e-9, 1e-12));
  EXPECT_GT(leaf.grad().abs().max().item<double>(), 1e-3);
}

TEST(Ewc, TheFirstTaskHasNoPenalty) {
  Kit kit("permuted", "ewc");
  const auto method = make_ewc(kit.context());
  method->begin(0);
  EXPECT_FALSE(method->needs_gradients());
}

TEST(Ewc, TrueClassesAreWeightedByTheirProbability) {
  // For logits a = W x and the class y, the gradient of log p(y | x) is (1[n = y] - p_n) x_i.
  Kit kit("permuted", "ewc", linear("float64"));
  kit.options.fisher_examples = 0;  // all training examples
  kit.options.fisher_classes = "true";
  const auto method = make_ewc(kit.context());
  method->end(0);
  const data::Dataset& examples = *kit.scenario.tasks[0].plain;
  const data::Batch all = examples.get(at::arange(examples.size(), at::kLong));
  const at::Tensor x = all.inputs.flatten(1).to(at::kDouble);
  const at::Tensor p = at::softmax(x.mm(weight_of(*kit.state.model).detach().t()), 1);
  const at::Tensor squared = (at::one_hot(all.targets, 10) - p).square() * p.gather(1, all.targets.view({-1, 1}));
  const at::Tensor expected = squared.t().mm(x.square()) / static_cast<double>(x.size(0));
  EXPECT_TRUE(at::allclose(state_of(*method, "importance.0"), expected, 1e-9, 1e-12));
}

TEST(OnlineEwc, HasOnePenaltyAroundTheLastWeights) {
  Kit kit("permuted", "online-ewc", linear("float64"));
  kit.options.ewc_decay = 0.25;
  const auto one = make_ewc(kit.context()), online = make_online_ewc(kit.context());
  at::Tensor W = weight_of(*kit.state.model);
  std::vector<at::Tensor> fisher = {at::zeros_like(W.detach())};  // sums of plain EWC
  for (std::int64_t task = 0; task < 2; ++task) {
    const at::NoGradGuard no_grad;
    W.add_(at::randn_like(W), 0.1);
    const at::AutoGradMode graph(true);
    one->end(task);
    online->end(task);
    fisher.push_back(state_of(*one, "importance.0").clone());
  }
  const at::Tensor importance = 0.25 * fisher[1] + (fisher[2] - fisher[1]), last = W.detach().clone();
  EXPECT_TRUE(at::allclose(state_of(*online, "importance.0"), importance, 1e-9, 1e-12));
  online->begin(2);
  {
    const at::NoGradGuard no_grad;
    W.add_(at::randn_like(W), 0.1);
  }
  W.mutable_grad() = at::zeros_like(last);
  online->before_update({});
  EXPECT_TRUE(at::allclose(W.grad(), kit.options.ewc_strength * importance * (W.detach() - last), 1e-9, 1e-12));
}

TEST(Si, ImportanceEqualsThePathIntegralByHand) {
  Kit kit("permuted", "si", linear("float64"));
  const auto method = make_si(kit.context());
  at::Tensor W = weight_of(*kit.state.model);
  const at::Tensor start = W.detach().clone();
  at::Tensor way = at::zeros_like(start);
  method->begin(0);
  for (int step = 0; step < 5; ++step) {
    const at::Tensor g = at::randn_like(start);
    W.mutable_grad() = g.clone();
    method->before_update({});
    EXPECT_TRUE(W.grad().equal(g));  // no penalty in the first task
    {
      const at::NoGradGuard no_grad;
      W.sub_(at::sin(g), 0.01);  // any update rule
    }
    method->after_update({}, {});
    way += g * at::sin(g) * 0.01;
  }
  method->end(0);
  const at::Tensor end = W.detach().clone();
  const at::Tensor importance = way.clamp_min(0) / ((end - start).square() + kit.options.si_damping);
  EXPECT_TRUE(at::allclose(state_of(*method, "importance.0"), importance, 1e-9, 1e-12));

  method->begin(1);
  {
    const at::NoGradGuard no_grad;
    W.add_(at::randn_like(start));
  }
  W.mutable_grad() = at::zeros_like(start);
  method->before_update({});
  EXPECT_TRUE(at::allclose(W.grad(), 2 * kit.options.si_strength * importance * (W.detach() - end), 1e-9, 1e-12));
}

TEST(Lwf, TheLossIsTheCrossEntropyWithTheOldPredictions) {
  for (const std::string scenario : {"permuted", "split", "class-incremental"}) {
    Kit kit(scenario, "lwf", linear("float64"));
    kit.options.lwf_strength = 0.7;
    const auto method = make_lwf(kit.context());
    TaskBatch batch;
    batch.batch = kit.scenario.tasks[2].train->get(at::arange(8, at::kLong));
    batch.tasks = at::full({8}, 2, at::kLong);
    const at::Tensor x = batch.batch.inputs.flatten(1).to(at::kDouble), W = weight_of(*kit.state.model);
    method->begin(0);
    const auto criterion = [&](const at::Tensor& logits) {
      return kit.state.criterion.loss(answers(kit.scenario, logits, batch.tasks), batch.batch.targets);
    };
    EXPECT_TRUE(method->loss(batch, x.mm(W.t())).equal(criterion(x.mm(W.t())))) << scenario;  // there is nothing old
    const at::Tensor old = W.detach().clone();
    method->end(0);
    method->end(1);
    method->begin(2);
    const at::Tensor logits = x.mm((old + 0.05 * at::randn_like(old)).t()).requires_grad_();
    const double T = kit.options.lwf_temperature;
    const auto distance = [&](std::int64_t from, std::int64_t count) {
      const at::Tensor p = at::softmax(x.mm(old.t()).narrow(1, from, count) / T, 1);
      return -(p * at::log_softmax(logits.narrow(1, from, count) / T, 1)).sum(1).mean() * T * T;
    };
    const at::Tensor expected = scenario == "split"               ? (distance(0, 3) + distance(3, 3)) / 2
                                : scenario == "class-incremental" ? distance(0, 6)
                                                                  : distance(0, 10);
    EXPECT_NEAR((method->loss(batch, logits) - criterion(logits)).item<double>(), 0.7 * expected.item<double>(), 1e-9)
        << scenario;
    // The old network itself has no gradient.
    const at::Tensor same = x.mm(old.t()).requires_grad_();
    (method->loss(batch, same) - criterion(same)).backward();
    const at::Tensor g = same.grad();
    EXPECT_LT(g.abs().max().item<double>(), 1e-12) << scenario;
  }
}

}  // namespace
}  // namespace grapes::continual
