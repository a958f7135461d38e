// Graphs of other programs: their neurons compared with a simulation of NIR's equations, and graphs that are not
// supported.
#include "grapes/exchange/nets_test.h"
#include "grapes/exchange/nir.h"
#include "grapes/exchange/simulation_test.h"

namespace grapes::exchange {
namespace {

using testing::HasSubstr;

/// No v of these lies close to its threshold, where rounding would decide.
TEST(FromNir, ConvertsTimeConstantsInSeconds) {
  const auto all = [](double value) { return nir::Array{{2}, std::vector<double>{value, value * 1.25}}; };
  const auto same = [](double value) { return nir::Array{{2}, std::vector<double>{value, value}}; };
  const std::vector<nir::Node> nodes = {
      {"LIF",
       {{"tau", all(0.02)}, {"r", all(3)}, {"v_leak", same(0)}, {"v_threshold", all(0.3)}, {"v_reset", same(0)}},
       {}},
      {"LIF", {{"tau", all(0.005)}, {"r", same(1)}, {"v_leak", same(0)}, {"v_threshold", all(0.23)}}, {}},
      {"CubaLIF",
       {{"tau_syn", all(0.004)},
        {"tau_mem", all(0.01)},
        {"r", all(2)},
        {"v_leak", same(0)},
        {"v_threshold", all(0.3)},
        {"v_reset", same(0)},
        {"w_in", all(1.5)}},
       {}},
      {"IF", {{"r", all(40)}, {"v_threshold", all(0.3)}, {"v_reset", same(0)}}, {}},
      {"IF", {{"r", all(40)}, {"v_threshold", all(0.3)}, {"v_reset", all(-0.17)}}, {}},
      {"LIF",
       {{"tau", all(0.02)}, {"r", all(3)}, {"v_leak", all(0.23)}, {"v_threshold", all(0.37)}, {"v_reset", all(-0.11)}},
       {}},
      {"LIF", {{"tau", all(0.01)}, {"r", same(1)}, {"v_leak", same(1.23)}, {"v_threshold", same(1)}}, {}},
      {"LI", {{"tau", all(0.02)}, {"r", all(3)}, {"v_leak", same(0)}}, {}},
      {"I", {{"r", all(4)}}, {}},
  };
  const at::Tensor x = spikes({80, 1, 3}, 11);
  for (const nir::Node& node : nodes)
    for (const double step : {1e-3, 4e-3}) {
      SCOPED_TRACE(node.type);
      nir::Graph graph;
      graph.version = "0.2.0";
      graph.nodes["in"] = {"Input", {{"shape", nir::wholes({3})}}, {}};
      graph.nodes["w"] = {"Affine",
                          {{"weight", {{2, 3}, std::vector<double>{1.03, 0.51, 2.07, 0.77, 1.27, 0.53}}},
                           {"bias", {{2}, std::vector<double>{0.53, -0.27}}}},
                          {}};
      graph.nodes["0"] = node;
      graph.nodes["back"] = {"Affine",
                             {{"weight", {{2, 2}, std::vector<double>{0.5, -1, -1, 0}}},
                              {"bias", {{2}, std::vector<double>{0.13, -0.07}}}},
                             {}};
      graph.nodes["out"] = {"Output", {{"shape", nir::wholes({2})}}, {}};
      graph.edges = {{"in", "w"}, {"w", "0"}, {"0", "back"}, {"back", "0"}, {"0", "out"}};
      if (!node.type.ends_with("F")) {  // recurrent connections carry spikes only
        EXPECT_THROW(from_nir(graph, step, "x"), DataError);
        graph.nodes.erase("back");
        graph.edges = {{"in", "w"}, {"w", "0"}, {"0", "out"}};
      }
      const at::Tensor y = run(from_nir(graph, step, "x"), x).squeeze(1);
      const at::Tensor expected = Simulation(graph, step).run(x.squeeze(1));
      EXPECT_TRUE(at::allclose(y, expected, 1e-9, 1e-9)) << step;
      EXPECT_GT(y.sum().item<double>(), 5);
    }
}

/// With an exact integrator, a step of 4 ms gives what 40 steps of 0.1 ms give for a constant input.
TEST(FromNir, ExactStepsDoNotDependOnTheirLength) {
  nir::Graph graph;
  graph.nodes["in"] = {"Input", {{"shape", nir::wholes({1})}}, {}};
  graph.nodes["w"] = {"Linear", {{"weight", {{1, 1}, std::vector<double>{0.8}}}}, {}};
  graph.nodes["0"] = {"LI",
                      {{"tau", {{1}, std::vector<double>{0.007}}},
                       {"r", {{1}, std::vector<double>{1.5}}},
                       {"v_leak", {{1}, std::vector<double>{0}}}},
                      {}};
  graph.nodes["out"] = {"Output", {{"shape", nir::wholes({1})}}, {}};
  graph.edges = {{"in", "w"}, {"w", "0"}, {"0", "out"}};
  const Reading exact{nn::Integrator::exact};
  const at::Tensor coarse = run(from_nir(graph, 4e-3, "x", exact), at::ones({10, 1, 1}, at::kDouble)),
                   fine = run(from_nir(graph, 1e-4, "x", exact), at::ones({400, 1, 1}, at::kDouble));
  for (std::int64_t t = 0; t < 10; ++t) {
    EXPECT_NEAR(coarse[t].item<double>(), 1.2 * (1 - std::exp(-4e-3 * static_cast<double>(t + 1) / 0.007)), 1e-12);
    EXPECT_NEAR(coarse[t].item<double>(), fine[40 * t + 39].item<double>(), 1e-12);
  }
  EXPECT_NO_THROW(from_nir(graph, 0.1, "x", exact));  // longer than tau, which Euler steps cannot be
}

TEST(FromNir, ImportsScalesAndDelays) {
  nir::Graph graph = to_nir(net_with({at::full({7}, 0.5, at::kDouble), {}}), dt);
  graph.metadata.clear();
  const auto scale = [](std::int64_t n, double from) {
    std::vector<double> values;
    for (std::int64_t i = 0; i < n; ++i) values.push_back(from + 0.25 * static_cast<double>(i));
    return nir::Array{{n}, values};
  };
  graph.nodes["inputs"] = {"Scale", {{"scale", scale(5, 0.5)}}, {}};
  graph.nodes["currents"] = {"Scale", {{"scale", scale(7, -0.25)}}, {}};
  graph.nodes["spikes"] = {"Scale", {{"scale", scale(7, 1)}}, {}};
  graph.nodes["axons"] = {"Delay", {{"delay", {{7}, std::vector<double>{0, 1e-3, 2e-3, 0, 5e-3, 1e-3, 3e-3}}}}, {}};
  graph.edges = {{"input", "inputs"},  {"inputs", "first"}, {"first", "currents"}, {"currents", "neurons"},
                 {"neurons", "axons"}, {"axons", "spikes"}, {"spikes", "second"},  {"second", "output"}};
  const at::Tensor x = spikes({40, 1, 5}, 5);
  const SpikingNet net = from_nir(graph, dt, "x");
  EXPECT_TRUE(at::allclose(run(net, x).squeeze(1), Simulation(graph, dt).run(x.squeeze(1)), 1e-9, 1e-9));
  expect_same(from_nir(to_nir(net, dt), dt, "x"), net);
  EXPECT_THAT(refusal([&] { from_nir(graph, 0.75e-3, "x.nir"); }),
              HasSubstr("data: x.nir: node 'axons' (Delay): delays must be whole numbers of time steps"));
}

nir::Array copies(nir::Shape shape, double value) {
  return {shape, std::vector<double>(static_cast<std::size_t>(nir::count(shape)), value)};
}
nir::Node integrate_and_fire(const nir::Shape& shape) {
  return {"IF", {{"r", copies(shape, 1 / dt)}, {"v_threshold", copies(shape, 1)}, {"v_reset", copies(shape, 0)}}, {}};
}

/// A Scale between a pool and neurons belongs to the current of the neurons, not to the weights after them.
TEST(FromNir, AScaleBeforeNeuronsScalesTheirCurrent) {
  SpikingNet net;
  net.input = {1, 4, 4};
  net.stages = {{"conv", Convolution{drawn({2, 1, 3, 3}, 1).abs(), at::zeros({2}, at::kDouble), {1, 1}, {1, 1}}},
                {"pool", Pooling{true, {2, 2}, {2, 2}}},
                {"neurons", Neurons{at::full({2, 2, 2}, 1.0, at::kDouble), at::full({2, 2, 2}, 1.0, at::kDouble)}},
                {"flat", Flatten{}},
                {"out", Linear{drawn({3, 8}, 2)}}};
  nir::Graph graph = to_nir(net, dt);
  graph.metadata.clear();
  graph.nodes["scale"] = {"Scale", {{"scale", copies({2, 2, 2}, 0.125)}}, {}};
  for (auto& [from, to] : graph.edges)
    if (from == "pool") to = "scale";
  graph.edges.emplace_back("scale", "neurons");
  const at::Tensor x = spikes({40, 1, 1, 4, 4}, 5);
  const SpikingNet back = from_nir(graph, dt, "x");
  const at::Tensor y = run(back, x).squeeze(1);
  EXPECT_TRUE(at::allclose(y, Simulation(graph, dt).run(x.squeeze(1).flatten(1)), 1e-9, 1e-9));
  EXPECT_FALSE(at::allclose(y, run(net, x).squeeze(1), 1e-3, 1e-3)) << "the scale changes nothing";
}

TEST(FromNir, AScaleWithoutWeightsBeforeTheNeuronsIsAnError) {
  nir::Graph graph;
  graph.nodes = {{"in", {"Input", {{"shape", nir::wholes({1})}}, {}}},
                 {"scale", {"Scale", {{"scale", copies({1}, 0.25)}}, {}}},
                 {"neuron", integrate_and_fire({1})},
                 {"w", {"Linear", {{"weight", copies({1, 1}, 1)}}, {}}},
                 {"out", {"Output", {{"shape", nir::wholes({1})}}, {}}}};
  graph.edges = {{"in", "scale"}, {"scale", "neuron"}, {"neuron", "w"}, {"w", "out"}};
  EXPECT_THAT(
      refusal([&] { from_nir(graph, dt, "x.nir"); }),
      HasSubstr("data: x.nir: node 'scale' (Scale): its current is multiplied by 0.25, but no weights precede it"));
  graph.nodes["neuron"] = {"LI", {{"tau", copies({1}, 0.02)}, {"r", copies({1}, 1)}, {"v_leak", copies({1}, 0)}}, {}};
  graph.nodes["fires"] = {"Threshold", {{"threshold", copies({1}, 0.5)}}, {}};
  graph.edges = {{"in", "w"}, {"w", "neuron"}, {"neuron", "scale"}, {"scale", "fires"}, {"fires", "out"}};
  EXPECT_THAT(refusal([&] { from_nir(graph, dt, "x.nir"); }),
              HasSubstr("node 'scale' (Scale): is between neurons and their threshold"));
}

/// A Flatten of a vector and a delay of no steps change no number, so they are no layers of the network.
TEST(FromNir, NodesThatChangeNothingAreLeftOut) {
  nir::Graph graph = to_nir(net_with({at::full({7}, 0.5, at::kDouble), {}}), dt);
  graph.metadata.clear();
  const SpikingNet without = from_nir(graph, dt, "x");
  const auto flatten = [](std::int64_t size) {
    return nir::Node{"Flatten",
                     {{"start_dim", nir::whole(0)}, {"end_dim", nir::whole(-1)}, {"input_type", nir::wholes({size})}},
                     {}};
  };
  graph.nodes["hidden"] = flatten(7);
  graph.nodes["last"] = flatten(3);
  graph.nodes["delay"] = {"Delay", {{"delay", copies({3}, 0)}}, {}};
  graph.edges = {{"input", "first"},  {"first", "hidden"}, {"hidden", "neurons"}, {"neurons", "second"},
                 {"second", "delay"}, {"delay", "last"},   {"last", "output"}};
  expect_same(from_nir(graph, dt, "x"), without);
}

TEST(FromNir, MixedNumberFormatsBecomeTheWiderOne) {
  nir::Graph graph = to_nir(net_with({at::full({7}, 0.5, at::kDouble), {}}), dt);
  graph.metadata.clear();
  auto& weight = graph.nodes["first"].fields["weight"];
  const std::vector<double> wide = nir::numbers(weight);
  weight.values = std::vector<float>(wide.begin(), wide.end());
  const SpikingNet net = from_nir(graph, dt, "x");
  EXPECT_EQ(std::get<Linear>(net.stages[0].what).weight.scalar_type(), at::kDouble);
  const at::Tensor x = spikes({40, 1, 5}, 5);
  EXPECT_TRUE(at::allclose(run(net, x).squeeze(1), Simulation(graph, dt).run(x.squeeze(1)), 1e-6, 1e-6));
}

TEST(FromNir, ResetsBySubtractionOnRequest) {
  nir::Graph graph = to_nir(net_with({at::full({7}, 0.5, at::kDouble), {}}), dt);
  graph.metadata.clear();
  const SpikingNet net = from_nir(graph, dt, "x", {nn::Integrator::euler, "subtract"});
  EXPECT_EQ(neurons_of(net).reset, "subtract");
  const at::Tensor x = spikes({40, 2, 5}, 5);
  // v := v - θ at a spike, and then an Euler step, of which r = tau / dt makes v + the current - v dt / tau.
  const at::Tensor theta = at::linspace(0.4, 1.3, 7, at::kDouble), W = drawn({7, 5}, 1), out = drawn({3, 7}, 2),
                   bias = drawn({3}, 3);
  at::Tensor v = at::zeros({2, 7}, at::kDouble), z = v;
  double spiked = 0;
  for (std::int64_t t = 0; t < 40; ++t) {
    v = 0.5 * (v - theta * z) + at::linear(x[t], W);
    z = v.gt(theta).to(at::kDouble);
    spiked += z.sum().item<double>();
    EXPECT_TRUE(at::allclose(run(net, x)[t], at::linear(z, out, bias), 1e-9, 1e-9)) << t;
  }
  EXPECT_GT(spiked, 50);
  graph.nodes["neurons"].fields["v_reset"] = {{7}, std::vector<double>(7, 0.25)};
  EXPECT_THAT(refusal([&] {
                from_nir(graph, dt, "x", {nn::Integrator::euler, "subtract"});
              }),
              HasSubstr("needs v_reset = 0"));
  EXPECT_THAT(refusal([&] { to_nir(net, dt); }), HasSubstr("a reset that subtracts the threshold"));
}

/// v_leak shifts everything: a neuron that rests at 2 and fires at 3 equals one that rests at 0 and fires at 1.
TEST(FromNir, ImportsNeuronsWithAnotherRestingPotential) {
  SpikingNet net = net_with({{}, {}});
  nir::Graph graph = to_nir(net, dt);
  for (auto& [field, array] : graph.nodes["neurons"].fields)
    if (field.starts_with("v_"))
      for (double& value : std::get<std::vector<double>>(array.values)) value += 2;
  EXPECT_THROW(from_nir(graph, dt, "x"), DataError);  // its metadata claim that it is unchanged
  graph.metadata.clear();
  const SpikingNet back = from_nir(graph, dt, "x");
  EXPECT_TRUE(at::allclose(neurons_of(back).threshold, neurons_of(net).threshold, 1e-12, 1e-12));
}

TEST(FromNir, TheScaleOfACurrentBecomesPartOfTheConvolution) {
  SpikingNet net;
  net.input = {1, 4, 4};
  net.stages = {{"conv", Convolution{drawn({2, 1, 3, 3}, 1), drawn({2}, 2), {1, 1}, {1, 1}}},
                {"neurons", Neurons{at::full({2, 4, 4}, 0.5, at::kDouble), at::full({2, 4, 4}, 1.0, at::kDouble)}}};
  nir::Graph graph = to_nir(net, dt);
  graph.metadata.clear();
  auto& r = std::get<std::vector<double>>(graph.nodes["neurons"].fields["r"].values);
  for (std::size_t n = 0; n < r.size(); ++n) r[n] *= n < 16 ? 2 : 3;
  graph.nodes["conv"].fields["padding"] = nir::text("same");
  const SpikingNet back = from_nir(graph, dt, "x");
  const auto& conv = std::get<Convolution>(back.stages[0].what);
  const at::Tensor by = at::tensor({2.0, 3.0}, at::kDouble);
  EXPECT_TRUE(at::allclose(conv.weight, drawn({2, 1, 3, 3}, 1) * by.view({2, 1, 1, 1})));
  EXPECT_TRUE(at::allclose(conv.bias, drawn({2}, 2) * by));
  EXPECT_EQ(conv.padding, (std::array<std::int64_t, 2>{1, 1}));
  r[3] = 77;
  EXPECT_THROW(from_nir(graph, dt, "x"), DataError);
}

/// A change to a valid graph of another program, and the expected message.
TEST(FromNir, ErrorsNameTheNodeThatCannotBeImported) {
  struct Case {
    void (*how)(nir::Graph& graph);
    std::string said;
  };
  const auto fill = [](nir::Graph& g, const char* field, double value) {
    g.nodes["neurons"].fields[field] = {{7}, std::vector<double>(7, value)};
  };
  static const auto set = fill;
  const std::vector<Case> cases = {
      {[](nir::Graph& g) { set(g, "tau", 1e-4); }, "usage: x.nir: node 'neurons' (LIF): tau must be at least dt"},
      {[](nir::Graph& g) { set(g, "tau", -1); }, "data: x.nir: node 'neurons', tau: must be above 0; got -1"},
      {[](nir::Graph& g) {
         g.nodes["threshold"] = {"Threshold", {{"threshold", {{7}, std::vector<double>(7, 2)}}}, {}};
         g.edges = {{"input", "first"},
                    {"first", "threshold"},
                    {"threshold", "neurons"},
                    {"neurons", "second"},
                    {"second", "output"}};
       },
       "data: x.nir: node 'threshold' (Threshold): must follow a neuron that outputs its membrane"},
      {[](nir::Graph& g) {
         for (const char* name : {"a", "b"})
           g.nodes[name] = {"Scale", {{"scale", {{5}, std::vector<double>(5, 2)}}}, {}};
         g.edges = {{"input", "a"},        {"a", "b"},          {"b", "first"}, {"first", "neurons"},
                    {"neurons", "second"}, {"second", "output"}};
       },
       "data: x.nir: node 'b' (Scale): two of these nodes follow each other"},
      {[](nir::Graph& g) {
         g.nodes["other"] = g.nodes["first"];
         g.edges.emplace_back("input", "other");
         g.edges.emplace_back("other", "neurons");
       },
       "data: x.nir: node 'input' (Input): leads to first, other: only a chain can be imported"},
      {[](nir::Graph& g) { g.edges.emplace_back("neurons", "neurons"); },
       "node 'neurons' (LIF): adds the outputs of first, neurons: only a chain can be imported"},
      {[](nir::Graph& g) {
         for (const char* name : {"a", "b"}) {
           g.nodes[name] = {"Linear", {{"weight", {{7, 7}, std::vector<double>(49, 1)}}}, {}};
           g.edges.emplace_back("neurons", name);
           g.edges.emplace_back(name, "neurons");
         }
       },
       "node 'neurons' (LIF): has two recurrent connections: a, b"},
      {[](nir::Graph& g) {
         g.metadata["format"] = nir::text(nir_format);
         g.metadata["dt"] = nir::number(2 * dt);
       },
       "node 'neurons' (LIF): its parameters contradict its metadata"},
      {[](nir::Graph& g) { g.metadata["format"] = nir::text(nir_format); }, "x.nir: its metadata must contain dt"},
  };
  for (const Case& one : cases) {
    nir::Graph graph = to_nir(net_with({at::full({7}, 0.5, at::kDouble), {}}), dt);
    graph.metadata.clear();
    one.how(graph);
    EXPECT_THAT(refusal([&] { from_nir(graph, dt, "x.nir"); }), HasSubstr(one.said));
  }
}

}  // namespace
}  // namespace grapes::exchange
