// Networks in which some weights do not exist: fan-in, pruning, and growth by layers.
#include "grapes/credit/modulation.h"
#include "grapes/train/checkpoint.h"
#include "grapes/train/kit_test.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace grapes::train {
namespace {

nn::Options sparse(const std::string& fan_in, const std::string& model = "mlp:9,7") {
  nn::Options network;
  network.model = nn::parse_model(model);
  network.precision.dtype = at::kDouble;
  network.fan_in = nn::parse_fan_in(fan_in);
  return network;
}

std::map<std::string, at::Tensor> values(const std::vector<nn::Named>& all) {
  std::map<std::string, at::Tensor> by_name;
  for (const nn::Named& one : all) by_name[one.name] = one.value.detach().clone();
  return by_name;
}

/// Five steps with dropout, biases and weight decay. The third batch's gradient is added to the fourth's.
std::map<std::string, at::Tensor> after_steps(const nn::Options& network, const optim::Options& update, bool plain) {
  const bool pictures = has(nn::stages_of(network.model, {{2, 8, 8}, 3}), nn::Stage::Do::convolve);
  const std::vector<std::int64_t> shape = pictures ? std::vector<std::int64_t>{2, 8, 8} : std::vector<std::int64_t>{6};
  TrainState state(network, update, seeded(5), classes_of(shape, 3));
  state.model->prune();
  const auto before = values(state.model->parameters());
  std::vector<std::int64_t> sizes = shape;
  sizes.insert(sizes.begin(), 12);
  at::manual_seed(3);
  const data::Batch batch{at::randn(sizes, network.precision.dtype), at::arange(12, at::kLong).remainder(3)};
  for (std::int64_t i = 0; i < 5; ++i) {
    nn::Pass pass;
    pass.step = i;
    StepOptions options;
    options.rate = 0.05;
    options.plain = plain;
    options.update = i != 2;
    options.carried = i == 3;
    step(state, batch, pass, options);
  }
  const auto after = values(state.model->parameters());
  for (const auto& [name, mask] : values(state.model->buffers())) {
    if (!name.ends_with("weight_mask")) continue;
    const std::string weight = name.substr(0, name.size() - 5);
    const at::Tensor W = after.at(weight);
    const std::string what = update.optimizer + ", " + network.rule.modulation + ", " + weight;
    EXPECT_EQ(W.masked_select(mask == 0).abs().sum().item<double>(), 0) << what;
    EXPECT_GT((mask == 0).sum().item<std::int64_t>(), 0) << what;
    EXPECT_GT((W - before.at(weight)).norm().item<double>(), 1e-6) << what << ": the weights do not learn";
  }
  return after;
}

optim::Options decaying(const std::string& optimizer) {
  optim::Options update = update_by(optimizer, 0.05, 1e-2);
  update.weight_decay = 0.01;
  return update;
}

/// @param allowed  difference relative to the largest number of a tensor, or to 1 if it is below
void expect_near(const std::map<std::string, at::Tensor>& a, const std::map<std::string, at::Tensor>& b, double allowed,
                 const std::string& what) {
  for (const auto& [name, value] : a) {
    const double largest = std::max(1.0, value.abs().max().item<double>());
    EXPECT_LE((value - b.at(name)).abs().max().item<double>(), allowed * largest)
        << what << ", " << name << ", largest " << largest;
  }
}

TEST(Sparse, RemovedWeightsStayZeroUnderEveryUpdateRuleAndModulation) {
  for (const optim::Row& optimizer : optim::optimizers())
    for (const credit::Modulation& modulation : credit::modulations())
      for (const char* fan_in : {"3", "random:3", "hubs:2,6,0.3"}) {
        nn::Options network = sparse(fan_in);
        network.bias = true;
        network.dropout = 0.2;
        network.rule.modulation = modulation.name;
        network.rule.constants = {1.5};
        const auto fused = after_steps(network, decaying(optimizer.name), false);
        expect_near(fused, after_steps(network, decaying(optimizer.name), true), 1e-12,
                    optimizer.name + ", " + modulation.name + ", " + fan_in);
      }
}

TEST(Sparse, RemovedWeightsStayZeroOnEveryRouteAndFusedEqualsItsReference) {
  for (const credit::Route& route : credit::routes()) {
    if (route.local_in_time) continue;
    nn::Options network = sparse("3", "mlp:7,7");
    network.rule.route = route.name;
    network.rule.reduction = credit::Reduction::mean;
    const auto fused = after_steps(network, decaying("momentum"), false);
    expect_near(fused, after_steps(network, decaying("momentum"), true), 1e-12, route.name);
  }
}

TEST(Sparse, PrunedConvolutionsStayPruned) {
  for (const char* dtype : {"float32", "float64"})
    for (const char* optimizer : {"sgd", "adam", "nero"}) {
      nn::Options network;
      network.model = nn::parse_model("layers:conv16k3,max2,conv16k3s2,12");
      network.precision = nn::parse_precision(dtype);
      network.prune = 0.2;
      const auto fused = after_steps(network, decaying(optimizer), false);
      expect_near(fused, after_steps(network, decaying(optimizer), true),
                  dtype == std::string("float64") ? 1e-12 : 1e-3, std::string(optimizer) + ", " + dtype);
    }
}

using Matrix = std::vector<std::vector<double>>;

Matrix matrix_of(const at::Tensor& W) {
  Matrix rows;
  for (std::int64_t n = 0; n < W.size(0); ++n) {
    rows.emplace_back();
    for (std::int64_t i = 0; i < W.size(1); ++i) rows.back().push_back(W[n][i].item<double>());
  }
  return rows;
}

/// A network whose units have lists of inputs instead of a mask, with one hidden layer of rectifiers: the recursion of
/// GRAPES in loops over the weights that exist.
struct ByHand {
  Matrix W, V;  // hidden [unit, input], output [class, unit]
  std::vector<std::vector<std::size_t>> inputs;
  bool mean;

