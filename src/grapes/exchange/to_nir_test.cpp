// Networks as NIR graphs: parameters worked out in the test, spikes compared with a simulation of NIR's equations, and
// the way back.
#include "grapes/exchange/nets_test.h"
#include "grapes/exchange/nir.h"
#include "grapes/exchange/simulation_test.h"
#include "grapes/nir/check.h"
#include "grapes/nn/layers.h"
#include "grapes/nn/snu.h"

namespace grapes::exchange {
namespace {

using testing::HasSubstr;

TEST(ToNir, ParametersEqualValuesByHand) {
  SpikingNet net = net_with({at::full({7}, 0.8, at::kDouble), {}, at::full({7}, 0.5, at::kDouble)});
  nir::Graph graph = to_nir(net, dt);
  const nir::Node& cuba = graph.nodes.at("neurons");
  EXPECT_EQ(cuba.type, "CubaLIF");
  const auto first = [&](const char* field) { return nir::numbers(cuba.fields.at(field)).front(); };
  EXPECT_NEAR(first("tau_mem"), 0.005, 1e-12);  // 1 ms / (1 - 0.8)
  EXPECT_NEAR(first("r"), 5, 1e-9);
  EXPECT_NEAR(first("tau_syn"), 0.002, 1e-12);  // 1 ms / (1 - 0.5)
  EXPECT_NEAR(first("w_in"), 2, 1e-12);
  EXPECT_EQ(first("v_threshold"), 0.4);
  EXPECT_EQ(first("v_leak"), 0);
  EXPECT_EQ(first("v_reset"), 0);
  EXPECT_EQ(cuba.fields.at("r").shape, (nir::Shape{7}));
  EXPECT_EQ(graph.nodes.at("second").type, "Affine");
  EXPECT_EQ(graph.edges, (decltype(graph.edges){
                             {"input", "first"}, {"first", "neurons"}, {"neurons", "second"}, {"second", "output"}}));
  EXPECT_EQ(dt_of(graph, "x"), dt);
}

TEST(ToNir, EveryKindOfNeuronEqualsNirsEquations) {
  const at::Tensor x = spikes({60, 1, 5}, 9);
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.type);
    SpikingNet net = net_with(kind.neurons);
    const nir::Graph graph = to_nir(net, dt);
    EXPECT_EQ(graph.nodes.at("neurons").type, kind.type);
    EXPECT_TRUE(nir::check(graph).empty());
    const at::Tensor ours = run(net, x).squeeze(1), theirs = Simulation(graph, dt).run(x.squeeze(1));
    EXPECT_TRUE(at::allclose(ours, theirs, 1e-9, 1e-9)) << (ours - theirs).abs().max();
    net.stages.pop_back();  // spikes must be identical
    const at::Tensor y = run(net, x);
    if (kind.neurons.spikes) {
      EXPECT_TRUE(at::equal(y.squeeze(1), Simulation(to_nir(net, dt), dt).run(x.squeeze(1))));
      EXPECT_GT(y.sum().item<double>(), 20);
      EXPECT_LT(y.mean().item<double>(), 0.9);
    }
  }
}

TEST(ToNir, ExportingAndImportingIsTheSameBitForBit) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble})
    for (const Kind& kind : kinds()) {
      Neurons neurons = kind.neurons;
      for (at::Tensor* one : {&neurons.decay, &neurons.recurrent})
        if (one->defined()) *one = one->to(dtype);
      const SpikingNet net = net_with(neurons, dtype);
      for (const double step : {1e-3, 0.1, 1.0 / 3}) expect_same(from_nir(to_nir(net, step), 7, "x"), net);
    }
}

/// If all equations use old values, a CubaLIF's membrane receives a spike one step later, so all of its spikes are late
/// too.
TEST(ToNir, UsingThePreviousCurrentDelaysSpikesByOneStep) {
  SpikingNet net = net_with({{}, {}, at::full({7}, 0.6, at::kDouble)});
  net.stages.pop_back();
  const at::Tensor x = spikes({60, 1, 5}, 10);
  const nir::Graph graph = to_nir(net, dt);
  const at::Tensor ours = run(net, x).squeeze(1), late = Simulation(graph, dt, Current::late).run(x.squeeze(1));
  EXPECT_TRUE(at::equal(late.narrow(0, 1, 59), ours.narrow(0, 0, 59)));
  EXPECT_FALSE(at::equal(late, ours));
}

