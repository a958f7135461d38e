// Models as nets and back: a net computes what the model predicts, and what NIR cannot express is an error.
#include "grapes/exchange/spiking_model.h"

#include "grapes/base/error.h"
#include "grapes/exchange/nir.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <limits>

namespace grapes::exchange {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

nn::Options lif(const std::string& neuron = "lif") {
  nn::Options options;
  options.model = nn::parse_model("snn:8,6");
  options.precision.dtype = at::kDouble;
  options.spiking.neuron = neuron;
  options.spiking.threshold = 0.4;
  options.encoding.encoder = "direct";
  options.encoding.steps = 9;
  return options;
}

struct Made {
  nn::Options options;
  nn::Signature signature;
  std::unique_ptr<nn::Network> model;
};
/// Learned parameters are changed, each separately.
Made made(nn::Options options, nn::Signature signature = {{5}, 3}) {
  Made one{options, signature, nn::make_network(options, signature, 1)};
  auto generator = at::detail::createCPUGenerator(7);
  const at::NoGradGuard no_grad;
  for (const nn::Named& parameter : one.model->parameters())
    if (!parameter.name.ends_with("weight"))
      at::Tensor(parameter.value).add_(at::rand(parameter.value.sizes(), generator, parameter.value.options()) * 0.1);
  return one;
}

at::Tensor examples(const nn::Signature& signature) {
  auto generator = at::detail::createCPUGenerator(3);
  std::vector<std::int64_t> shape = {4};
  if (signature.sequence) shape.push_back(9);
  shape.insert(shape.end(), signature.input_shape.begin(), signature.input_shape.end());
  return at::rand(shape, generator, at::kDouble);
}

/// Input of the model's first layer, [time, batch, in].
at::Tensor shown(const Made& one, const at::Tensor& x) {
  return one.signature.sequence ? x.transpose(0, 1).contiguous() : x.expand({9, 4, 5}).contiguous();
}

SpikingNet exact(const Made& one) {
  std::vector<std::string> said;
  SpikingNet net = net_of(*one.model, one.options, one.signature, false, said);
  EXPECT_THAT(said, ElementsAre());
  return net;
}

std::vector<Made> models() {
  using Decay = nn::SnuOptions::Decay;
  std::vector<Made> all;
  for (const char* neuron : {"lif", "cuba-lif"})
    for (const bool recurrent : {false, true})
      for (const Decay decay : {Decay::fixed, Decay::per_layer, Decay::per_node}) {
        nn::Options options = lif(neuron);
        options.spiking.recurrent = recurrent;
        options.spiking.learn_decay = decay;
        all.push_back(made(options));
      }
  nn::Options fixed = lif("snu");
  fixed.spiking.membrane_activation = "identity";
  fixed.spiking.learn_threshold = false;
  fixed.precision.dtype = at::kFloat;
  all.push_back(made(fixed));
  nn::Options open = lif();
  open.spiking.reset = "none";
  all.push_back(made(open));
  open.spiking.readout = "max_membrane";
  all.push_back(made(open));
  nn::Options steps = lif();
  steps.bias = true;
  all.push_back(made(steps, {{5}, 3, true, true}));
  return all;
}

TEST(SpikingModel, TheExportedNetworkComputesTheSame) {
  for (const Made& one : models()) {
    const at::Tensor x = examples(one.signature).to(one.options.precision.dtype);
    const at::Tensor expected = one.model->forward(x, {}), y = run(exact(one), shown(one, x));
    const at::Tensor said = one.signature.each_step                         ? y.transpose(0, 1)
                            : one.options.spiking.readout == "max_membrane" ? y.amax(0)
                                                                            : y.mean(0);
    EXPECT_TRUE(at::allclose(said, expected, 1e-6, 1e-9)) << one.model->describe();
    EXPECT_GT(expected.abs().sum().item<double>(), 0);
  }
}

/// Through a NIR graph into a model with other weights.
TEST(SpikingModel, ExportingAndImportingGivesTheSameModel) {
  for (const Made& one : models()) {
    const SpikingNet net = from_nir(to_nir(exact(one), 1.0 / 3), 1, "x");
    const auto again = nn::make_network(one.options, one.signature, 2);
    fill(*again, one.options, net, "x");
    const auto first = one.model->parameters(), second = again->parameters();
    ASSERT_EQ(first.size(), second.size());
    for (std::size_t i = 0; i < first.size(); ++i)
      EXPECT_TRUE(at::equal(first[i].value, second[i].value)) << first[i].name << "\n" << one.model->describe();
  }
}

/// The same without metadata: options from the net alone.
TEST(SpikingModel, OptionsAreThoseOfTheNetwork) {
  for (const Made& one : models()) {
    nir::Graph graph = to_nir(exact(one), 1e-3);
    graph.metadata.clear();
    const SpikingNet net = from_nir(graph, 1e-3, "x");
    nn::Options asked;
    asked.encoding = one.options.encoding;
    asked.spiking.readout = one.options.spiking.readout;
    const nn::Options options = options_of(net, asked, "x");
    EXPECT_TRUE(options.model == one.options.model);
    EXPECT_EQ(to_string(options.precision), to_string(one.options.precision));
    EXPECT_EQ(options.spiking.recurrent, one.options.spiking.recurrent);
    EXPECT_EQ(options.spiking.reset, one.options.spiking.reset);
    EXPECT_EQ(options.spiking.neuron, one.options.spiking.neuron == "snu" ? "lif" : one.options.spiking.neuron);
    EXPECT_EQ(answers_each_step(net), one.signature.each_step);
    const auto again = nn::make_network(options, one.signature, 2);
    fill(*again, options, net, "x");
    const at::Tensor x = examples(one.signature).to(one.options.precision.dtype);
    EXPECT_TRUE(at::allclose(again->forward(x, {}), one.model->forward(x, {}), 1e-6, 1e-9)) << again->describe();
  }
}

/// A leaky integrator at the end becomes an output neuron whose threshold is never reached, and is exported unchanged.
TEST(SpikingModel, SupportsOutputsThatAreReadFromTheirMembrane) {
  nn::Options options = lif();
  options.spiking.readout = "last_membrane";
  Made one = made(options);
  {
    const at::NoGradGuard no_grad;
    for (const nn::Named& parameter : one.model->parameters())
      if (parameter.name == "layers.2.threshold") at::Tensor(parameter.value).fill_(std::numeric_limits<float>::max());
  }
  const SpikingNet net = exact(one);
  EXPECT_EQ(to_nir(net, 1e-3).nodes.at("neurons_2").type, "LI");
  const at::Tensor x = examples(one.signature), expected = one.model->forward(x, {});
  EXPECT_TRUE(at::allclose(run(net, shown(one, x))[8], expected, 1e-9, 1e-12));
  const auto again = nn::make_network(options, one.signature, 2);
  fill(*again, options_of(net, options, "x"), net, "x");
  EXPECT_TRUE(at::equal(again->forward(x, {}), expected));
}

std::string refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const UsageError& error) {
    return std::string("usage: ") + error.what();
  } catch (const DataError& error) {
    return std::string("data: ") + error.what();
  }
  return "nothing was refused";
}

