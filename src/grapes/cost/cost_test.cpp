// Counts for a small network, worked out in the test; properties for all rules; and counts of products compared with
// those of one real training step by tensor operations, from the shapes that LibTorch's operations receive.
#include "grapes/cost/cost.h"

#include "grapes/base/error.h"
#include "grapes/credit/route.h"
#include "grapes/train/state.h"
#include "grapes/train/step.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <string_view>

namespace grapes::cost {
namespace {

struct Setting {
  std::string model = "mlp:3,2", route = "bp", modulation = "none", optimizer = "sgd", neuron = "snu";
  nn::Signature signature = {{4}, 2};
  std::int64_t batch = 5;
  bool recurrent = false, bias = false;
  credit::Responsibility responsibility = credit::Responsibility::by_route;
  int bits = -1;
};

nn::Options network_of(const Setting& setting) {
  nn::Options network;
  network.model = nn::parse_model(setting.model);
  network.precision.dtype = at::kDouble;
  network.bias = setting.bias;
  network.rule.route = setting.route;
  network.rule.modulation = setting.modulation;
  network.rule.constants = {1.5};
  network.rule.responsibility = setting.responsibility;
  network.rule.factor_bits = setting.bits;
  network.spiking.recurrent = setting.recurrent;
  network.spiking.neuron = setting.neuron;
  network.encoding.steps = 6;
  return network;
}

std::vector<LayerCost> counted(const Setting& setting) {
  const auto model = nn::make_network(network_of(setting), setting.signature, 1);
  Learning learning;
  learning.rule = model->rule();
  learning.optimizer = setting.optimizer;
  learning.batch = setting.batch;
  return cost_of(model->shapes(), learning);
}

double macs(const LayerCost& cost) {
  double sum = 0;
  for (const Work& work : cost.work) sum += work.macs;
  return sum;
}

// Number of multiply-accumulates so far, in this thread's step and its backward pass.
double multiplied = 0;

/// rows × inner × columns of a product, kernels × positions of a convolution.
std::unique_ptr<at::ObserverContext> watch(const at::RecordFunction& function) {
  const auto inputs = function.inputs();
  const auto tensor = [&](std::size_t i) { return inputs[i].toTensor(); };
  const auto product = [](const at::Tensor& a, const at::Tensor& b) {
    return static_cast<double>(a.numel()) * static_cast<double>(b.size(-1));
  };
  const std::string_view name = function.name();
  if (name == "aten::mm" || name == "aten::bmm") multiplied += product(tensor(0), tensor(1));
  if (name == "aten::addmm") multiplied += product(tensor(1), tensor(2));
  if (name == "aten::convolution_backward") {
    const at::Tensor error = tensor(0), W = tensor(2);
    const auto wanted = inputs[10].toBoolList();
    const double once =
        static_cast<double>(error.size(0)) * static_cast<double>(error[0][0].numel()) * static_cast<double>(W.numel());
    multiplied += once * ((wanted[0] ? 1 : 0) + (wanted[1] ? 1 : 0));
  }
  if (name == "aten::convolution") {
    const at::Tensor x = tensor(0), W = tensor(1);
    const auto stride = inputs[3].toIntVector(), padding = inputs[4].toIntVector();
    double places = 1;
    for (std::size_t axis = 0; axis < 2; ++axis) {
      const auto dim = static_cast<std::int64_t>(axis) + 2;
      places *= static_cast<double>((x.size(dim) + 2 * padding[axis] - W.size(dim)) / stride[axis] + 1);
    }
    multiplied += static_cast<double>(x.size(0)) * places * static_cast<double>(W.numel());
  }
  return nullptr;
}

/// Multiply-accumulates of one training step in LibTorch.
double measured(const Setting& setting) {
  optim::Options update;
  update.optimizer = setting.optimizer;
  const nn::Signature& signature = setting.signature;
  train::TrainState state(
      network_of(setting), update, {},
      {data::ProblemKind::classification, signature.input_shape, signature.outputs, {}, signature.sequence});
  at::manual_seed(2);
  std::vector<std::int64_t> shape = setting.signature.input_shape;
  shape.insert(shape.begin(), setting.batch);
  const data::Batch batch{at::rand(shape, at::kDouble),
                          at::arange(setting.batch, at::kLong).remainder(setting.signature.outputs)};
  train::StepOptions options;
  options.rate = 0.1;
  options.plain = true;
  multiplied = 0;
  const auto handle = at::addThreadLocalCallback(at::RecordFunctionCallback(watch).needsInputs(true));
  train::step(state, batch, {}, options);
  at::removeCallback(handle);
  return multiplied;
}

/// @param besides  what the program computes in addition to a chip
void expect_as_measured(const Setting& setting, double besides = 0) {
  EXPECT_EQ(macs(total(counted(setting))) + besides, measured(setting))
      << setting.model << ", " << setting.route << " × " << setting.modulation;
}

TEST(CostAgainstARun, CountsEqualThoseOfDenseLayersOnEveryRoute) {
  for (const char* route : {"bp", "fa", "dfa", "ifa", "sign-symmetric"})
    for (const char* modulation : {"none", "grapes"}) {
      Setting setting;
      setting.model = "mlp:7,6,3";
      setting.route = route;
      setting.modulation = modulation;
      setting.signature = {{9}, 4};
      for (const bool bias : {false, true}) {
        setting.bias = bias;
        expect_as_measured(setting);
      }
    }
}

TEST(CostAgainstARun, CountsEqualThoseOfConvolutionsOnEveryRoute) {
  for (const char* model : {"cnn:3,5", "lenet5", "resnet18-cifar"})
    for (const char* route : {"bp", "fa", "dfa", "ifa"}) {
      const bool small = std::string_view(model) != "resnet18-cifar";
      if (!small && std::string_view(route) != "bp") continue;
      Setting setting;
      setting.model = model;
      setting.route = route;
      setting.modulation = "grapes";
      setting.signature = {{1, small ? 28 : 8, small ? 28 : 8}, 10};
      setting.batch = 2;
      expect_as_measured(setting);
    }
}

TEST(CostAgainstARun, CountsEqualThoseOfSpikingLayers) {
  for (const char* route : {"bp", "fa", "dfa", "eprop", "eprop-symmetric"})
    for (const bool recurrent : {false, true}) {
      Setting setting;
      setting.model = "snn:5,4";
      setting.route = route;
      setting.modulation = "grapes";
      setting.recurrent = recurrent;
      setting.signature = {{1, 3, 3}, 4};
      expect_as_measured(setting);
    }
}

// 4 inputs, 3 and 2 hidden units, 2 outputs: W of 12, 6 and 4; batch 5.
TEST(Cost, BackpropagationEqualsCountsByHand) {
  const std::vector<LayerCost> layers = counted({});
  ASSERT_EQ(layers.size(), 3U);
  EXPECT_EQ(layers[1].name, "layers.1");
  EXPECT_EQ(layers[0][Phase::forward].macs, 60);
  EXPECT_EQ(layers[1][Phase::forward].macs, 30);
  EXPECT_EQ(layers[1][Phase::forward].comparisons, 10) << "ReLU";
  EXPECT_EQ(layers[2][Phase::forward].comparisons, 0) << "bare logits";
  EXPECT_EQ(layers[0][Phase::dgrad].macs, 0) << "the inputs need no error";
  EXPECT_EQ(layers[0][Phase::dgrad].multiplications, 15) << "slopes";
  EXPECT_EQ(layers[1][Phase::dgrad].macs, 30);
  EXPECT_EQ(layers[2][Phase::wgrad].macs, 20);
  EXPECT_EQ(layers[1][Phase::update].multiplications, 6);
  EXPECT_EQ(layers[1][Phase::update].additions, 6);
  EXPECT_EQ(layers[1][Phase::modulation].accesses.size(), 0U);
  // Forward: W and 15 inputs are read, 10 values written. Gradient: 15 inputs and 10 errors; 6 are written.
  EXPECT_EQ(layers[1][Phase::forward].read(), 21);
  EXPECT_EQ(layers[1][Phase::forward].written(), 10);
  EXPECT_EQ(layers[1][Phase::wgrad].read(), 25);
  EXPECT_EQ(layers[1][Phase::wgrad].written(), 6);
  EXPECT_EQ(layers[1][Phase::update].read(), 12);
  EXPECT_EQ(layers[1].up, 10);
  EXPECT_EQ(layers[2].up, 0);
  EXPECT_EQ(layers[1].error, 15) << "to the three nodes below";
  EXPECT_EQ(total(layers).state(), 0);
}

TEST(Cost, DirectFeedbackEqualsCountsByHand) {
  Setting setting;
  setting.route = "dfa";
  const std::vector<LayerCost> layers = counted(setting);
  EXPECT_EQ(layers[0][Phase::dgrad].macs, 30) << "5 examples, 3 nodes, 2 outputs";
  EXPECT_EQ(layers[1][Phase::dgrad].macs, 20);
  EXPECT_EQ(layers[2][Phase::dgrad].macs, 0);
  EXPECT_EQ(total(layers).feedback, 6 + 4);
  EXPECT_EQ(total(layers).error, 2 * 10) << "the outputs' error arrives at either";
  setting.route = "fa";
  EXPECT_EQ(total(counted(setting)).feedback, 6 + 4);
}

TEST(Cost, GrapesEqualsCountsByHand) {
  Setting setting;
  setting.modulation = "grapes";
  const std::vector<LayerCost> layers = counted(setting);
  const Work& work = layers[0][Phase::modulation];
  EXPECT_EQ(work.additions, 12) << "|w|";
  EXPECT_EQ(work.comparisons, 3 + 2 * 3) << "max r, and the clip from below and above";
  EXPECT_EQ(work.divisions, 1) << "gain / max r";
  EXPECT_EQ(work.multiplications, 3 + 5 * 3) << "times r, and the error";
  EXPECT_EQ(work.macs, 0);
  EXPECT_EQ(work.read(), 3 + 3) << "r, m";
  EXPECT_EQ(work.written(), 3 + 3);
  EXPECT_EQ(layers[0].factor_state, 6);
  EXPECT_EQ(total(layers).factors, 0) << "all of it is the layer's own";
  EXPECT_EQ(layers[2][Phase::modulation].accesses.size(), 0U) << "outputs are not modulated";

  setting.bits = 2;
  EXPECT_EQ(counted(setting)[0][Phase::modulation].divisions, 0);
  EXPECT_EQ(counted(setting)[0][Phase::modulation].comparisons, 3 + 3 * 3) << "three bits: of 1, 1/2 and 1/4";
  EXPECT_EQ(counted(setting)[0][Phase::modulation].multiplications, 15);
  setting.bits = 0;
  EXPECT_EQ(counted(setting)[0][Phase::modulation].multiplications, 0);
  EXPECT_EQ(counted(setting)[0][Phase::modulation].additions, 12 + 3 + 15) << "1 or 2: an addition";
}

TEST(Cost, AModulationAddsTheWorkOfItsRow) {
  Setting setting;
  const auto work = [&](const char* modulation) {
    setting.modulation = modulation;
    return counted(setting)[0][Phase::modulation];
  };
  const Work grapes = work("grapes"), power = work("power"), inverse = work("inverse"), uniform = work("uniform");
  EXPECT_EQ(power.comparisons, grapes.comparisons - 2 * 3) << "no clip";
  EXPECT_EQ(power.additions, grapes.additions + 3) << "the mean";
  EXPECT_EQ(power.multiplications, grapes.multiplications + 2 * 3) << "p log r, and the factor over the mean";
  EXPECT_EQ(power.divisions, grapes.divisions + 2 * 3 + 1) << "logarithm and exponential, and 1 / mean";
  EXPECT_EQ(inverse.comparisons, grapes.comparisons + 3) << "the minimum";
  EXPECT_EQ(inverse.additions, grapes.additions + 3);
  EXPECT_EQ(uniform.additions, grapes.additions + 3);
  EXPECT_EQ(uniform.read(), grapes.read() - 2) << "one factor instead of three";
}

TEST(Cost, FactorsOfOtherLayersWeightsAreSent) {
  Setting setting;
  setting.modulation = "grapes";
  setting.responsibility = credit::Responsibility::outgoing;
  std::vector<LayerCost> layers = counted(setting);
  EXPECT_EQ(layers[0].factors, 3);
  EXPECT_EQ(layers[0][Phase::modulation].additions, 6) << "the weights above";
  EXPECT_EQ(layers[1].factors, 2);

  // On dfa by default: of two hidden layers only the second one's own columns count.
  setting.responsibility = credit::Responsibility::by_route;
  setting.route = "dfa";
  layers = counted(setting);
  EXPECT_EQ(layers[0][Phase::modulation].accesses.size(), 0U);
  EXPECT_EQ(layers[1][Phase::modulation].additions, 6);
  EXPECT_EQ(layers[1][Phase::modulation].multiplications, 3 + 6) << "its gradient, of which there is less than inputs";
  EXPECT_EQ(layers[1].factors, 0) << "the layer above it is the output layer, which has no factors";
  setting.model = "mlp:3,2,2";
  EXPECT_EQ(counted(setting)[1].factors, 2);
}

TEST(Cost, FactorsOfEveryNthBatchCostOneNth) {
  Setting setting;
  setting.modulation = "grapes";
  const auto model = nn::make_network(network_of(setting), setting.signature, 1);
  Learning learning;
  learning.rule = model->rule();
  learning.rule.every = 4;
  learning.batch = 5;
  const Work work = cost_of(model->shapes(), learning)[0][Phase::modulation];
  EXPECT_EQ(work.additions, 3);
  EXPECT_EQ(work.multiplications, 0.75 + 15) << "the error is scaled in every batch";
}

TEST(Cost, ConvolutionsEqualCountsByHand) {
  Setting setting;
  setting.model = "cnn:2";
  setting.signature = {{1, 6, 6}, 3};
  setting.batch = 1;
  setting.modulation = "grapes";
  const std::vector<LayerCost> layers = counted(setting);
  EXPECT_EQ(layers[0][Phase::forward].macs, 18 * 36) << "two kernels of 9 at 36 places";
  EXPECT_EQ(layers[0][Phase::forward].comparisons, 72 + 72 - 18) << "ReLU and max pooling";
  EXPECT_EQ(layers[0][Phase::forward].written(), 72 + 18);
  EXPECT_EQ(layers[0][Phase::modulation].multiplications, 2 + 72) << "a channel is a node";
  EXPECT_EQ(layers[0].up, 18);
  EXPECT_EQ(layers[1][Phase::forward].macs, 18 * 3);
}

TEST(Cost, EveryErrorThatIsReadWasWritten) {
  // Also for pooled layers: the pooled error from above is distributed to all positions once, and read from there.
  Setting setting;
  setting.model = "cnn:2,3";
  setting.signature = {{1, 8, 8}, 3};
  setting.batch = 1;
  for (const char* route : {"bp", "fa", "dfa"}) {
    setting.route = route;
    const std::vector<LayerCost> layers = counted(setting);
    const auto sizes = [](const Work& work, const std::string& array, double Access::*way) {
      std::vector<double> all;
      for (const Access& access : work.accesses)
        if (access.array == array && access.*way > 0) all.push_back(access.*way);
      return all;
    };
    for (std::size_t l = 0; l + 1 < layers.size(); ++l) {
      const double places = layers[l][Phase::dgrad].multiplications;  // of φ', one per position
      EXPECT_EQ(sizes(layers[l][Phase::dgrad], "errors", &Access::written), std::vector{places}) << route << l;
      EXPECT_EQ(sizes(layers[l][Phase::wgrad], "errors", &Access::read), std::vector{places}) << route << l;
      if (route == std::string("dfa")) continue;
      EXPECT_EQ(sizes(layers[l][Phase::dgrad], "pooled errors", &Access::read),
                sizes(layers[l + 1][Phase::dgrad], "errors below", &Access::written))
          << route << l;
    }
  }
}

TEST(Cost, ASynapticCurrentDoublesTheMultiplications) {
  Setting setting;
  setting.model = "snn:5";
  const double plain = counted(setting)[0][Phase::forward].multiplications;
  setting.neuron = "cuba-lif";
  EXPECT_EQ(counted(setting)[0][Phase::forward].multiplications, 2 * plain);
}

TEST(Cost, CountsTheFeedbackWeightsOfTheModel) {
  for (const char* model : {"mlp:7,6,3", "lenet5", "snn:5,4"})
    for (const auto& route : credit::routes()) {
      const bool spikes = std::string_view(model) == "snn:5,4";
      if ((route.local_in_time && !spikes) || (route.name == "ifa" && spikes)) continue;
      Setting setting;
      setting.model = model;
      setting.route = route.name;
      setting.signature = {{1, 28, 28}, 10};
      double held = 0;
      const auto network = nn::make_network(network_of(setting), setting.signature, 1);
      for (const auto& tensors : {network->buffers(), network->parameters()})  // kolen-pollack learns them
        for (const nn::Named& tensor : tensors)
          if (tensor.name.ends_with(".feedback")) held += static_cast<double>(tensor.value.numel());
      EXPECT_EQ(total(counted(setting)).feedback, held) << model << ", " << route.name;
    }
}

TEST(Cost, CountsTheParametersOfTheModel) {
  for (const char* model : {"mlp:7,6,3", "lenet5", "resnet18-cifar", "snn:5,4"}) {
    Setting setting;
    setting.model = model;
    setting.bias = std::string_view(model) != "snn:5,4";
    setting.recurrent = true;
    setting.optimizer = "momentum";  // one word of state per parameter
    setting.signature = {{1, 28, 28}, 10};
    double held = 0;
    for (const nn::Named& parameter : nn::make_network(network_of(setting), setting.signature, 1)->parameters())
      held += static_cast<double>(parameter.value.numel());
    EXPECT_EQ(total(counted(setting)).optimizer_state, held) << model;
  }
}

TEST(Cost, CountsTheOptimizerStateOfACheckpoint) {
  const auto model = nn::make_network({}, {{4}, 2}, 1);
  double weights = 0;
  for (const nn::Named& parameter : model->parameters()) weights += static_cast<double>(parameter.value.numel());
  for (const auto& row : optim::optimizers()) {
    optim::Options options;
    options.optimizer = row.name;
    const auto optimizer = train::optimizer_of(options, *model);
    Learning learning;
    learning.rule = model->rule();
    learning.optimizer = row.name;
    double held = row.name == "nag"
                      ? weights
                      : 0;  // nag: during the look-ahead, the weights at rest, which are not in checkpoints
    for (const auto& state : optimizer->state())
      if (state.value.numel() > 1) held += static_cast<double>(state.value.numel());
    EXPECT_EQ(total(cost_of(model->shapes(), learning)).optimizer_state, held) << row.name;
  }
  Learning learning;
  learning.rule = model->rule();
  learning.optimizer = "adamw";
  EXPECT_THROW(cost_of(model->shapes(), learning), UsageError);
}

TEST(Cost, OnEveryRouteAModulationAddsNoProduct) {
  for (const auto& route : credit::routes())
    for (const auto& modulation : credit::modulations()) {
      if (route.local_in_time) continue;
      Setting setting;
      setting.model = "mlp:7,6,3";
      setting.route = route.name;
      const double plain = macs(total(counted(setting)));
      setting.modulation = modulation.name;
      if (!modulation.is_of_layer()) {
        EXPECT_THROW(counted(setting), UsageError) << "its cost is not modeled: " << modulation.name;
        continue;
      }
      const LayerCost cost = total(counted(setting));
      EXPECT_EQ(macs(cost), plain) << route.name << " × " << modulation.name;
      EXPECT_EQ(cost[Phase::modulation].multiplications > 0, modulation.name != "none")
          << route.name << " × " << modulation.name;
    }
}

}  // namespace
}  // namespace grapes::cost