  std::vector<double> factors() const {
    std::vector<double> r;
    for (std::size_t n = 0; n < W.size(); ++n) {
      double sum = 0;
      for (const std::size_t i : inputs[n]) sum += std::abs(W[n][i]);
      r.push_back(mean ? sum / static_cast<double>(inputs[n].size()) : sum);
    }
    const double largest = *std::max_element(r.begin(), r.end());
    for (double& m : r) m = std::clamp(2 * m / largest, 1.0, 2.0);
    return r;
  }

  void step(const Matrix& x, double rate) {
    const std::vector<double> m = factors();
    const double count = static_cast<double>(x.size());
    Matrix dW(W.size(), std::vector<double>(W[0].size())), dV(V.size(), std::vector<double>(W.size()));
    for (std::size_t b = 0; b < x.size(); ++b) {
      std::vector<double> h, o;
      for (std::size_t n = 0; n < W.size(); ++n) {
        double z = 0;
        for (const std::size_t i : inputs[n]) z += W[n][i] * x[b][i];
        h.push_back(std::max(z, 0.0));
      }
      double total = 0;
      for (const auto& row : V) {
        double z = 0;
        for (std::size_t n = 0; n < h.size(); ++n) z += row[n] * h[n];
        o.push_back(std::exp(z));
        total += o.back();
      }
      std::vector<double> error(h.size());
      for (std::size_t c = 0; c < V.size(); ++c) {
        const double delta = (o[c] / total - (c == b % V.size() ? 1 : 0)) / count;
        for (std::size_t n = 0; n < h.size(); ++n) {
          dV[c][n] += delta * h[n];
          error[n] += V[c][n] * delta;
        }
      }
      for (std::size_t n = 0; n < h.size(); ++n)
        for (const std::size_t i : inputs[n]) dW[n][i] += h[n] > 0 ? m[n] * error[n] * x[b][i] : 0;
    }
    for (std::size_t n = 0; n < W.size(); ++n)
      for (const std::size_t i : inputs[n]) W[n][i] -= rate * dW[n][i];
    for (std::size_t c = 0; c < V.size(); ++c)
      for (std::size_t n = 0; n < W.size(); ++n) V[c][n] -= rate * dV[c][n];
  }
};

TEST(Sparse, EqualsTheRecursionOverTheWeightsThatExist) {
  for (const bool mean : {false, true}) {
    nn::Options network = sparse("hubs:2,6,0.3", "mlp:9");
    network.rule.modulation = "grapes";
    network.rule.reduction = mean ? credit::Reduction::mean : credit::Reduction::sum;
    TrainState state(network, update_by("sgd"), seeded(5), classes_of({6}, 3));
    const auto weight = [&](std::size_t i) { return state.model->parameters()[i].value.detach(); };
    ByHand hand{matrix_of(weight(0)), matrix_of(weight(1)), {}, mean};
    for (const auto& row : matrix_of(state.model->buffers()[0].value)) {
      hand.inputs.emplace_back();
      for (std::size_t i = 0; i < row.size(); ++i)
        if (row[i] == 1) hand.inputs.back().push_back(i);
    }
    const std::vector<double> m = hand.factors();
    EXPECT_LT(*std::min_element(m.begin(), m.end()), 1.9);
    for (int t = 0; t < 10; ++t) {
      at::manual_seed(t);
      const data::Batch batch{at::randn({12, 6}, at::kDouble), at::arange(12, at::kLong).remainder(3)};
      StepOptions options;
      options.rate = 0.2;
      nn::Pass pass;
      pass.step = t;  // factors are computed anew in every batch
      step(state, batch, pass, options);
      hand.step(matrix_of(batch.inputs), 0.2);
    }
    for (const auto& [now, expected] : {std::pair{matrix_of(weight(0)), hand.W}, {matrix_of(weight(1)), hand.V}})
      for (std::size_t n = 0; n < expected.size(); ++n)
        for (std::size_t i = 0; i < expected[n].size(); ++i) EXPECT_NEAR(now[n][i], expected[n][i], 1e-12);
  }
}

TEST(Sparse, TheMeanDoesNotDependOnTheNumberOfWeightsButTheSumDoes) {
  nn::Options network = sparse("hubs:8,64,0.1", "mlp:200");
  network.rule.modulation = "grapes";
  network.init = "he_uniform";
  const auto spread = [&](credit::Reduction reduction) {
    network.rule.reduction = reduction;
    const at::Tensor r = nn::make_network(network, {{500}, 10}, 3)->responsibilities()[0];
    return (r.std() / r.mean()).item<double>();
  };
  // A hub has 8 times as many weights, each smaller by √8: its sum is √8 times as large, its mean as much smaller.
  EXPECT_GT(spread(credit::Reduction::sum), 0.4);
  network.init = "ciresan";  // weights of one size
  EXPECT_GT(spread(credit::Reduction::sum), 1);
  EXPECT_LT(spread(credit::Reduction::mean), 0.25);
}

TEST(Prune, KeepsTheLargestWeightsOfEveryLayer) {
  nn::Options network = sparse("all", "mlp:20,10");
  network.prune = 0.1;
  const auto model = nn::make_network(network, {{30}, 4}, 3);
  const auto before = values(model->parameters());
  model->prune();
  for (const auto& [name, W] : values(model->parameters())) {
    const std::int64_t kept = (W != 0).sum().item<std::int64_t>();
    EXPECT_EQ(kept, W.numel() / 10) << name;
    const at::Tensor was = before.at(name);
    EXPECT_TRUE(at::equal(W.masked_select(W != 0), was.masked_select(W != 0))) << name;
    EXPECT_GT(W.abs().masked_select(W != 0).min().item<double>(), was.abs().masked_select(W == 0).max().item<double>());
  }
  const auto pruned = values(model->parameters());
  model->prune();
  expect_near(values(model->parameters()), pruned, 0, "pruned twice");
}

TEST(Prune, OfASparseNetworkRemovesNothingTwice) {
  nn::Options network = sparse("3", "mlp:20");
  network.prune = 0.05;
  const auto model = nn::make_network(network, {{30}, 4}, 3);
  const auto before = values(model->buffers());
  model->prune();
  const at::Tensor mask = values(model->buffers()).at("layers.0.weight_mask"), was = before.at("layers.0.weight_mask");
  EXPECT_EQ(mask.sum().item<double>(), 30) << "5 % of 600, of which 60 existed";
  EXPECT_TRUE((mask <= was).all().item<bool>());
}

TEST(Checkpoint, MasksAreKept) {
  nn::Options network = sparse("random:3");
  TrainState state(network, update_by("sgd"), seeded(5), classes_of({6}, 3));
  const Tensors content = pack_weights(*state.model);
  const auto other = nn::make_network(network, {{6}, 3}, 99);  // with masks of its own
  EXPECT_FALSE(at::equal(other->buffers()[0].value, state.model->buffers()[0].value));
  load_weights(content, *other, "a.safetensors");
  expect_near(values(other->buffers()), values(state.model->buffers()), 0, "masks");
  expect_near(values(other->parameters()), values(state.model->parameters()), 0, "weights");

  // The weights of a network without masks.
  nn::Options dense = sparse("all");
  const Tensors all = pack_weights(*nn::make_network(dense, {{6}, 3}, 4));
  load_weights(all, *other, "b.safetensors", false);
  const at::Tensor W = other->parameters()[0].value.detach();
  EXPECT_EQ(W.masked_select(other->buffers()[0].value == 0).abs().sum().item<double>(), 0);

  const auto whole = nn::make_network(dense, {{6}, 3}, 4);
  EXPECT_THAT([&] { load_weights(content, *whole, "a.safetensors", false); },
              ::testing::ThrowsMessage<DataError>(::testing::HasSubstr("--from")));
}

TEST(Grown, KeepsTheFirstLayersAndTheOutputLayerOfTheSmallerNetwork) {
  nn::Options small = sparse("3", "mlp:9"), large = sparse("3", "mlp:9,9,9");
  small.bias = large.bias = true;
  small.rule.route = large.rule.route = "fa";
  const auto from = nn::make_network(small, {{6}, 3}, 1);
  for (const nn::Named& one : from->parameters()) {
    const at::NoGradGuard no_grad;
    if (one.name.ends_with("bias")) at::Tensor(one.value).fill_(0.5);
  }
  const auto into = nn::make_network(large, {{6}, 3}, 2), fresh = nn::make_network(large, {{6}, 3}, 2);
  load_weights(grown(pack_weights(*from), *into, "a.safetensors"), *into, "a.safetensors", false);
  const auto old = values(from->parameters()), now = values(into->parameters()), drawn = values(fresh->parameters());
  for (const char* kind : {"weight", "bias"}) {
    EXPECT_TRUE(at::equal(now.at(std::string("layers.0.") + kind), old.at(std::string("layers.0.") + kind)));
    EXPECT_TRUE(at::equal(now.at(std::string("layers.3.") + kind), old.at(std::string("layers.1.") + kind)));
    for (const char* layer : {"layers.1.", "layers.2."})
      EXPECT_TRUE(at::equal(now.at(layer + std::string(kind)), drawn.at(layer + std::string(kind)))) << layer;
  }
  EXPECT_TRUE(at::equal(values(into->buffers()).at("layers.0.weight_mask"),
                        values(from->buffers()).at("layers.0.weight_mask")));
  EXPECT_THAT([&] { grown(pack_weights(*into), *from, "a.safetensors"); },
              ::testing::ThrowsMessage<DataError>(::testing::HasSubstr("4 layers cannot grow to one with 2")));
}

}  // namespace
}  // namespace grapes::train