struct Lacking {
  std::string reason, instead;
  nn::Options options;
};
std::vector<Lacking> lacking() {
  std::vector<Lacking> all;
  all.push_back({"a soft output (ssnu)", "the step", lif("ssnu")});
  all.back().options.spiking.membrane_activation = "identity";
  all.push_back({"a membrane activation relu or leaky_relu", "the identity", lif("snu")});
  all.push_back({"lateral inhibition (reset lateral)", "each neuron's own hard reset", lif()});
  all.back().options.spiking.reset = "lateral";
  all.push_back({"a soft reset (reset subtract)", "the hard reset", lif()});
  all.back().options.spiking.reset = "subtract";
  all.push_back(
      {"a readout of a membrane that its spikes reset (readout integrated_membrane)", "one without spikes", lif()});
  all.back().options.spiking.readout = "integrated_membrane";
  return all;
}

TEST(SpikingModel, WhatNirLacksIsAnErrorOrReplaced) {
  for (const Lacking& one : lacking()) {
    Made made_one = made(one.options);
    std::vector<std::string> said;
    EXPECT_EQ(refusal([&] { net_of(*made_one.model, made_one.options, made_one.signature, false, said); }),
              "usage: approximate is needed, because NIR has no node for " + one.reason);
    const SpikingNet net = net_of(*made_one.model, made_one.options, made_one.signature, true, said);
    EXPECT_THAT(said, ElementsAre(one.reason + " was replaced by " + one.instead));
    // After the export, the network is the nearest model.
    std::vector<std::string> again;
    const nn::Options options = nearest(one.options, again);
    const auto model = nn::make_network(options, made_one.signature, 2);
    fill(*model, options, from_nir(to_nir(net, 1e-3), 1, "x"), "x");
    EXPECT_EQ(net_of(*model, options, made_one.signature, false, again).stages.size(), net.stages.size());
  }
}

