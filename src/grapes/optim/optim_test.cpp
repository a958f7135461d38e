#include "grapes/base/error.h"
#include "grapes/optim/optimizer.h"
#include "grapes/optim/schedule.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace grapes::optim {
namespace {

/// Makes an optimizer of one parameter. A rule that follows paths finds two through each number.
std::unique_ptr<Optimizer> optimizer_for(const Options& options, const at::Tensor& W) {
  return make_optimizer(options, {W},
                        [W] { return std::vector<at::Tensor>{at::full_like(W.detach(), 2, at::kDouble)}; });
}

/// Five steps on the loss ½ Σ c W² of a vector, whose gradient is c W everywhere. Compares them with the same steps on
/// single numbers. @return largest difference
double against_hand(const std::string& name, double weight_decay) {
  Options options;
  options.optimizer = name;
  options.weight_decay = weight_decay;
  const std::vector<double> start = {1.0, -2.0, 0.5}, c = {1.0, 3.0, -0.7};
  at::Tensor W = at::tensor(start, at::kDouble).requires_grad_();
  const auto optimizer = optimizer_for(options, W);
  std::vector<double> w = start, v(3), q(3);
  const double scale = (std::abs(start[0]) + std::abs(start[1]) + std::abs(start[2])) / 3;  // of nero
  for (int t = 1; t <= 5; ++t) {
    const double eta = 0.1 / t;
    optimizer->begin();
    W.mutable_grad() = at::tensor(c, at::kDouble) * W.detach();
    optimizer->step(eta);
    for (std::size_t i = 0; i < 3; ++i) {
      const double at = name == "nag" ? w[i] - 0.9 * v[i] : w[i];
      const double g = (c[i] + (name == "lamb" ? 0 : weight_decay)) * at;
      if (name == "sgd" || name == "eg") w[i] -= eta * g;  // a vector is no weight for eg
      if (name == "momentum" || name == "nag" || name == "lars") w[i] -= v[i] = 0.9 * v[i] + eta * g;
      if (name == "rmsprop") {
        q[i] = 0.9 * q[i] + 0.1 * g * g;
        w[i] -= eta * g / std::sqrt(q[i] + 1e-8);
      }
      if (name == "adam") {
        v[i] = 0.9 * v[i] + 0.1 * g;
        q[i] = 0.999 * q[i] + 0.001 * g * g;
        w[i] -= eta * v[i] / (1 - std::pow(0.9, t)) / (std::sqrt(q[i] / (1 - std::pow(0.999, t))) + 1e-8);
      }
      if (name == "lamb") {
        v[i] = 0.9 * v[i] + 0.1 * g;
        q[i] = 0.999 * q[i] + 0.001 * g * g;
        const double m = v[i] / (1 - std::pow(0.9, t));
        w[i] -= eta * (m / (std::sqrt(q[i] / (1 - std::pow(0.999, t))) + 1e-8) + weight_decay * w[i]);
      }
      if (name == "nero") {
        q[i] = 0.999 * q[i] + 0.001 * g * g;
        w[i] -= eta * scale * g / std::sqrt(q[i] / (1 - std::pow(0.999, t)));
      }
      if (name == "path-sgd") w[i] -= eta * g / 2;
    }
  }
  return (W.detach() - at::tensor(w, at::kDouble)).abs().max().item<double>();
}

TEST(Optimizers, EqualTheirEquations) {
  for (const Row& row : optimizers())
    for (const double decay : {0.0, 0.01}) EXPECT_LE(against_hand(row.name, decay), 1e-14) << row.name << ", " << decay;
}

using Rows = std::vector<std::vector<double>>;

double norm_of(const Rows& rows) {
  double sum = 0;
  for (const auto& row : rows)
    for (const double x : row) sum += x * x;
  return std::sqrt(sum);
}

/// Applies f to each number of some matrices of the same shape.
template <class F, class... Matrices>
void each(F f, Matrices&... matrices) {
  const Rows* const sizes[] = {&matrices...};
  for (std::size_t n = 0; n < sizes[0]->size(); ++n)
    for (std::size_t i = 0; i < (*sizes[0])[n].size(); ++i) f(matrices[n][i]...);
}

/// The papers' algorithms on a matrix, in loops over numbers.
struct ByHand {
  std::string name;
  double decay;
  Rows w, m = {{0, 0, 0}, {0, 0, 0}}, v = m;
  std::vector<double> q = {0, 0};

