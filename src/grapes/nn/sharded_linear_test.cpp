#include "grapes/nn/sharded_linear.h"

#include "grapes/credit/backward.h"
#include "grapes/credit/local_optimizer.h"
#include "grapes/nn/nn_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

namespace grapes::nn {
namespace {

namespace F = torch::nn::functional;
using ::testing::HasSubstr;

/// How the factors reach a training.
struct Way {
  Rule rule;
  bool by_optimizer = false;
  bool bias = true;
};

std::vector<Way> ways() {
  Rule unclipped{.gain = 3};
  unclipped.clip.kind = credit::Clip::Kind::none;
  return {{{.modulation = "none"}},
          {{}},
          {{}, false, false},
          {unclipped},
          {{.modulation = "grapes-local"}},
          {{}, true},
          {{.modulation = "uniform"}},
          {{.modulation = "shuffled"}},
          {{.every = 2}}};
}

/// The result of a training: what rank `rank` has of the divided layer, and the rest.
struct Trained {
  at::Tensor outputs, weight, bias, factor, below, above, gradient;
};

template <class Divided>
Trained trained(const Way& way, Divided divided) {
  torch::nn::Linear below(4, 6), above(7, 3);
  torch::nn::Sequential model(below, torch::nn::Tanh(), divided, torch::nn::ReLU(torch::nn::ReLUOptions(true)), above);
  model->to(at::kDouble);
  {  // not by torch::manual_seed: the threads that stand for processes share PyTorch's generator
    const torch::NoGradGuard no_grad;
    std::uint64_t seed = 60;
    for (const auto& layer : {below, above})
      for (const at::Tensor& parameter : layer->parameters()) parameter.copy_(0.4 * drawn(parameter.sizes(), ++seed));
  }
  torch::optim::SGD optimizer(model->parameters(), torch::optim::SGDOptions(0.3).momentum(0.9));
  Modulator modulator(*model, way.rule);
  LocalOptimizer local(optimizer, *model, way.rule);
  const at::Tensor labels = at::arange(8).remainder(3).view({2, 4});
  Trained result;
  for (int step = 0; step < 3; ++step) {
    const at::Tensor x = drawn({2, 4, 4}, static_cast<std::uint64_t>(step));
    optimizer.zero_grad();
    result.outputs = model->forward(x);
    const at::Tensor loss = F::cross_entropy(result.outputs.flatten(0, 1), labels.flatten());
    if (way.by_optimizer) {
      loss.backward();
      local.step();
    } else {
      modulator.backward(loss);
      result.factor = modulator.attachments()[1].factor;
      EXPECT_NE(modulator.attachments()[1].state, Attachment::State::unmatched) << modulator.describe();
      optimizer.step();
    }
  }
  result.weight = divided->weight.detach();
  result.gradient = divided->weight.grad();
  result.bias = divided->bias.defined() ? divided->bias.detach() : at::Tensor();
  result.below = below->weight.detach();
  result.above = above->weight.detach();
  return result;
}

void expect_near(const at::Tensor& ours, const at::Tensor& expected, const char* what) {
  ASSERT_EQ(ours.defined(), expected.defined()) << what;
  if (ours.defined()) {
    EXPECT_EQ(ours.sizes(), expected.sizes()) << what;
    EXPECT_LE((ours - expected).abs().max().item<double>(), 1e-12) << what;
  }
}

TEST(ShardedLinear, TrainsAsOneProcess) {
  for (const Way& way : ways()) {
    const at::Tensor W = drawn({7, 6}, 50) * drawn({7, 1}, 51), b = drawn({7}, 52);
    torch::nn::Linear whole(torch::nn::LinearOptions(6, 7).bias(way.bias));
    whole->to(at::kDouble);
    {
      const torch::NoGradGuard no_grad;
      whole->weight.copy_(W);
      if (way.bias) whole->bias.copy_(b);
    }
    const Trained one = trained(way, whole);
    for (const Split split : {Split::rows, Split::columns})
      for (const int size : {1, 2, 4}) {
        in_threads(size, [&](const Processes& all) {
          SCOPED_TRACE(way.rule.modulation + (split == Split::rows ? " rows " : " columns ") + std::to_string(size));
          ShardedLinear layer(torch::nn::LinearOptions(6, 7).bias(way.bias), split, all);
          layer->to(at::kDouble);
          layer->take(W, way.bias ? b : at::Tensor());
          const Trained mine = trained(way, layer);
          const std::int64_t axis = split == Split::rows ? 0 : 1;
          const auto own = [&](const at::Tensor& of) {
            return of.defined() && split == Split::rows ? layer->shard().part(of, 0) : of;
          };
          expect_near(mine.outputs, one.outputs, "outputs");
          expect_near(mine.below, one.below, "weights below");
          expect_near(mine.above, one.above, "weights above");
          expect_near(mine.weight, layer->shard().part(one.weight, axis), "weight");
          expect_near(mine.gradient, layer->shard().part(one.gradient, axis), "gradient");
          expect_near(mine.bias, own(one.bias), "bias");
          expect_near(mine.factor, own(one.factor), "factor");
        });
      }
  }
}

TEST(ShardedLinear, DrawsTheWeightsOfOneProcess) {
  for (const Split split : {Split::rows, Split::columns})
    for (int rank = 0; rank < 3; ++rank) {
      torch::manual_seed(5);
      const torch::nn::Linear whole(9, 8);
      const at::Tensor next = at::rand({3});
      torch::manual_seed(5);
      const ShardedLinear layer(9, 8, split, Processes{rank, 3});
      EXPECT_TRUE(layer->weight.equal(layer->shard().part(whole->weight, split == Split::rows ? 0 : 1)));
      EXPECT_TRUE(layer->bias.equal(layer->shard().own_units(whole->bias)));
      EXPECT_TRUE(at::rand({3}).equal(next)) << "the generator is in another state";
    }
}

TEST(ShardedLinear, AWeightThatIsNotFiniteIsAnErrorInAllProcesses) {
  for (const Split split : {Split::rows, Split::columns})
    in_threads(2, [&](const Processes& all) {
      torch::nn::Sequential model(ShardedLinear(4, 4, split, all), torch::nn::Linear(4, 2));
      const torch::NoGradGuard no_grad;
      if (all.rank == 1) model->parameters()[0].view(-1)[1] = std::nan("");
      const torch::AutoGradMode graph(true);
      try {
        backward(model->forward(at::ones({1, 4})).sum(), *model);
        ADD_FAILURE() << "no error";
      } catch (const c10::ValueError& error) {
        EXPECT_THAT(error.what(), HasSubstr("0: factor: every weight must be finite"));
      }
    });
}

TEST(ShardedLinear, RefusesWhatDoesNotFit) {
  const auto refusal = [](const std::function<void()>& work) -> std::string {
    try {
      work();
    } catch (const c10::Error& error) {
      return error.what_without_backtrace();
    }
    return "no error";
  };
  EXPECT_THAT(refusal([] {
                ShardedLinear(4, 2, Split::rows, Processes{0, 3});
              }),
              HasSubstr("at least one unit per process; got 2 for 3 processes"));
  EXPECT_THAT(refusal([] { ShardedLinear(4, 2, Split::columns, Processes{3, 3}); }), HasSubstr("got rank 3 of 3"));
  ShardedLinear layer(4, 2, Split::columns, Processes{0, 1});
  EXPECT_THAT(refusal([&] { layer->forward(at::ones({1, 3})); }), HasSubstr("x must be [..., 4]; got [1, 3]"));
  EXPECT_THAT(refusal([&] {
                layer->take(at::ones({4, 2}), at::ones({2}));
              }),
              HasSubstr("W must be [2, 4]; got [4, 2]"));
  EXPECT_THAT(refusal([&] { layer->take(at::ones({2, 4})); }), HasSubstr("b must be [out]"));
}

}  // namespace
}  // namespace grapes::nn
