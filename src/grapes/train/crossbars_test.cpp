// Networks on crossbars. With an exact array they equal the ordinary network. Each part of the array that is real has a
// visible effect of its own.
#include "grapes/base/error.h"
#include "grapes/core/responsibility.h"
#include "grapes/nn/network.h"
#include "grapes/train/kit_test.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace grapes::train {
namespace {

nn::Options crossbar_network(const std::string& device, const std::string& real, const std::string& route = "bp") {
  nn::Options options;
  options.model = nn::parse_model("mlp:7,5");
  options.bias = true;
  options.analog.device = analog::parse_device(device);
  options.analog.real = analog::parse_operations(real);
  options.rule.route = route;
  options.rule.modulation = "grapes";
  return options;
}

void expect_close(const Kit& a, const Kit& b, double allowed, const std::string& what) {
  const auto left = a.model->parameters(), right = b.model->parameters();
  for (std::size_t i = 0; i < left.size(); ++i)
    EXPECT_LE((left[i].value - right[i].value).abs().max().item<double>(), allowed) << what << ": " << left[i].name;
}

TEST(Crossbars, WithoutRealOperationsEqualTheOrdinaryNetwork) {
  for (const std::string route : {"bp", "fa", "dfa", "sign-symmetric"})
    for (const std::string modulation : {"none", "grapes", "grapes-local"})
      for (const std::string rule : {"sgd", "momentum", "adam"}) {
        nn::Options array = crossbar_network("ideal", "none", route),
                    ordinary = crossbar_network("none", "none", route);
        array.rule.modulation = ordinary.rule.modulation = modulation;
        array.bias = ordinary.bias = rule == "sgd";
        // Another library of products rounds otherwise. The default epsilon would turn rounding errors of gradients
        // that are nearly 0 into steps of 0.1.
        const optim::Options update = update_by(rule, 0.1, 1e-2);
        Kit a(array, update), b(ordinary, update);
        for (int i = 0; i < 4; ++i) EXPECT_NEAR(a.step(batch_of(8), i, 0.1), b.step(batch_of(8), i, 0.1), 1e-5);
        expect_close(a, b, 1e-4, route + " " + modulation + " " + rule);
      }
}

TEST(Crossbars, PulsesEqualTheGradientStepOnAverage) {
  // One step of many pulses on a device without noise: the mean over arrays is the gradient step.
  const data::Batch batch = batch_of(4);
  nn::Options ordinary = crossbar_network("none", "none");
  Kit exact(ordinary);
  const at::Tensor before = exact.weight(0);
  exact.step(batch, 0, 0.02);
  const at::Tensor step = exact.weight(0) - before;
  const int times = 400;
  at::Tensor sum = at::zeros_like(step), squares = at::zeros_like(step);
  for (int i = 0; i < times; ++i) {
    nn::Options options = crossbar_network("constant-step:spread=0,noise=0,step=0.0002", "update");
    options.analog.read = analog::parse_converter("dac-bits=0,adc-bits=0,output-noise=0");
    Kit kit(options);
    const at::Tensor start = kit.weight(0);
    kit.step(batch, i, 0.02);
    const at::Tensor moved = kit.weight(0) - start;
    sum += moved, squares += moved.square();
  }
  const at::Tensor mean = sum / times, error = ((squares / times - mean.square()).clamp_min(0) / times).sqrt();
  // 42 means, each within 4.5 standard errors, or one pulse overall.
  EXPECT_TRUE(((mean - step).abs() <= error * 4.5 + 1e-6).all().item<bool>())
      << ((mean - step).abs() / (error + 1e-9)).max();
  EXPECT_GT(step.abs().max().item<double>(), 20 * error.max().item<double>());
}

TEST(Crossbars, EachRealOperationHasItsOwnEffect) {
  const data::Batch batch = batch_of(8);
  const auto logits = [&](const std::string& real) {
    Kit kit(crossbar_network("reram", real));
    return kit.model->forward(batch.inputs, {});
  };
  // Only a real forward read is noisy. Stream and step determine the noise.
  EXPECT_TRUE(at::equal(logits("none"), logits("backward,update")));
  EXPECT_FALSE(at::equal(logits("none"), logits("forward")));
  EXPECT_TRUE(at::equal(logits("forward"), logits("forward,backward,update")));
  // A real backward read changes what the lower layers learn, but not the output layer.
  Kit exact(crossbar_network("reram", "none")), back(crossbar_network("reram", "backward"));
  exact.step(batch, 0, 0.1), back.step(batch, 0, 0.1);
  EXPECT_FALSE(at::equal(exact.weight(0), back.weight(0)));
  EXPECT_TRUE(at::equal(exact.weight(4), back.weight(4)));
}

TEST(Crossbars, WritesUpdatesWithinTheRangeOfTheDevices) {
  nn::Options options = crossbar_network("ideal:low=-1,high=1", "forward,backward");
  options.analog.share = 0.9;
  Kit kit(options, "adam");
  const double most = kit.weight(0).abs().max().item<double>() / 0.9;
  for (int i = 0; i < 50; ++i) kit.step(batch_of(8), i, 0.1);
  kit.model->forward(batch_of(1).inputs, {});
  EXPECT_LE(kit.weight(0).abs().max().item<double>(), most * 1.0001);
  EXPECT_NEAR(kit.weight(0).abs().max().item<double>(), most, most * 1e-3);
}

TEST(Crossbars, FactorsReadTheWeightsInTheChosenWay) {
  nn::Options options = crossbar_network("soft-bounds", "forward,backward,update");
  options.analog.responsibility = analog::Sensing::exact;
  Kit exact(options);
  const at::Tensor W = exact.weight(0);
  exact.step(batch_of(4), 0, 0.01);
  EXPECT_TRUE(at::allclose(exact.model->factors()[0].error, factor(W), 1e-5, 1e-5));
  options.analog.responsibility = analog::Sensing::serial;
  Kit serial(options);
  serial.step(batch_of(4), 0, 0.01);
  EXPECT_FALSE(at::allclose(serial.model->factors()[0].error, factor(W), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(serial.model->factors()[0].error, factor(W), 0.2, 0.2));
}

TEST(Crossbars, FactorsReadTheArrayOnEveryRoute) {
  // Also for columns: outgoing weights, which direct feedback alignment uses.
  for (const auto& [route, which] :
       {std::pair("dfa", credit::Responsibility::by_route), std::pair("bp", credit::Responsibility::outgoing)}) {
    nn::Options options = crossbar_network("soft-bounds", "forward", route);
    options.rule.responsibility = which;
    options.analog.responsibility = analog::Sensing::exact;
    Kit exact(options), ordinary([&] {
      nn::Options plain = options;
      plain.analog.device.reset();
      return plain;
    }());
    options.analog.responsibility = analog::Sensing::serial;
    Kit serial(options);
    const auto all = [](Kit& kit) {
      kit.step(batch_of(4), 0, 0.01);
      std::vector<at::Tensor> factors;
      for (const credit::Factors& layer : kit.model->factors())
        for (const at::Tensor& m : {layer.error, layer.rows, layer.columns})
          if (m.defined()) factors.push_back(m.flatten());
      return at::cat(factors);
    };
    const at::Tensor right = all(ordinary);
    EXPECT_TRUE(at::allclose(all(exact), right, 0.05, 0.05)) << route;  // as far as each device's range allows
    EXPECT_FALSE(at::allclose(all(serial), all(exact), 1e-4, 1e-4)) << route;
    EXPECT_TRUE(at::allclose(all(serial), right, 0.3, 0.3)) << route;
  }
}

TEST(Crossbars, RealWritingIsNoisy) {
  const auto built = [](const std::string& real) { return Kit(crossbar_network("pcm:spread=0", real)).weight(0); };
  const at::Tensor exact = built("none"), noisy = built("write");
  EXPECT_FALSE(at::allclose(exact, noisy, 1e-3, 1e-3));
  EXPECT_TRUE(at::equal(noisy, built("write")));
  // The standard error of writing a device is (0.2635 + 1.965 g - 1.1731 g²) / 25 of the range, here at g up to 0.3.
  const double high = exact.abs().max().item<double>() / 0.3;
  EXPECT_LT((exact - noisy).abs().max().item<double>(), high * 5 * (0.2635 + 1.965 * 0.3) / 25);
  // An update rule's result is written in the same way, with new noise.
  Kit a(crossbar_network("pcm:spread=0", "write"), "adam"), b(crossbar_network("pcm:spread=0", "none"), "adam");
  for (Kit* kit : {&a, &b}) kit->step(batch_of(8), 0, 0), kit->step(batch_of(8), 1, 0);
  EXPECT_TRUE(at::equal(a.weight(0), noisy));  // a rate of 0 writes nothing
  EXPECT_TRUE(at::equal(b.weight(0), exact));
}

TEST(Crossbars, AllStateIsInBuffers) {
  // Copy parameters and buffers into a new network. It continues as the first one does.
  for (const std::string device : {"soft-bounds", "pcm", "reram", "constant-step"}) {
    Kit a(crossbar_network(device, "forward,backward,update")), b(crossbar_network(device, "forward,backward,update"));
    for (int i = 0; i < 3; ++i) a.step(batch_of(8), i, 0.05);
    const at::NoGradGuard no_grad;
    const auto copy = [](const std::vector<nn::Named>& from, const std::vector<nn::Named>& to) {
      for (std::size_t i = 0; i < from.size(); ++i) at::Tensor(to[i].value).copy_(from[i].value);
    };
    copy(a.model->parameters(), b.model->parameters());
    copy(a.model->buffers(), b.model->buffers());
    {
      const at::AutoGradMode grad(true);
      for (int i = 3; i < 6; ++i) a.step(batch_of(8), i, 0.05), b.step(batch_of(8), i, 0.05);
    }
    expect_close(a, b, 0, device);
  }
}

TEST(Crossbars, LearnEvenIfGradientNormsAreRequested) {
  Kit kit(crossbar_network("soft-bounds", "forward,backward,update"));
  const at::Tensor before = kit.weight(0);
  std::vector<double> norms = {1};
  kit.step(batch_of(8), 0, 0.1, &norms);
  EXPECT_TRUE(norms.empty());  // there are none
  EXPECT_FALSE(at::equal(kit.weight(0), before));
}

TEST(Crossbars, EvaluationReadsAfterTheGivenDrift) {
  // Devices without spread and noise lose the same fraction of their state, and so do the logits.
  nn::Options options = crossbar_network("pcm:spread=0,noise=0", "forward");
  options.model = nn::parse_model("linear");
  options.bias = false;
  options.analog.read = analog::parse_converter("dac-bits=0,adc-bits=0,output-noise=0");
  const at::Tensor x = batch_of(4).inputs;
  Kit now(options);
  options.analog.drift = 1000;
  Kit late(options);
  const double kept = std::pow(1000, -0.049);
  EXPECT_TRUE(at::allclose(late.model->forward(x, {}), now.model->forward(x, {}) * kept, 1e-4, 1e-6));
  options.analog.real = analog::parse_operations("none");  // weights outside devices do not drift
  EXPECT_TRUE(at::equal(Kit(options).model->forward(x, {}), x.mm(now.weight(0).t())));
  EXPECT_TRUE(at::equal(late.weight(0), now.weight(0)));                       // and the array itself stays
  EXPECT_EQ(late.step(batch_of(4), 0, 0.01), now.step(batch_of(4), 0, 0.01));  // training reads without drift
}

TEST(Crossbars, UnsupportedOptionsAreErrors) {
  const auto refused = [](nn::Options options, const std::string& words) {
    try {
      const Kit kit(options);
      ADD_FAILURE() << words;
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(words));
    }
  };
  refused(crossbar_network("reram", "none", "ifa"), "route ifa is not supported with analog crossbars");
  nn::Options options = crossbar_network("none", "none");
  options.analog.device = {"softbounds"};
  refused(options, "did you mean 'soft-bounds'");
  options.analog.device = {"reram", {{"low", 1}}};
  refused(options, "device 'reram': low must be a number from -inf to 0; got 1");
  options = crossbar_network("reram", "none");
  options.analog.read.adc_bits = 1;
  refused(options, "converter: adc_bits must be 2 to 24, or 0 for no rounding; got 1");
  options = crossbar_network("reram", "none");
  options.analog.pulses = 33;
  refused(options, "crossbar: pulses must be 1 to 32; got 33");
  options = crossbar_network("reram", "none");
  options.model = nn::parse_model("snn:5");
  options.bias = false;
  refused(options, "crossbars are only supported in the models linear and mlp");
  options = crossbar_network("reram", "none");
  options.precision = nn::parse_precision("weights=int8");
  refused(options, "simulated in float32 on the cpu");
  options = crossbar_network("reram", "update");
  options.bias = false;
  Kit(options).step(batch_of(4), 0, 0.1);
  Kit momentum(options, "momentum");
  EXPECT_THROW(momentum.step(batch_of(4), 0, 0.1), UsageError);
}

}  // namespace
}  // namespace grapes::train