  void step(int t, double eta, Rows g) {
    if (name != "lamb") each([&](double& g, double w) { g += decay * w; }, g, w);
    if (name == "lars") {
      Rows plain = g;
      each([&](double& p, double w) { p -= decay * w; }, plain, w);
      const double ratio = norm_of(w) / (norm_of(plain) + decay * norm_of(w));
      each([&](double& w, double& v, double g) { w -= v = 0.9 * v + eta * ratio * g; }, w, v, g);
    }
    if (name == "lamb") {
      Rows u = g;
      each(
          [&](double& u, double& m, double& v, double g, double w) {
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            u = m / (1 - std::pow(0.9, t)) / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8) + decay * w;
          },
          u, m, v, g, w);
      const double ratio = norm_of(w) / norm_of(u);
      each([&](double& w, double u) { w -= eta * ratio * u; }, w, u);
    }
    if (name == "nero")
      for (std::size_t n = 0; n < 2; ++n) {
        const double size = norm_of({g[n]});
        q[n] = 0.999 * q[n] + 0.001 * size * size;
        for (std::size_t i = 0; i < 3; ++i) w[n][i] -= eta * g[n][i] / std::sqrt(q[n] / (1 - std::pow(0.999, t)));
      }
    if (name == "nero") balance();
    if (name == "eg") each([&](double& w, double g) { w *= std::exp(w > 0 ? -eta * g : w < 0 ? eta * g : 0); }, w, g);
  }
  void balance() {
    for (auto& row : w) {
      const double mean = (row[0] + row[1] + row[2]) / 3;
      for (double& x : row) x -= mean;
      const double size = norm_of({row});
      for (double& x : row) x /= size;
    }
  }
};

TEST(Optimizers, RulesOfWholeMatricesEqualTheirPapers) {
  for (const std::string name : {"lars", "lamb", "nero", "eg"})
    for (const double decay : {0.0, 0.01}) {
      ByHand hand{name, decay, {{1.0, -2.0, 0.5}, {0.3, 0.1, 4.0}}};
      if (name == "nero") hand.balance();
      Options options;
      options.optimizer = name;
      options.weight_decay = decay;
      at::Tensor W = at::tensor({1.0, -2.0, 0.5, 0.3, 0.1, 4.0}, at::kDouble).view({2, 3}).requires_grad_();
      const auto optimizer = make_optimizer(options, {W});
      for (int t = 1; t <= 6; ++t) {
        Rows g = hand.w;
        each([&](double& g, double w) { g = std::sin(3 * w) + 0.1 * t; }, g, hand.w);
        W.mutable_grad() = (W.detach() * 3).sin() + 0.1 * t;
        hand.step(t, 0.1 / t, g);
        optimizer->step(0.1 / t);
        for (std::int64_t n = 0; n < 2; ++n)
          for (std::int64_t i = 0; i < 3; ++i)
            EXPECT_NEAR(W[n][i].item<double>(), hand.w[static_cast<std::size_t>(n)][static_cast<std::size_t>(i)], 1e-13)
                << name << ", decay " << decay << ", step " << t;
      }
    }
}

TEST(Optimizers, StepsOfLarsAndLambHaveTheSizeOfTheirWeightAndNeroKeepsUnitsBalanced) {
  for (const std::string name : {"lars", "lamb", "nero"}) {
    Options options;
    options.optimizer = name;
    options.momentum = 0;
    at::manual_seed(4);
    at::Tensor W = at::randn({4, 3, 2, 2}, at::kDouble).requires_grad_();
    const auto optimizer = make_optimizer(options, {W});
    for (const double size : {1e-6, 1e6}) {  // the gradient's size does not matter
      const at::Tensor before = W.detach().clone();
      W.mutable_grad() = at::randn_like(W) * size;
      optimizer->step(0.01);
      if (name != "nero") {
        EXPECT_NEAR((W.detach() - before).norm().item<double>(), 0.01 * before.norm().item<double>(), 1e-12) << name;
        continue;
      }
      const at::Tensor rows = W.detach().flatten(1);
      EXPECT_LE(rows.mean(1).abs().max().item<double>(), 1e-15);
      EXPECT_LE((rows.norm(2, 1) - 1).abs().max().item<double>(), 1e-15);
    }
  }
}

