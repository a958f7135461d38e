// Graphs of other programs: their neurons compared with a simulation of NIR's equations, and graphs that are not
// supported.
#include "grapes/exchange/nets_test.h"
#include "grapes/exchange/nir.h"
#include "grapes/exchange/simulation_test.h"

namespace grapes::exchange {
namespace {

using testing::HasSubstr;

/// No v of these lies close to its threshold, where rounding would decide.
TEST(FromNir, NeuronsInSecondsOfOtherPrograms) {
  const auto all = [](double value) { return nir::Array{{2}, std::vector<double>{value, value * 1.25}}; };
  const auto same = [](double value) { return nir::Array{{2}, std::vector<double>{value, value}}; };
  const std::vector<nir::Node> nodes = {
      {"LIF",
       {{"tau", all(0.02)}, {"r", all(3)}, {"v_leak", same(0)}, {"v_threshold", all(0.3)}, {"v_reset", same(0)}},
       {}},
      {"LIF", {{"tau", all(0.005)}, {"r", same(1)}, {"v_leak", same(0)}, {"v_threshold", all(0.23)}}, {}},
      {"CubaLIF",
       {{"tau_syn", same(0.004)},
        {"tau_mem", all(0.01)},
        {"r", all(2)},
        {"v_leak", same(0)},
        {"v_threshold", all(0.3)},
        {"v_reset", same(0)},
        {"w_in", all(1.5)}},
       {}},
      {"IF", {{"r", all(40)}, {"v_threshold", all(0.3)}, {"v_reset", same(0)}}, {}},
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
      graph.nodes["back"] = {"Linear", {{"weight", {{2, 2}, std::vector<double>{0.5, -1, -1, 0}}}}, {}};
      graph.nodes["out"] = {"Output", {{"shape", nir::wholes({2})}}, {}};
      graph.edges = {{"in", "w"}, {"w", "0"}, {"0", "back"}, {"back", "0"}, {"0", "out"}};
      if (!node.type.ends_with("F")) {  // recurrent connections carry spikes only
        EXPECT_THROW(from_nir(graph, step, "x"), DataError);
        graph.nodes.erase("back");
        graph.edges = {{"in", "w"}, {"w", "0"}, {"0", "out"}};
      }
      const at::Tensor y = run(from_nir(graph, step, "x"), x).squeeze(1);
      const at::Tensor expected = Simulation(graph, step).run(x.squeeze(1));
      EXPECT_TRUE(torch::allclose(y, expected, 1e-9, 1e-9)) << step;
      EXPECT_GT(y.sum().item<double>(), 5);
    }
}

/// v_leak shifts everything: a neuron that rests at 2 and fires at 3 equals one that rests at 0 and fires at 1.
TEST(FromNir, AtRestElsewhere) {
  SpikingNet net = net_with({{}, {}});
  nir::Graph graph = to_nir(net, dt);
  for (auto& [field, array] : graph.nodes["neurons"].fields)
    if (field.starts_with("v_"))
      for (double& value : std::get<std::vector<double>>(array.values)) value += 2;
  EXPECT_THROW(from_nir(graph, dt, "x"), DataError);  // its metadata say that nobody else has been here
  graph.metadata.clear();
  const SpikingNet back = from_nir(graph, dt, "x");
  EXPECT_TRUE(torch::allclose(neurons_of(back).threshold, neurons_of(net).threshold, 1e-12, 1e-12));
}

TEST(FromNir, WhatAStepMakesOfACurrentGoesIntoTheConvolution) {
  SpikingNet net;
  net.input = {1, 4, 4};
  net.stages = {
      {"conv", Convolution{drawn({2, 1, 3, 3}, 1), drawn({2}, 2), {1, 1}, {1, 1}}},
      {"neurons", Neurons{torch::full({2, 4, 4}, 0.5, at::kDouble), torch::full({2, 4, 4}, 1.0, at::kDouble)}}};
  nir::Graph graph = to_nir(net, dt);
  graph.metadata.clear();
  auto& r = std::get<std::vector<double>>(graph.nodes["neurons"].fields["r"].values);
  for (std::size_t n = 0; n < r.size(); ++n) r[n] *= n < 16 ? 2 : 3;
  graph.nodes["conv"].fields["padding"] = nir::text("same");
  const SpikingNet back = from_nir(graph, dt, "x");
  const auto& conv = std::get<Convolution>(back.stages[0].what);
  const at::Tensor by = torch::tensor({2.0, 3.0}, at::kDouble);
  EXPECT_TRUE(torch::allclose(conv.weight, drawn({2, 1, 3, 3}, 1) * by.view({2, 1, 1, 1})));
  EXPECT_TRUE(torch::allclose(conv.bias, drawn({2}, 2) * by));
  EXPECT_EQ(conv.padding, (std::array<std::int64_t, 2>{1, 1}));
  r[3] = 77;
  EXPECT_THROW(from_nir(graph, dt, "x"), DataError);
}

/// A change to a valid graph of another program, and the expected message.
TEST(FromNir, WhatCannotBeImportedIsRefusedByNode) {
  struct Case {
    void (*how)(nir::Graph& graph);
    std::string said;
  };
  const auto fill = [](nir::Graph& g, const char* field, double value) {
    g.nodes["neurons"].fields[field] = {{7}, std::vector<double>(7, value)};
  };
  static const auto set = fill;
  const std::vector<Case> cases = {
      {[](nir::Graph& g) { set(g, "v_reset", 0.5); }, "usage: x.nir: node 'neurons' (LIF): v_reset must equal v_leak"},
      {[](nir::Graph& g) { set(g, "tau", 1e-4); }, "usage: x.nir: node 'neurons' (LIF): tau must be at least dt"},
      {[](nir::Graph& g) { set(g, "tau", -1); }, "data: x.nir: node 'neurons', tau: must be above 0; got -1"},
      {[](nir::Graph& g) {
         g.nodes["scale"] = {"Scale", {{"scale", {{7}, std::vector<double>(7, 2)}}}, {}};
         g.edges = {
             {"input", "first"}, {"first", "scale"}, {"scale", "neurons"}, {"neurons", "second"}, {"second", "output"}};
       },
       "data: x.nir: node 'scale' (Scale): this type of node cannot be imported"},
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
    nir::Graph graph = to_nir(net_with({torch::full({7}, 0.5, at::kDouble), {}}), dt);
    graph.metadata.clear();
    one.how(graph);
    EXPECT_THAT(refusal([&] { from_nir(graph, dt, "x.nir"); }), HasSubstr(one.said));
  }
}

TEST(FromNir, OneSynapseForAll) {
  nir::Graph graph = to_nir(net_with({{}, {}, 0.6}), dt);
  graph.metadata.clear();
  std::get<std::vector<double>>(graph.nodes["neurons"].fields["tau_syn"].values)[2] = 0.05;
  EXPECT_THAT(refusal([&] { from_nir(graph, dt, "x"); }),
              HasSubstr("node 'neurons' (CubaLIF): tau_syn must be the same for all neurons of a layer"));
}

}  // namespace
}  // namespace grapes::exchange