TEST(SpikingModel, OtherModelsAreAnError) {
  nn::Options options;
  options.model = nn::parse_model("mlp:4");
  Made one = made(options);
  std::vector<std::string> said;
  EXPECT_THAT(refusal([&] { net_of(*one.model, options, one.signature, true, said); }),
              HasSubstr("usage: model 'mlp:4' has no spiking neurons"));
}

/// Nets of other programs: biases, constants of each neuron, a layer alone, convolutions, pools and delays.
TEST(SpikingModel, ConstantsOfEachNeuronAndConvolutionsBecomeModels) {
  const auto uniform = [](at::IntArrayRef shape, double low, double high, std::uint64_t seed) {
    auto generator = at::detail::createCPUGenerator(seed);
    return at::rand(shape, generator, at::kDouble) * (high - low) + low;
  };
  const auto neurons = [&](at::IntArrayRef shape) {
    Neurons all{uniform(shape, 0.5, 0.95, 1), uniform(shape, 0.3, 0.9, 2), uniform(shape, 0.1, 0.6, 3)};
    all.reset_value = uniform(shape, -0.3, 0.2, 4);
    return all;
  };
  Neurons recurrent = neurons({6});
  recurrent.recurrent = uniform({6, 6}, -1, 1, 5);
  const SpikingNet dense{{5},
                         {{"a", Linear{uniform({6, 5}, -1, 1, 6), uniform({6}, 0, 0.5, 7)}},
                          {"b", recurrent},
                          {"c", Delay{at::full({6}, 2, at::kLong)}},
                          {"d", Linear{uniform({3, 6}, -0.5, 1, 8)}},
                          {"e", neurons({3})}}};
  const SpikingNet alone{{5}, {{"a", Linear{uniform({3, 5}, -1, 1, 6)}}, {"b", neurons({3})}}};
  const SpikingNet maps{
      {2, 9, 9},
      {{"a", Convolution{uniform({4, 2, 3, 3}, -0.6, 1, 9), uniform({4}, 0, 0.1, 10), {2, 2}, {1, 1}}},
       {"b", neurons({4, 5, 5})},
       {"c", Pooling{false, {2, 2}, {2, 2}}},
       {"d", Convolution{uniform({4, 2, 3, 3}, -0.6, 1, 11), {}, {1, 1}, {2, 2}, {2, 2}, 2}},
       {"e", Pooling{true, {2, 2}, {2, 2}}},
       {"f", neurons({4, 1, 1})},
       {"g", Flatten{}},
       {"h", Linear{uniform({3, 4}, -0.5, 1.5, 12)}},
       {"i", neurons({3})}}};
  for (const auto& [net, model] :
       {std::pair{dense, "spiking:6,delay2"}, {alone, "spiking"}, {maps, "spiking:conv4s2,sum2,conv4p2d2g2-avg2"}}) {
    SCOPED_TRACE(model);
    nn::Options asked;
    asked.encoding = {"direct", 9};
    const nn::Options options = options_of(net, asked, "x.nir");
    EXPECT_EQ(nn::to_string(options.model), model);
    EXPECT_TRUE(options.spiking.own_constants);
    const nn::Signature signature{net.input, 3};
    const auto one = nn::make_network(options, signature, 1);
    fill(*one, options, net, "x.nir");
    std::vector<std::int64_t> shape = {4};
    shape.insert(shape.end(), net.input.begin(), net.input.end());
    const at::Tensor x = uniform(shape, 0, 1, 13);
    shape.insert(shape.begin(), 9);
    const at::Tensor expected = run(net, x.expand(shape).contiguous()).mean(0);
    EXPECT_GT(expected.mean().item<double>(), 0.05);
    EXPECT_TRUE(at::allclose(one->forward(x, {}), expected, 1e-9, 1e-9));
    // Out again, and in: the same model.
    std::vector<std::string> said_nothing;
    const SpikingNet out = net_of(*one, options, signature, false, said_nothing);
    const auto again = nn::make_network(options, signature, 2);
    fill(*again, options, from_nir(to_nir(out, 1e-3), 1, "x"), "x");
    EXPECT_TRUE(at::equal(again->forward(x, {}), one->forward(x, {})));
    // It learns: gradients reach the first weights, fused as in the reference.
    std::vector<at::Tensor> gradients;
    for (const bool plain : {false, true}) {
      nn::Pass pass;
      pass.training = true;
      pass.plain = plain;
      (one->forward(x, pass) * uniform({4, 3}, -1, 1, 14)).sum().backward();
      at::Tensor weight = one->parameters()[0].value;
      gradients.push_back(weight.grad().clone());
      for (const nn::Named& parameter : one->parameters()) at::Tensor(parameter.value).mutable_grad().reset();
    }
    EXPECT_GT(gradients[0].abs().sum().item<double>(), 0);
    EXPECT_TRUE(at::allclose(gradients[0], gradients[1], 1e-9, 1e-12));
  }
}