TEST(Optimizers, NormsOfZeroStopNoRule) {
  for (const Row& row : optimizers()) {
    Options options;
    options.optimizer = row.name;
    at::Tensor W = at::zeros({2, 3}, at::kDouble).requires_grad_();
    const auto optimizer = optimizer_for(options, W);
    optimizer->step(0.1);  // no gradient
    EXPECT_TRUE(at::equal(W.detach(), at::zeros({2, 3}, at::kDouble))) << row.name;
    W.mutable_grad() = at::tensor({1.0, 2.0, 3.0, 0.0, 0.0, 0.0}, at::kDouble).view({2, 3});
    optimizer->step(0.1);
    EXPECT_TRUE(at::isfinite(W.detach()).all().item<bool>()) << row.name;
    EXPECT_EQ(W.detach()[0].norm().item<double>() > 0, row.name != "eg") << row.name;
    EXPECT_EQ(W.detach()[1].norm().item<double>(), 0) << row.name;
  }
}

TEST(Optimizers, ExponentiatedGradientKeepsSignsAndZeros) {
  Options options;
  options.optimizer = "eg";
  options.weight_decay = 0.01;
  at::manual_seed(5);
  at::Tensor W = at::randn({5, 4}, at::kDouble), b = at::zeros({5}, at::kDouble).requires_grad_();
  W[2].zero_();
  W.requires_grad_();
  const at::Tensor signs = W.detach().sign();
  const auto optimizer = make_optimizer(options, {W, b});
  for (int t = 0; t < 50; ++t) {
    W.mutable_grad() = at::randn_like(W) * 10;
    b.mutable_grad() = at::ones_like(b);
    optimizer->step(0.1);
    ASSERT_TRUE(at::equal(W.detach().sign(), signs)) << "step " << t;
  }
  EXPECT_LT(b.max().item<double>(), -3) << "biases learn by SGD";
}

TEST(Optimizers, ARuleThatFollowsPathsNeedsThem) {
  Options options;
  options.optimizer = "path-sgd";
  EXPECT_THROW(make_optimizer(options, {at::ones({1})}), UsageError);
  at::Tensor W = at::ones({2}, at::kDouble).requires_grad_();
  const auto optimizer = make_optimizer(options, {W}, [] {
    return std::vector<at::Tensor>{at::tensor({4.0, 0.0}, at::kDouble)};
  });
  W.mutable_grad() = at::tensor({1.0, 0.0}, at::kDouble);
  optimizer->step(0.5);
  EXPECT_EQ(W[0].item<double>(), 1 - 0.5 / 4);
  EXPECT_EQ(W[1].item<double>(), 1) << "a weight on no path";
}

TEST(Optimizers, ResumeFromTheirStateBitForBit) {
  for (const Row& row : optimizers()) {
    Options options;
    options.optimizer = row.name;
    const auto steps = [](Optimizer& optimizer, at::Tensor& W, int from, int to) {
      for (int t = from; t < to; ++t) {
        optimizer.begin();
        W.mutable_grad() = W.detach().sin() + t;
        optimizer.step(0.01);
      }
    };
    at::Tensor whole = at::linspace(-1, 1, 7, at::kFloat).requires_grad_(),
               half = whole.detach().clone().requires_grad_();
    const auto straight = optimizer_for(options, whole);
    steps(*straight, whole, 0, 6);
    const auto first = optimizer_for(options, half);
    steps(*first, half, 0, 3);
    at::Tensor resumed = half.detach().clone().requires_grad_();
    const auto second = optimizer_for(options, resumed);
    const auto from = first->state(), into = second->state();
    ASSERT_EQ(from.size(), into.size());
    for (std::size_t i = 0; i < from.size(); ++i) {
      EXPECT_EQ(from[i].name, into[i].name);
      into[i].value.copy_(from[i].value);
    }
    steps(*second, resumed, 3, 6);
    EXPECT_TRUE(at::equal(whole, resumed)) << row.name;
  }
}

TEST(Optimizers, RestoreReturnsTheWeightsBitForBit) {
  for (const Row& row : optimizers()) {
    Options options;
    options.optimizer = row.name;
    at::Tensor W = at::linspace(-1, 1, 7, at::kFloat).requires_grad_();
    const auto optimizer = optimizer_for(options, W);
    optimizer->begin();
    W.mutable_grad() = at::ones_like(W);
    optimizer->step(0.3);
    const at::Tensor rest = W.detach().clone();
    optimizer->begin();
    EXPECT_TRUE(at::equal(optimizer->parameters_without_lookahead()[0].detach(), rest)) << row.name;
    EXPECT_EQ(at::equal(W, rest), row.name != "nag") << row.name;
    optimizer->restore();
    EXPECT_TRUE(at::equal(W, rest)) << row.name;
  }
}

