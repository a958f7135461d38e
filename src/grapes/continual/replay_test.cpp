#include "grapes/base/random.h"
#include "grapes/base/table.h"
#include "grapes/continual/continual_test.h"
#include "grapes/continual/memory.h"
#include "grapes/continual/method.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <utility>
#include <vector>

/// Methods with a memory, against linear networks that are trained by hand.
namespace grapes::continual {
namespace {

constexpr double rate = 0.05;

/// One epoch per task, with plain gradient descent.
Kit linear_kit(const std::string& scenario, const std::string& method, const nn::Options& network) {
  Kit kit(scenario, method, network);
  kit.training.epochs = 1;
  kit.optimizer.optimizer = "sgd";
  kit.optimizer.learning_rate = rate;
  kit.options.der_alpha = 0.7;
  kit.options.der_beta = 0.4;
  kit.state = train::TrainState(kit.network, kit.optimizer, kit.training, kit.scenario.info);
  return kit;
}

nn::Options linear() {
  nn::Options network;
  network.model = nn::parse_model("linear");
  network.precision = nn::parse_precision("float64");
  return network;
}

at::Tensor kept(Method& method, const std::string& name) {
  for (const Method::State& state : method.state())
    if (state.name == name) return state.value;
  throw std::out_of_range(name);
}

/// Examples, in the order of their numbers.
struct Some {
  at::Tensor x, y;
  std::vector<std::pair<std::int64_t, std::int64_t>> numbers;  // (task, row)
};

Some some(const Scenario& scenario, const at::Tensor& examples) {
  std::vector<at::Tensor> x, y;
  Some all;
  for (std::int64_t b = 0; b < examples.size(0); ++b) {
    const auto task = examples[b][0].item<std::int64_t>(), row = examples[b][1].item<std::int64_t>();
    const data::Batch one = scenario.tasks[static_cast<std::size_t>(task)].train->get(at::tensor({row}, at::kLong));
    x.push_back(one.inputs.flatten(1).to(at::kDouble));
    y.push_back(one.targets);
    all.numbers.emplace_back(task, row);
  }
  all.x = at::cat(x);
  all.y = at::cat(y);
  return all;
}

/// Gradient of the mean cross-entropy. @param classes  those that are chosen among; empty: all
at::Tensor of_classes(const at::Tensor& W, const Some& examples, const std::vector<std::int64_t>& classes = {}) {
  at::Tensor logits = examples.x.mm(W.t());
  if (!classes.empty()) {
    at::Tensor out = at::full({W.size(0)}, -1e300, at::kDouble);
    logits = logits + out.index_fill_(0, at::tensor(classes, at::kLong), 0);
  }
  const at::Tensor error = at::softmax(logits, 1) - at::one_hot(examples.y, W.size(0));
  return error.t().mm(examples.x) / static_cast<double>(examples.x.size(0));
}

/// Takes the network's weights, a batch's own examples and the draws; returns the gradient.
using Gradient = std::function<at::Tensor(const at::Tensor& W, const Some& own, const std::vector<Some>& draws)>;

/// Learns with the program and by hand. The computation by hand gets the numbers of the examples from
/// Method::batches().
void expect_by_hand(const std::string& scenario, const std::string& name, std::int64_t draws,
                    const Gradient& gradient) {
  Kit kit = linear_kit(scenario, name, linear());
  const MethodRow& row = find_row(methods(), "method", name);
  const std::unique_ptr<Method> method = row.make(kit.context());
  at::Tensor W = kit.state.model->parameters().front().value.detach().clone();
  std::int64_t step = 0, joined = 0;
  for (std::int64_t task = 0; task < 3; ++task) {
    const auto order = order_of_task(kit.scenario, task, 0, 1, kit.training.seed).split(kit.training.batch_size);
    const std::vector<at::Tensor> batches = method->batches(order, step);
    for (std::size_t b = 0; b < order.size(); ++b, ++step) {
      const std::int64_t n = order[b].size(0), m = (batches[b].size(0) - n) / draws;
      ASSERT_TRUE(batches[b].narrow(0, 0, n).equal(order[b]));
      std::vector<Some> drawn;
      for (std::int64_t d = 0; d < draws && m > 0; ++d)
        drawn.push_back(some(kit.scenario, batches[b].narrow(0, n + d * m, m)));
      joined += m;
      W = W - rate * gradient(W, some(kit.scenario, order[b]), drawn);
    }
    method->end_epoch();
  }
  EXPECT_GT(joined, 100) << name;
  learn(kit.run());
  EXPECT_TRUE(at::allclose(kit.weights(), W.flatten(), 1e-9, 1e-12)) << name << " " << scenario;
}

TEST(Replay, TheMemoryContainsEveryExampleWithEqualProbability) {
  // 300 runs with 10 slots for 50 examples: each example is stored in 60 of them on average, sd below 7.
  std::map<std::int64_t, int> held;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Kit kit("permuted", "replay");
    kit.options.replay_buffer = 10;
    MethodContext context = kit.context();
    context.seed = seed;
    const auto method = make_replay(context);
    std::vector<at::Tensor> own;
    for (std::int64_t step = 0; step < 10; ++step)
      own.push_back(at::stack({at::zeros({5}, at::kLong), at::arange(5 * step, 5 * step + 5, at::kLong)}, 1));
    const std::vector<at::Tensor> all = method->batches(own, 0), again = method->batches(own, 0);
    for (std::size_t step = 0; step < 10; ++step) {
      EXPECT_TRUE(again[step].equal(all[step])) << "not a function of the state alone";
      EXPECT_EQ(all[step].size(0), step == 0 ? 5 : 10);
      EXPECT_TRUE(all[step].narrow(0, 0, 5).equal(own[step]));
      if (step > 0) {
        EXPECT_LT(all[step].narrow(0, 5, 5).select(1, 1).max().item<std::int64_t>(), 5 * step);
      }
    }
    EXPECT_EQ(kept(*method, "seen").item<std::int64_t>(), 0);
    method->end_epoch();
    EXPECT_EQ(kept(*method, "seen").item<std::int64_t>(), 50);
    const at::Tensor buffer = kept(*method, "buffer");
    for (std::int64_t i = 0; i < 10; ++i) ++held[buffer[i][1].item<std::int64_t>()];
  }
  EXPECT_EQ(held.size(), 50);
  double chi = 0;
  for (const auto& [example, times] : held) chi += (times - 60.0) * (times - 60.0) / 60.0;
  EXPECT_LT(chi, 80);  // 49 degrees of freedom and a little less variance than independence: 0.3 % above 80
}

TEST(Replay, TheLossIsTheMeanOverOwnAndStoredExamples) {
  expect_by_hand("permuted", "replay", 1, [](const at::Tensor& W, const Some& own, const std::vector<Some>& draws) {
    if (draws.empty()) return of_classes(W, own);
    const auto n = static_cast<double>(own.x.size(0)), m = static_cast<double>(draws[0].x.size(0));
    return (n * of_classes(W, own) + m * of_classes(W, draws[0])) / (n + m);
  });
}

TEST(Der, StoredExamplesKeepTheLogitsFromWhenTheyWereStored) {
  for (const std::string scenario : {"permuted", "class-incremental"})
    for (const bool plus : {false, true}) {
      std::map<std::pair<std::int64_t, std::int64_t>, at::Tensor> before;  // every example is offered once
      const Gradient gradient = [&](const at::Tensor& W, const Some& own, const std::vector<Some>& draws) {
        at::Tensor g = of_classes(W, own);
        if (!draws.empty()) {
          std::vector<at::Tensor> z;
          for (const auto& number : draws[0].numbers) z.push_back(before.at(number));
          const at::Tensor difference = draws[0].x.mm(W.t()) - at::stack(z);
          g = g + 0.7 * 2 * difference.t().mm(draws[0].x) / static_cast<double>(difference.numel());
        }
        if (plus && !draws.empty()) g = g + 0.4 * of_classes(W, draws[1]);
        const at::Tensor logits = own.x.mm(W.t());
        for (std::size_t b = 0; b < own.numbers.size(); ++b)
          before[own.numbers[b]] = logits[static_cast<std::int64_t>(b)];
        return g;
      };
      expect_by_hand(scenario, plus ? "der++" : "der", plus ? 2 : 1, gradient);
    }
}

TEST(ErAce, OwnExamplesUseTheClassesOfTheBatchAndStoredOnesAll) {
  expect_by_hand("class-incremental", "er-ace", 1,
                 [](const at::Tensor& W, const Some& own, const std::vector<Some>& draws) {
                   std::vector<std::int64_t> present;
                   for (std::int64_t c = 0; c < W.size(0); ++c)
                     if (own.y.eq(c).any().item<bool>()) present.push_back(c);
                   EXPECT_LE(present.size(), 3);
                   const at::Tensor g = of_classes(W, own, present);
                   return draws.empty() ? g : g + of_classes(W, draws[0]);
                 });
}

TEST(AGem, RemovesTheComponentThatOpposesStoredExamples) {
  Kit kit = linear_kit("permuted", "a-gem", linear());
  const std::uint64_t seed = kit.training.seed;
  Memory memory(kit.options.replay_buffer);
  at::Tensor W = kit.state.model->parameters().front().value.detach().clone();
  std::uint64_t step = 0;
  int projected = 0, free = 0;
  for (std::int64_t task = 0; task < 3; ++task) {
    for (const at::Tensor& batch : order_of_task(kit.scenario, task, 0, 1, seed).split(kit.training.batch_size)) {
      at::Tensor g = of_classes(W, some(kit.scenario, batch));
      if (task > 0) {
        const at::Tensor slots = memory.draw(batch.size(0), stream_seed(seed, "replay", step));
        const at::Tensor r = of_classes(W, some(kit.scenario, memory.examples(slots)));
        const double product = (g * r).sum().item<double>();
        ++(product < 0 ? projected : free);
        if (product < 0) g = g - product / r.square().sum() * r;
      }
      W = W - rate * g;
      ++step;
    }
    memory.offer(kit.scenario.examples[static_cast<std::size_t>(task)],
                 stream_seed(seed, "reservoir", static_cast<std::uint64_t>(task)));
  }
  EXPECT_GT(projected, 0);
  EXPECT_GT(free, 0);
  learn(kit.run());
  EXPECT_TRUE(at::allclose(kit.weights(), W.flatten(), 1e-9, 1e-12));
}

TEST(GDumb, TheMemoryHasEquallyManyExamplesOfEachClass) {
  Kit kit = linear_kit("class-incremental", "gdumb", linear());
  const auto method = make_gdumb(kit.context());
  for (std::int64_t task = 0; task < 3; ++task) {
    method->begin(task);
    const auto own = order_of_task(kit.scenario, task, 0, 1, 3).split(32);
    const std::vector<at::Tensor> batches = method->batches(own, 0), again = method->batches(own, 0);
    method->end_epoch();
    const at::Tensor buffer = kept(*method, "buffer");
    const std::int64_t classes = 3 * (task + 1);
    const at::Tensor y = some(kit.scenario, buffer).y;
    for (std::int64_t c = 0; c < classes; ++c) {
      EXPECT_GE(y.eq(c).sum().item<std::int64_t>(), 30 / classes) << c;
      EXPECT_LE(y.eq(c).sum().item<std::int64_t>(), (30 + classes - 1) / classes) << c;
    }
    for (std::size_t b = 0; b < own.size(); ++b) {
      EXPECT_TRUE(batches[b].equal(again[b])) << "not a function of the state alone";
      EXPECT_EQ(batches[b].size(0), own[b].size(0));
      for (std::int64_t i = 0; i < batches[b].size(0); ++i)
        EXPECT_TRUE(buffer.eq(batches[b][i]).all(1).any().item<bool>()) << "not from the memory";
    }
  }
}

TEST(GDumb, EveryTaskStartsFromTheInitialWeights) {
  Kit kit = linear_kit("class-incremental", "gdumb", linear());
  const at::Tensor initial = kit.state.model->parameters().front().value.detach().clone();
  const auto method = make_gdumb(kit.context());
  at::Tensor W;
  std::int64_t step = 0;
  for (std::int64_t task = 0; task < 3; ++task) {
    W = initial;
    method->begin(task);
    for (const at::Tensor& batch :
         method->batches(order_of_task(kit.scenario, task, 0, 1, kit.training.seed).split(32), step)) {
      W = W - rate * of_classes(W, some(kit.scenario, batch));
      ++step;
    }
    method->end_epoch();
  }
  learn(kit.run());
  EXPECT_TRUE(at::allclose(kit.weights(), W.flatten(), 1e-9, 1e-12));
}

TEST(Replay, ReplayBatchSetsTheNumberOfStoredExamplesPerDraw) {
  Kit kit("permuted", "der++");
  kit.options.replay_batch = 7;
  const auto method = make_der_plus(kit.context());
  const auto own = order_of_task(kit.scenario, 0, 0, 1, 3).split(32);
  const std::vector<at::Tensor> batches = method->batches(own, 0);
  EXPECT_EQ(batches[0].size(0), 32);  // there is nothing to draw yet
  for (std::size_t b = 1; b < own.size(); ++b) {
    EXPECT_EQ(batches[b].size(0), own[b].size(0) + 14);
    EXPECT_FALSE(batches[b].narrow(0, own[b].size(0), 7).equal(batches[b].narrow(0, own[b].size(0) + 7, 7)));
  }
}

}  // namespace
}  // namespace grapes::continual
