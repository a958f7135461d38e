#include "grapes/train/sharing.h"

#include "grapes/base/error.h"
#include "grapes/credit/backward.h"
#include "grapes/dist/dist_test.h"
#include "grapes/nn/sharded_linear.h"
#include "grapes/train/checkpoint.h"
#include "grapes/train/kit_test.h"
#include "grapes/train/trainer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/sgd.h>

#include <limits>
#include <map>

namespace grapes::train {
namespace {

using ::testing::HasSubstr;

/// A training whose result is compared for several numbers of processes. The number of examples leaves a remainder.
struct Work {
  std::string data = "digits", model = "mlp:20,12", rule = "grapes", route = "bp", optimizer = "sgd";
  double dropout = 0;
  bool augment = false, recompute = false;
  nn::Norm norm = nn::Norm::none;
  std::int64_t examples = 147, batch = 24;
};

const data::Splits& splits_of(const Work& work) {
  static std::map<std::string, data::Splits> held;
  const std::string key = work.data + std::to_string(work.examples) + (work.augment ? "augmented" : "");
  if (held.count(key) == 0) {
    data::Options options;
    options.data = work.data;
    options.train_limit = work.examples;
    options.validation_split = 20;
    options.test_limit = 30;
    if (work.augment) options.augment.rotate = 10;
    held[key] = data::open(options, 1);
  }
  return held[key];
}

struct Result {
  Tensors weights;
  std::vector<double> measures;
};

/// Trains for two epochs. @param group  null: in one process
Result trained(const Work& work, dist::Group* group, std::int64_t accumulate = 1) {
  const data::Splits& splits = splits_of(work);
  nn::Options network;
  network.model = nn::parse_model(work.model);
  network.rule.modulation = work.rule;
  network.rule.route = work.route;
  network.precision.dtype = at::kDouble;
  network.dropout = work.dropout;
  network.recompute = work.recompute;
  network.norm = work.norm;
  Options options = seeded(3);
  options.epochs = 2;
  options.batch_size = work.batch;
  options.accumulate = accumulate;
  options.check_every = 3;
  options.sync_batch_norm = true;
  TrainState state(network, update_by(work.optimizer, 0.05), options, splits.info);
  Result result;
  const auto keep = [&](const ProgressEvent& event) {
    if (event.finished == nullptr) return;
    for (const auto& [name, value] : event.finished->items())
      if (name.ends_with("loss") || name.ends_with("accuracy") || name.ends_with("likelihood"))
        result.measures.push_back(value.get<double>());
    for (const record::Json& layer : event.finished->at("layers"))
      if (layer.contains("gradient_norm")) result.measures.push_back(layer["gradient_norm"]);
  };
  EXPECT_EQ(train(state, splits, options, {}, keep, group).state, record::State::finished);
  result.weights = pack(state);
  return result;
}

double distance(const Result& a, const Result& b) {
  double most = 0;
  for (const auto& [name, tensor] : a.weights.tensors)
    most = std::max(most,
                    (tensor.to(at::kDouble) - b.weights.tensors.at(name).to(at::kDouble)).abs().max().item<double>());
  EXPECT_EQ(a.measures.size(), b.measures.size());
  for (std::size_t i = 0; i < a.measures.size(); ++i) most = std::max(most, std::abs(a.measures[i] - b.measures.at(i)));
  return most;
}

TEST(Sharing, AnyNumberOfProcessesAndPartsGivesTheResultOfOne) {
  const std::map<std::string, Work> works = {
      {"sgd", {}},
      {"adam, dropout, augmentation", {.optimizer = "adam", .dropout = 0.3, .augment = true}},
      {"nag, local", {.rule = "grapes-local", .optimizer = "nag"}},
      {"dfa", {.route = "dfa", .optimizer = "momentum"}},
      {"learned feedback", {.route = "kolen-pollack"}},
      {"ifa", {.route = "ifa"}},
      {"convolution", {.model = "cnn:4,6"}},
      {"recomputed convolution", {.model = "cnn:4,6", .recompute = true, .batch = 40}},
      {"spikes", {.model = "snn:16"}},
      {"fewer examples than processes", {.examples = 50, .batch = 14}},
  };
  for (const auto& [name, work] : works) {
    const Result one = trained(work, nullptr);
    EXPECT_LT(distance(one, trained(work, nullptr, 3)), 1e-12) << name << ", in 3 parts";
    for (const int world : {2, 4})
      dist::in_processes(world, [&, world = world](dist::Group& group) {
        EXPECT_LT(distance(one, trained(work, &group, world == 2 ? 2 : 1)), 1e-12) << name << ", " << world;
      });
  }
}

TEST(Sharing, SynchronizedBatchNormalizationGivesTheResultOfOneProcess) {
  for (const nn::Norm norm : {nn::Norm::batch, nn::Norm::tensor})
    for (const bool recompute : {false, true}) {
      const Work work = {.model = "cnn:4,6", .recompute = recompute, .norm = norm, .examples = 50, .batch = 14};
      const Result one = trained(work, nullptr);
      for (const int world : {2, 4})  // 4: the last batch has fewer examples than processes
        dist::in_processes(world, [&](dist::Group& group) { EXPECT_LT(distance(one, trained(work, &group)), 1e-12); });
    }
}

TEST(Sharing, SequencesAreWeightedByTheirTimeSteps) {
  data::DatasetInfo info{data::ProblemKind::prediction, {5}, 5, {}};
  info.sequence = true;
  at::manual_seed(1);
  const at::Tensor lengths = at::tensor({9, 3, 5, 7, 2, 4, 8, 6, 1, 3}, at::kLong);
  const at::Tensor bits = at::rand({48, 5}).gt(0.6).to(at::kByte);
  data::Splits splits;
  splits.info = info;
  splits.train = splits.train_plain = data::sequences(bits, bits, lengths, info);
  const auto weights_after = [&](dist::Group* group, std::int64_t accumulate) {
    nn::Options network;
    network.model = nn::parse_model("snn:8");
    network.precision.dtype = at::kDouble;
    Options options = seeded(3);
    options.epochs = 2;
    options.batch_size = 5;
    options.accumulate = accumulate;
    TrainState state(network, update_by("sgd", 0.5), options, info);
    train(state, splits, options, {}, {}, group);
    return state.model->parameters()[0].value.detach().clone();
  };
  const at::Tensor one = weights_after(nullptr, 1);
  EXPECT_LT((weights_after(nullptr, 2) - one).abs().max().item<double>(), 1e-12);
  dist::in_processes(
      3, [&](dist::Group& group) { EXPECT_LT((weights_after(&group, 1) - one).abs().max().item<double>(), 1e-12); });
}

TEST(Sharing, APartHasItsPlacesAndAnIdleOneHasNoWeight) {
  const at::Tensor batch = at::arange(10, 15, at::kLong);
  const Share second = share_of(batch, 1, 2);
  EXPECT_TRUE(second.examples.equal(at::tensor({12, 13, 14}, at::kLong)));
  EXPECT_EQ(second.first, 2);
  EXPECT_DOUBLE_EQ(second.weight, 0.6);
  double weight = 0;
  std::int64_t idle = 0;
  for (std::int64_t part = 0; part < 8; ++part) {
    const Share share = share_of(batch, part, 8);
    EXPECT_EQ(share.examples.size(0), 1);
    EXPECT_EQ(share.weight == 0, share.idle);
    weight += share.weight;
    idle += share.idle ? 1 : 0;
  }
  EXPECT_DOUBLE_EQ(weight, 1);
  EXPECT_EQ(idle, 3);
}

TEST(Sharing, WeightsThatDriftAreNamed) {
  dist::in_processes(3, [](dist::Group& group) {
    Kit kit({});
    Sharing sharing(*kit.model, &group, 1);
    sharing.check_weights(7);
    if (group.rank() == 1) {
      const at::NoGradGuard no_grad;
      at::Tensor W = kit.model->parameters()[0].value;
      W.view(-1)[5] *= 1 + 2e-7;
    }
    try {
      sharing.check_weights(8);
      ADD_FAILURE() << "the drift was not found";
    } catch (const RunError& error) {
      EXPECT_THAT(error.what(), HasSubstr("after step 8"));
      EXPECT_THAT(error.what(), HasSubstr("rank 1 of 3 on "));
      EXPECT_THAT(error.what(), ::testing::Not(HasSubstr("rank 2 of 3")));
    }
  });
}

TEST(Sharing, DivergenceInOneProcessEndsAllInTheSameState) {
  data::DatasetInfo info = classes_of({6}, 3);
  at::Tensor inputs = at::ones({8, 6});
  inputs[5] = std::numeric_limits<float>::quiet_NaN();
  data::Splits splits;
  splits.info = info;
  splits.shuffle = false;
  splits.train = splits.train_plain = data::memory(inputs, at::zeros({8}, at::kLong), info);
  dist::in_processes(2, [&](dist::Group& group) {
    Options options = seeded(1);
    options.batch_size = 8;
    TrainState state({}, update_by("sgd"), options, info);
    const Tensors before = pack_weights(*state.model);
    const record::Status status = train(state, splits, options, {}, {}, &group);
    EXPECT_EQ(status.state, record::State::diverged);
    EXPECT_THAT(status.message, HasSubstr("batch 1: the loss is nan"));
    for (const auto& [name, tensor] : pack_weights(*state.model).tensors)
      EXPECT_TRUE(tensor.equal(before.tensors.at(name))) << name;
  });
}

TEST(Sharing, TheStateOfRank0ReachesAllProcesses) {
  dist::in_processes(2, [](dist::Group& group) {
    Kit kit({}, "adam");
    if (group.first()) {
      for (std::int64_t step = 0; step < 3; ++step) kit.step(batch_of(4), step, 0.1);
      kit.progress.epoch = 2;
    }
    equalize(group, kit);
    EXPECT_EQ(kit.progress.epoch, 2);
    const Tensors mine = pack(kit);
    for (const auto& [name, tensor] : mine.tensors) {
      const at::Tensor theirs = tensor.clone();
      group.broadcast(theirs);
      EXPECT_TRUE(tensor.equal(theirs)) << name;
    }
    EXPECT_GT(mine.tensors.at("optimizer.mean.0").abs().max().item<double>(), 0);
  });
}

TEST(Sharing, ALayerThatIsDividedByGlooGivesTheResultOfOneProcess) {
  const auto trained_by = [](auto layer) {
    const at::Tensor x = at::arange(12, at::kDouble).view({2, 6}).sin();
    torch::nn::Sequential model(layer, torch::nn::Tanh(), torch::nn::Linear(5, 3));
    model->to(at::kDouble);
    {
      const at::NoGradGuard no_grad;
      model->parameters().at(2).copy_(at::arange(15, at::kDouble).view({3, 5}).cos());
      model->parameters().at(3).zero_();
    }
    torch::optim::SGD optimizer(model->parameters(), 0.5);
    const at::Tensor y = model->forward(x);
    backward(y.square().sum(), *model);
    optimizer.step();
    return model->parameters().at(0).detach();
  };
  const at::Tensor W = at::arange(30, at::kDouble).view({5, 6}).cos(), b = at::arange(5, at::kDouble);
  torch::nn::Linear whole(6, 5);
  whole->to(at::kDouble);
  {
    const at::NoGradGuard no_grad;
    whole->weight.copy_(W);
    whole->bias.copy_(b);
  }
  const at::Tensor expected = trained_by(whole);
  EXPECT_GT((expected - W).abs().max().item<double>(), 1e-3);
  for (const Split split : {Split::rows, Split::columns})
    for (const int world : {1, 2, 4})
      dist::in_processes(world, [&](dist::Group& group) {
        const Processes all{group.rank(), group.size(), [&](const at::Tensor& x) { group.sum(x); }};
        nn::ShardedLinear layer(6, 5, split, all);
        layer->to(at::kDouble);
        layer->take(W, b);
        const at::Tensor mine = trained_by(layer);
        const at::Tensor own = layer->shard().part(expected, split == Split::rows ? 0 : 1);
        EXPECT_LE((mine - own).abs().max().item<double>(), 1e-12);
      });
}

}  // namespace
}  // namespace grapes::train