TEST(SpikingModel, UnsupportedNetworksAreErrorsThatNameTheNode) {
  const Made one = made(lif());
  const SpikingNet sound = exact(one);
  const auto said = [&](const std::function<void(SpikingNet&)>& how) {
    SpikingNet net = exact(one);
    how(net);
    return refusal([&] { options_of(net, {}, "x.nir"); });
  };
  const auto neurons = [](SpikingNet& net, std::size_t s) -> Neurons& { return std::get<Neurons>(net.stages[s].what); };
  EXPECT_EQ(said([](SpikingNet&) {}), "nothing was refused");
  EXPECT_THAT(said([](SpikingNet& net) { net.stages[2].what = Flatten{}; }),
              HasSubstr("data: x.nir: node 'neurons_1': neurons without weights before them"));
  EXPECT_THAT(said([](SpikingNet& net) {
                net.stages[2].what = Pooling{true, {2, 2}, {1, 1}};
              }),
              HasSubstr("node 'layer_1': pooling windows of a model of Grapes do not overlap"));
  EXPECT_THAT(said([](SpikingNet& net) {
                net.stages[2].what = Convolution{at::ones({2, 1, 3, 1}, at::kDouble)};
              }),
              HasSubstr("node 'layer_1': a model of Grapes needs a square kernel; got 3 × 1; grapes nir run computes"));
  EXPECT_THAT(said([](SpikingNet& net) { net.stages[2].what = Delay{at::arange(8)}; }),
              HasSubstr("node 'layer_1': all units of a layer must have the same delay"));
  EXPECT_THAT(said([](SpikingNet& net) { net.stages.erase(net.stages.begin() + 1); }),
              HasSubstr("node 'layer_1': two matrices without neurons between them"));
  EXPECT_THAT(said([](SpikingNet& net) { net.stages.erase(net.stages.begin()); }),
              HasSubstr("node 'neurons_0': neurons without weights before them"));
  EXPECT_THAT(said([&](SpikingNet& net) {
                neurons(net, 5).recurrent = at::ones({3, 3}, at::kDouble);
              }),
              HasSubstr("node 'neurons_2': recurrent connections between output neurons are not supported"));
  EXPECT_THAT(said([&](SpikingNet& net) { neurons(net, 1).spikes = false; }),
              HasSubstr("node 'neurons_0': a hidden layer must output spikes"));
  EXPECT_THAT(said([&](SpikingNet& net) { neurons(net, 3).reset = "none"; }),
              HasSubstr("node 'neurons_1': either all layers must reset or none"));
  // A file of Grapes, but of another model.
  nn::Options other = one.options;
  other.model = nn::parse_model("snn:8,7");
  const auto model = nn::make_network(other, one.signature, 1);
  EXPECT_THAT(refusal([&] { fill(*model, other, sound, "x.nir"); }),
              HasSubstr("data: x.nir: node 'neurons_1': weight must be that of the model, [7, 8]"));
  other = one.options;
  other.spiking.decay = 0.5;
  EXPECT_THAT(refusal([&] { fill(*nn::make_network(other, one.signature, 1), other, sound, "x.nir"); }),
              HasSubstr("node 'neurons_0': decay must be that of the model, 0.5"));
}

}  // namespace
}  // namespace grapes::exchange