TEST(Optimizers, RejectInvalidNumbers) {
  const at::Tensor W = at::ones({1});
  for (const double rate : {0.0, -0.1, std::nan(""), std::numeric_limits<double>::infinity()}) {
    Options options;
    options.learning_rate = rate;
    EXPECT_THROW(make_optimizer(options, {W}), UsageError) << rate;
  }
  Options options;
  options.optimizer = "adm";
  EXPECT_THROW(make_optimizer(options, {W}), UsageError);
}

double multiple(const std::string& text, double epoch, double warm_up = 0) {
  return make_schedule(parse_schedule(text), warm_up, 10)->multiple(epoch);
}

TEST(Schedules, EqualTheirEquations) {
  EXPECT_EQ(multiple("constant", 7), 1);
  EXPECT_EQ(multiple("step:3,0.5", 2.9), 1);
  EXPECT_EQ(multiple("step:3,0.5", 6), 0.25);
  EXPECT_EQ(multiple("multistep:2,4,0.1", 1.99), 1);
  EXPECT_EQ(multiple("multistep:2,4,0.1", 3), 0.1);
  EXPECT_DOUBLE_EQ(multiple("multistep:2,4,0.1", 4), 0.01);
  EXPECT_EQ(multiple("cosine", 0), 1);
  EXPECT_NEAR(multiple("cosine", 5), 0.5, 1e-15);
  EXPECT_NEAR(multiple("cosine:0.2", 10), 0.2, 1e-15);
  EXPECT_EQ(multiple("constant", 1, 4), 0.25);
  EXPECT_EQ(multiple("constant", 8, 4), 1);
  EXPECT_GT(multiple("constant", 0, 4), 0);
}

TEST(Schedules, PlateauWaitsAndRemembers) {
  const auto plateau = make_schedule({"plateau", {2, 0.5}}, 0, 10);
  for (const double loss : {1.0, 0.9, 0.95, 0.95}) plateau->observe(loss);
  EXPECT_EQ(plateau->multiple(4), 1);
  const auto resumed = make_schedule({"plateau", {2, 0.5}}, 0, 10);
  resumed->restore(plateau->state());
  for (auto* schedule : {plateau.get(), resumed.get()}) {
    schedule->observe(0.91);
    EXPECT_EQ(schedule->multiple(5), 0.5);
  }
}

TEST(Schedules, RoundTripAsText) {
  for (const char* text : {"constant", "step:30,0.1", "multistep:60,120,0.2", "cosine", "cosine:0.01", "plateau:5,0.5"})
    EXPECT_EQ(to_string(parse_schedule(text)), text);
  EXPECT_EQ(to_string(parse_schedule("step: 30, 0.10")), "step:30,0.1");
  const ScheduleOptions read{"multistep", {60, 120, 0.2}};
  EXPECT_EQ(parse_schedule("multistep:60,120,0.2"), read);
}

TEST(Schedules, InvalidTextIsAnError) {
  for (const char* text : {"", "stp:1,2", "step", "step:3", "step:0,0.5", "step:3,x", "multistep:0.1", "cosine:2",
                           "plateau:5,1", "constant:1", "step:3,-1"})
    EXPECT_THROW(parse_schedule(text), UsageError) << text;
  for (const ScheduleOptions& options : std::vector<ScheduleOptions>{
           {"stp", {1, 2}}, {"step", {}}, {"step", {3, -1}}, {"plateau", {std::nan(""), 0.5}}, {"cosine", {0, 0}}})
    EXPECT_THROW(make_schedule(options, 0, 10), UsageError) << to_string(options);
  EXPECT_THROW(make_schedule({}, -1, 10), UsageError);
  try {
    parse_schedule("step:3, x");
    ADD_FAILURE() << "nothing was refused";
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(),
                 "schedule 'step:3, x' does not have the form step:EVERY,FACTOR: multiplied by FACTOR every EVERY "
                 "epochs");
  }
}

}  // namespace
}  // namespace grapes::optim
