// Every kind of network on a device that is not a CPU: no tensor stays on the CPU, and it learns as on the CPU.
#include "grapes/testing/device.h"

#include "grapes/base/error.h"
#include "grapes/nn/activation.h"
#include "grapes/train/checkpoint.h"
#include "grapes/train/kit_test.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace grapes::train {
namespace {

struct DeviceCase {
  DeviceCase(nn::Options network, nn::Signature signature, std::string optimizer = "sgd")
      : network(std::move(network)), signature(std::move(signature)), optimizer(std::move(optimizer)) {}
  nn::Options network;
  nn::Signature signature;
  std::string optimizer;
  double rate = 0.1;
};
nn::Signature numbers() { return {{6}, 3}; }

nn::Options options(const std::string& model) {
  nn::Options network;
  network.model = nn::parse_model(model);
  network.precision.dtype = at::kDouble;
  network.rule.modulation = "grapes";
  network.rule.constants = {1.5};
  return network;
}

data::Batch batch_for(const nn::Signature& signature, bool bits) {
  at::manual_seed(3);
  std::vector<std::int64_t> shape = {4}, targets = {4};
  if (signature.sequence) shape.push_back(5);
  if (signature.each_step) targets.insert(targets.end(), {5, signature.outputs});
  shape.insert(shape.end(), signature.input_shape.begin(), signature.input_shape.end());
  data::Batch batch{bits ? at::rand(shape).gt(0.5).to(at::kFloat) : at::rand(shape),
                    signature.each_step ? at::rand(targets).gt(0.5).to(at::kFloat)
                                        : at::arange(4, at::kLong).remainder(signature.outputs)};
  if (signature.sequence) {
    batch.present = at::ones({4, 5}, at::kBool);
    batch.present[1].narrow(0, 3, 2).fill_(false);
  }
  return batch;
}

struct Learned {
  std::vector<nn::Named> parameters;
  at::Tensor logits, prediction;
  Tensors checkpoint;
};

/// Two steps, a checkpoint, and two more steps by a new network that loads it.
Learned learn(DeviceCase setting, const std::string& device) {
  setting.network.device = device;
  const nn::Signature& signature = setting.signature;
  const data::DatasetInfo info = {
      signature.each_step ? data::ProblemKind::prediction : data::ProblemKind::classification,
      signature.input_shape,
      signature.outputs,
      {},
      signature.sequence};
  const data::Batch batch = batch_for(signature, setting.network.model.name == "snn");
  Learned learned;
  for (int part = 0; part < 2; ++part) {
    TrainState state(setting.network, update_by(setting.optimizer, setting.rate, 1e-2), seeded(5), info);
    if (part > 0) unpack(learned.checkpoint, state, "memory");
    for (int i = 0; i < 2; ++i, ++state.progress.step) {
      nn::Pass pass;
      pass.step = state.progress.step;
      StepOptions options;
      options.rate = setting.rate;
      options.plain = true;  // the default on a device without kernels
      learned.logits = step(state, batch, pass, options).logits;
    }
    learned.checkpoint = pack(state);
    learned.parameters = state.model->parameters();
    const at::NoGradGuard no_grad;
    nn::Pass evaluation;
    evaluation.present = batch.present;
    learned.prediction = state.criterion.prediction(state.model->forward(batch.inputs, evaluation)).cpu();
  }
  return learned;
}

void expect_same(const DeviceCase& setting, const std::string& what) {
  SCOPED_TRACE(nn::to_string(setting.network.model) + ", " + what);
  const std::string device = testing::other_device();
  const long before = testing::operations_there();
  const Learned here = learn(setting, "cpu"), there = learn(setting, device);
  EXPECT_GT(testing::operations_there(), before + 20);
  // Sums of a layer that a kernel evaluates on the CPU run in another order on the device, and round to bfloat16.
  const nn::Precision& precision = setting.network.precision;
  const double allowed = precision.bf16 ? 2e-2 : precision.dtype == at::kDouble ? 1e-12 : 1e-6;
  const auto equal = [&](const at::Tensor& a, const at::Tensor& b) {
    return a.sizes() == b.sizes() &&
           (a - b).abs().max().item<double>() <= allowed * std::max(1.0, a.abs().max().item<double>());
  };
  for (std::size_t i = 0; i < here.parameters.size(); ++i) {
    EXPECT_EQ(there.parameters[i].value.device().str(), device) << there.parameters[i].name;
    EXPECT_TRUE(equal(here.parameters[i].value.detach(), there.parameters[i].value.detach().cpu()))
        << here.parameters[i].name;
  }
  EXPECT_TRUE(there.logits.is_cpu());
  EXPECT_TRUE(equal(here.logits, there.logits)) << (here.logits - there.logits).abs().max() << here.logits.abs().max();
  EXPECT_TRUE(equal(here.prediction, there.prediction));
  for (const auto& [name, tensor] : there.checkpoint.tensors) EXPECT_TRUE(tensor.is_cpu()) << name;
}

TEST(Device, DenseNetworksLearnTheSameOnAnotherDevice) {
  for (const auto& route : credit::routes())
    for (const auto& modulation : credit::modulations()) {
      if (route.local_in_time) continue;
      DeviceCase setting{options("mlp:7,7,5"), numbers()};
      setting.network.rule.route = route.name;
      setting.network.rule.modulation = modulation.name;
      setting.network.rule.constants = {1.5};
      setting.network.dropout = 0.3;
      setting.network.bias = true;
      expect_same(setting, route.name + ", " + modulation.name);
    }
  for (const auto& optimizer : optim::optimizers())
    expect_same({options("mlp:7,5"), numbers(), optimizer.name}, optimizer.name);
  DeviceCase rarely{options("mlp:7,5"), numbers()};  // the factors are stored in the checkpoint
  rarely.network.rule.every = 3;
  expect_same(rarely, "factors every third batch");
}

TEST(Device, LowerPrecisionsLearnTheSameOnAnotherDevice) {
  for (const char* precision : {"float32", "bf16"})
    for (DeviceCase setting : {DeviceCase{options("mlp:7,7,5"), numbers()}, {options("cnn:16,32"), {{3, 8, 8}, 3}}}) {
      setting.network.precision = nn::parse_precision(precision);
      setting.rate = 0.001;  // so that rounding differences, which depend on the processor, grow less
      expect_same(setting, precision);
    }
}

TEST(Device, ConvolutionalNetworksLearnTheSameOnAnotherDevice) {
  for (const char* route : {"bp", "fa", "dfa", "ifa", "sign-symmetric"})
    for (const nn::Norm norm : {nn::Norm::none, nn::Norm::batch, nn::Norm::tensor}) {
      DeviceCase setting{options("cnn:16,32"), {{3, 8, 8}, 3}};
      setting.network.rule.route = route;
      setting.network.norm = norm;
      setting.network.dropout = 0.2;
      setting.network.bias = true;
      expect_same(setting, route);
    }
  DeviceCase residual{options("resnet9"), {{1, 32, 32}, 3}};
  residual.network.norm = nn::Norm::batch;
  residual.network.rule.modulation = "grapes-local";  // it diverges at this rate otherwise
  expect_same(residual, "residual");
}

TEST(Device, SpikingNetworksLearnTheSameOnAnotherDevice) {
  for (const char* route : {"bp", "fa", "dfa", "eprop"})
    for (const nn::Signature& signature : {nn::Signature{{6}, 3}, {{6}, 3, true}, {{6}, 3, true, true}}) {
      DeviceCase setting{options("snn:7,5"), signature};
      setting.network.rule.route = route;
      setting.network.spiking.recurrent = true;
      setting.network.spiking.threshold = 0.5;
      setting.network.encoding.steps = 5;
      expect_same(setting, route);
    }
}

TEST(Device, TheSimulatedDeviceRejectsTensorsOfTheCpu) {
  const at::Tensor there = at::ones({3}, c10::Device(testing::other_device()));
  EXPECT_EQ((there + there).sum().item<double>(), 6);
  EXPECT_THROW(there + at::ones({3}), c10::Error);
}

TEST(Device, AMissingDeviceIsAnError) {
  nn::Options network = options("mlp:7");
  network.device = "cuda:7";
  try {
    nn::make_network(network, numbers(), 1);
    FAIL() << "no refusal";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("device cuda:7 is not available"), std::string::npos) << error.what();
  }
}

/// The same on a GPU, if there is one. Its sums run in another order.
TEST(Device, GpuLearnsWhatTheCpuLearns) {
  nn::Options network = options("cnn:16,32");
  network.device = "cuda";
  network.norm = nn::Norm::batch;
  try {
    nn::make_network(network, {{3, 8, 8}, 3}, 1);
  } catch (const UsageError& error) {
    GTEST_SKIP() << error.what();
  }
  for (const char* model : {"mlp:7,7,5", "cnn:16,32", "snn:7,5"})
    for (const char* route : {"bp", "fa", "dfa"}) {
      DeviceCase setting{options(model),
                         {model[0] == 'c' ? std::vector<std::int64_t>{3, 8, 8} : std::vector<std::int64_t>{6}, 3}};
      setting.network.rule.route = route;
      const Learned here = learn(setting, "cpu"), there = learn(setting, "cuda");
      for (std::size_t i = 0; i < here.parameters.size(); ++i)
        EXPECT_LE((here.parameters[i].value - there.parameters[i].value.cpu()).abs().max().item<double>(), 1e-9)
            << model << ", " << route << ", " << here.parameters[i].name;
    }
}

}  // namespace
}  // namespace grapes::train
