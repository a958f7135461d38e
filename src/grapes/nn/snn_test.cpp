// Spiking networks: properties of encoders, the fused model compared with its reference on every route and modulation,
// masks, and neurons with NIR's parameters compared with Euler's method.
#include "grapes/base/error.h"
#include "grapes/core/responsibility.h"
#include "grapes/credit/modulation.h"
#include "grapes/nn/lif.h"
#include "grapes/nn/loss.h"
#include "grapes/nn/network.h"
#include "grapes/nn/readout.h"
#include "grapes/nn/snu.h"

#include <gmock/gmock.h>
#include <torch/torch.h>

#include <map>
#include <string>

namespace grapes::nn {
namespace {

at::Tensor uniform(at::IntArrayRef shape, std::uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  return torch::rand(shape, generator, torch::kDouble);
}

TEST(Encoder, BernoulliHasTheGivenRate) {
  Encoding encoding;
  encoding.steps = 4000;
  const auto x = torch::tensor({{0.0, 0.25, 1.0, 1.5, -1.0}}, torch::kDouble);
  const auto spikes = encode(x, encoding, 7);
  EXPECT_TRUE(((spikes == 0) | (spikes == 1)).all().item<bool>());
  const auto rate = spikes.mean(0)[0];
  const double expected[] = {0, 0.075, 0.3, 0.3, 0};
  for (int i = 0; i < 5; ++i) {
    const double p = expected[i], deviation = std::sqrt(p * (1 - p) / 4000);
    EXPECT_NEAR(rate[i].item<double>(), p, 4 * deviation) << i;
  }
}

TEST(Encoder, BernoulliDependsOnlyOnSeedAndExample) {
  const auto x = uniform({3, 50}, 1);
  const auto first = encode(x, {}, 7);
  EXPECT_TRUE(torch::equal(first, encode(x, {}, 7)));
  EXPECT_FALSE(torch::equal(first, encode(x, {}, 8)));
  EXPECT_TRUE(torch::equal(first.narrow(1, 0, 2), encode(x.narrow(0, 0, 2), {}, 7)));
  EXPECT_TRUE(torch::equal(first.to(torch::kFloat), encode(x.to(torch::kFloat), {}, 7)));
  // Two equal examples get different spikes.
  const auto twice = encode(x.narrow(0, 0, 1).expand({2, 50}), {}, 7);
  EXPECT_FALSE(torch::equal(twice.select(1, 0), twice.select(1, 1)));
}

TEST(Encoder, SpikesDrawnOnceBelongToTheExampleForTheWholeRun) {
  Options options;
  options.model = parse_model("snn:5");
  const Signature signature{{50}, 3};
  const auto logits = [&](Encoding::Draws draws, std::int64_t step, const std::vector<std::int64_t>& examples) {
    options.encoding.draws = draws;
    const at::Tensor numbers = torch::tensor(examples), x = uniform({4, 50}, 1).index_select(0, numbers);
    Pass pass;
    pass.training = true;
    pass.step = step;
    pass.examples = numbers;
    return make_network(options, signature, 3)->forward(x, pass).detach();
  };
  using Draws = Encoding::Draws;
  const at::Tensor first = logits(Draws::once, 0, {0, 1, 2, 3});
  EXPECT_TRUE(torch::equal(logits(Draws::once, 9, {0, 1, 2, 3}), first));
  EXPECT_TRUE(torch::equal(logits(Draws::once, 9, {2, 0}), first.index_select(0, torch::tensor({2, 0}))));
  EXPECT_FALSE(torch::equal(logits(Draws::every_time, 9, {0, 1, 2, 3}), logits(Draws::every_time, 0, {0, 1, 2, 3})));
}

TEST(Encoder, LatencyGivesOneSpikeEarlierForLargerInputs) {
  Encoding encoding{"latency", 11, 1};
  const auto spikes = encode(torch::tensor({{1.0, 0.5, 0.01, 0.0}}, torch::kDouble), encoding, 0).select(1, 0);
  EXPECT_TRUE(torch::equal(spikes.sum(0), torch::tensor({1.0, 1.0, 1.0, 0.0}, torch::kDouble)));
  EXPECT_EQ(spikes.select(1, 0).argmax().item<int>(), 0);
  EXPECT_EQ(spikes.select(1, 1).argmax().item<int>(), 5);
  EXPECT_EQ(spikes.select(1, 2).argmax().item<int>(), 10);
}

Options spiking_options(const std::string& route, const std::string& modulation, const std::string& neuron,
                        bool recurrent) {
  Options options;
  options.model = parse_model("snn:13,11");
  options.precision.dtype = at::kDouble;
  options.rule.route = route;
  options.rule.modulation = modulation;
  options.spiking.neuron = neuron;
  options.spiking.recurrent = recurrent;
  options.spiking.learn_decay = SnuOptions::Decay::per_node;
  options.spiking.threshold = 0.6;
  options.encoding.steps = 6;
  return options;
}

std::vector<at::Tensor> gradients(const Options& options, const Signature& signature, const at::Tensor& x,
                                  const at::Tensor& present, const at::Tensor& error, bool plain) {
  const auto model = make_network(options, signature, 3);
  Pass pass;
  pass.training = true;
  pass.plain = plain;
  pass.present = present;
  const auto logits = model->forward(x, pass);
  (logits * error).sum().backward();
  model->mirror_gradients();
  std::vector<at::Tensor> all = {logits.detach()};
  for (const Named& parameter : model->parameters()) all.push_back(parameter.value.grad().clone());
  return all;
}

TEST(Snn, EqualsItsReferenceOnEveryRule) {
  const Signature picture{{20}, 4};
  const auto x = uniform({5, 20}, 1), error = uniform({5, 4}, 2);
  for (const auto& route : credit::routes()) {
    if (route.name == "ifa") continue;
    for (const auto& modulation : credit::modulations()) {
      if (modulation.whole != nullptr) continue;  // refused
      for (const std::string neuron : {"snu", "ssnu", "cuba-lif"})
        for (const bool recurrent : {false, true}) {
          SCOPED_TRACE(route.name + "+" + modulation.name + " " + neuron + (recurrent ? " recurrent" : ""));
          Options options = spiking_options(route.name, modulation.name, neuron, recurrent);
          options.rule.constants = {1.5};
          const auto fused = gradients(options, picture, x, {}, error, false);
          const auto plain = gradients(options, picture, x, {}, error, true);
          ASSERT_EQ(fused.size(), plain.size());
          for (std::size_t i = 0; i < fused.size(); ++i)
            EXPECT_TRUE(torch::allclose(fused[i], plain[i], 1e-10, 1e-12)) << i;
          EXPECT_GT(fused[1].abs().sum().item<double>(), 0);
        }
    }
  }
}

TEST(Snn, PaddingOfASequenceDoesNotCount) {
  for (const bool each_step : {false, true})
    for (const auto& readout : readouts()) {
      SCOPED_TRACE(readout.name + (each_step ? ", each step" : ""));
      Options options = spiking_options("bp", "grapes", "snu", true);
      options.spiking.readout = readout.name;
      const Signature signature{{20}, 4, true, each_step};
      const auto x = uniform({2, 6, 20}, 1).gt(0.5).to(torch::kDouble);
      auto present = torch::ones({2, 6}, torch::kBool);
      present[1].narrow(0, 4, 2).fill_(false);
      const auto model = make_network(options, signature, 3);
      Pass pass;
      pass.present = present;
      const auto together = model->forward(x, pass)[1];
      const auto other = x.clone();
      other[1].narrow(0, 4, 2).fill_(1);
      EXPECT_TRUE(torch::equal(together.narrow(0, 0, each_step ? 4 : 1),
                               model->forward(other, pass)[1].narrow(0, 0, each_step ? 4 : 1)));
      const auto alone = model->forward(x.narrow(0, 1, 1).narrow(1, 0, 4), Pass{})[0];
      EXPECT_TRUE(torch::allclose(each_step ? together.narrow(0, 0, 4) : together, alone, 1e-12, 1e-12));
    }
}

TEST(Snn, SequenceLossIsTheNegativeLogLikelihoodOfAStep) {
  const Criterion criterion("auto", "auto", TargetKind::bits);
  const auto logits = uniform({2, 3, 5}, 1), bits = uniform({2, 3, 5}, 2).gt(0.5).to(torch::kDouble);
  auto present = torch::ones({2, 3}, torch::kBool);
  present[1][2] = false;
  double sum = 0;
  for (int b = 0; b < 2; ++b)
    for (int t = 0; t < 3 - b; ++t)
      for (int k = 0; k < 5; ++k) {
        const double p = 1 / (1 + std::exp(-logits[b][t][k].item<double>()));
        sum -= std::log(bits[b][t][k].item<double>() > 0 ? p : 1 - p);
      }
  EXPECT_NEAR(criterion.loss(logits, bits, present).item<double>(), sum / 5, 1e-12);
}

TEST(Snn, ResponsibilitySumsInputAndRecurrentWeightsOrOnlyInputWeights) {
  for (const bool input : {false, true}) {
    Options options = spiking_options("bp", "grapes", "snu", true);
    if (input) options.rule.responsibility = credit::Responsibility::input;
    const auto model = make_network(options, {{20}, 4}, 3);
    Pass pass;
    pass.training = true;
    model->forward(uniform({5, 20}, 1), pass);
    std::map<std::string, at::Tensor> weights;
    for (const Named& one : model->parameters()) weights[one.name] = one.value;
    const at::Tensor W = weights.at("layers.0.weight"), R = weights.at("layers.0.recurrent");
    EXPECT_TRUE(at::equal(model->factors()[0].error, input ? factor(W) : factor(W, OptionalTensor(R))));
  }
}

TEST(Snn, ActivityCountsSilentAndSaturatedUnits) {
  Options options = spiking_options("bp", "none", "snu", false);
  options.encoding.encoder = "direct";
  options.spiking.threshold = 1e6;
  const auto model = make_network(options, {{20}, 4}, 3);
  EXPECT_TRUE(model->activity().empty());
  model->forward(uniform({5, 20}, 1), {});
  ASSERT_EQ(model->activity().size(), 3U);
  EXPECT_EQ(model->activity()[0].silent, 1);
  EXPECT_EQ(model->activity()[0].rate, 0);
}

TEST(Snn, UnsupportedOptionsAreErrors) {
  const auto refused = [](const Options& options, const Signature& signature, const std::string& words) {
    try {
      make_network(options, signature, 1);
      ADD_FAILURE() << "nothing said of " << words;
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(words));
    }
  };
  Options options = spiking_options("ifa", "none", "snu", false);
  refused(options, {{20}, 4}, "ifa");
  options = spiking_options("eprop", "none", "snu", false);
  options.model = parse_model("mlp:10");
  refused(options, {{20}, 4}, "eprop");
  refused(Options{}, {{20}, 4, true}, "sequences");
  options = spiking_options("bp", "none", "snu", false);
  options.dropout = 0.5;
  refused(options, {{20}, 4}, "dropout");
}

/// NIR's equations by Euler's method, in loops.
TEST(Lif, EqualsEulersMethodWithNirsParameters) {
  const CubaLif cuba{0.004, 0.02, 3.0, 0.5, 1.5, 0.5, 0.7};
  const double dt = 0.001, weight = 4.0;
  const auto spikes = uniform({200, 1, 1}, 3).gt(0.6).to(torch::kDouble);
  const AsSnu as = as_snu(cuba, dt);
  Snu layer(1, 1, as.options, plain());
  layer->to(torch::kDouble);
  {
    const torch::NoGradGuard no_grad;
    layer->weight.fill_(weight * as.scale);
    layer->decay.fill_(as.options.decay());
    layer->threshold.fill_(as.options.threshold());  // the module draws in float32 first
  }
  const SnuTrace trace = layer->run(spikes);
  double v = cuba.v_leak, current = 0, fired = 0;
  for (int t = 0; t < 200; ++t) {
    current += dt / cuba.tau_syn * (-current + cuba.w_in * weight * spikes[t].item<double>());
    v += dt / cuba.tau_mem * (cuba.v_leak - v + cuba.r * current);
    EXPECT_NEAR(trace.membrane[t].item<double>(), v - cuba.v_leak, 1e-12) << t;
    const double out = v > cuba.v_threshold ? 1 : 0;
    EXPECT_EQ(trace.output[t].item<double>(), out) << t;
    fired += out;
    if (out > 0) v = cuba.v_reset;
  }
  EXPECT_GT(fired, 3);
  EXPECT_EQ(as_snu(Lif{0.02, 1, 0.25, 1, -1}, dt).options.reset_value(), -1.25);
  EXPECT_EQ(as_snu(Lif{0.02}, 0.05, Integrator::exact).options.decay(), std::exp(-2.5));
  EXPECT_THROW(as_snu(Lif{0.0005}, dt), UsageError);
}

}  // namespace
}  // namespace grapes::nn