/// A convolution of spikes as built in C++: Conv2d, Neurons, a pool, Snu; each applied to all steps.
TEST(ToNir, SpikingConvolutionsComputeTheSame) {
  torch::manual_seed(5);
  nn::Conv2d convolution(torch::nn::Conv2dOptions(2, 4, {3, 2}).stride({1, 2}).padding({1, 0}).groups(2).bias(true));
  nn::SnuOptions options;
  options.rule().membrane_activation = "identity";
  options.decay(0.75);
  options.threshold(0.3);
  nn::Neurons neurons(4, options);
  nn::Snu output(24, 3, options, nn::plain());
  for (torch::nn::Module* module :
       {static_cast<torch::nn::Module*>(convolution.get()), static_cast<torch::nn::Module*>(neurons.get()),
        static_cast<torch::nn::Module*>(output.get())})
    module->to(at::kDouble);
  const at::NoGradGuard no_grad;
  output->weight.mul_(4);
  const at::Tensor x = spikes({30, 1, 2, 6, 9}, 12);
  at::Tensor y = convolution->forward(x.flatten(0, 1)).unflatten(0, {30, 1});
  ASSERT_EQ(y.sizes(), (at::IntArrayRef{30, 1, 4, 6, 4}));
  y = neurons->forward(y);
  y = at::avg_pool2d(y.flatten(0, 1), {2, 2}).unflatten(0, {30, 1});
  y = output->forward(y.flatten(2));
  ASSERT_GT(y.sum().item<double>(), 5);

  SpikingNet net;
  net.input = {2, 6, 9};
  const auto everywhere = [](const at::Tensor& per_channel) {
    return per_channel.view({-1, 1, 1}).expand({4, 6, 4}).contiguous();
  };
  net.stages = {
      {"conv", Convolution{convolution->weight.detach(), convolution->bias.detach(), {1, 2}, {1, 0}, {1, 1}, 2}},
      {"neurons", Neurons{everywhere(neurons->decay.detach()), everywhere(neurons->threshold.detach())}},
      {"pool", Pooling{true, {2, 2}, {2, 2}}},
      {"flat", Flatten{}},
      {"out", Linear{output->weight.detach()}},
      {"out_neurons", Neurons{output->decay.detach().expand({3}).contiguous(), output->threshold.detach()}}};
  EXPECT_TRUE(at::equal(run(net, x), y));
  const nir::Graph graph = to_nir(net, dt);
  EXPECT_TRUE(at::equal(Simulation(graph, dt).run(x.squeeze(1)), y.squeeze(1)));
  expect_same(from_nir(graph, dt, "x"), net);
  net.stages[2].what = Pooling{false, {2, 2}, {2, 2}};
  EXPECT_TRUE(at::equal(Simulation(to_nir(net, dt), dt).run(x.squeeze(1)), run(net, x).squeeze(1)));
}

TEST(ToNir, ErrorsNameTheLayerThatNirCannotExpress) {
  const auto said = [](Neurons neurons) { return refusal([&] { to_nir(net_with(std::move(neurons)), dt); }); };
  EXPECT_THAT(said({{}, {}, {}, {}, "hard", false}),
              HasSubstr("usage: layer 'neurons': outputs a membrane that its spikes reset"));
  EXPECT_THAT(said({at::linspace(0.5, 1, 7, at::kDouble), {}}),
              HasSubstr("layer 'neurons': neuron 6 has the decay 1, which has no time constant: it must be at least 0 "
                        "and below 1, or 1 in all neurons"));
  EXPECT_THAT(said({at::full({7}, -0.1, at::kDouble), {}}), HasSubstr("neuron 0 has the decay -0.1"));
  EXPECT_THAT(refusal([] { to_nir(net_with({{}, {}}), 0); }), HasSubstr("dt must be above 0 seconds; got 0"));
  SpikingNet net = net_with({{}, {}});
  std::get<Linear>(net.stages[0].what).weight[0][2] = NAN;
  EXPECT_THAT(refusal([&] { to_nir(net, dt); }), HasSubstr("node 'first', weight: must be finite; got nan"));
  net.stages.erase(net.stages.begin());
  EXPECT_THAT(refusal([&] { to_nir(net, dt); }), HasSubstr("layer 'neurons': expects [7], but 'input' outputs [5]"));
}

}  // namespace
}  // namespace grapes::exchange
