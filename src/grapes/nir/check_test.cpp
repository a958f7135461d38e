// Valid graphs, and each way to break one.
#include "grapes/nir/check.h"

#include "grapes/nir/nir_test.h"
#include "grapes/nir/types.h"

#include <gmock/gmock.h>

#include <cmath>

namespace grapes::nir {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> lines(const Graph& graph) {
  std::vector<std::string> all;
  for (const Fault& fault : check(graph)) all.push_back(fault.line());
  return all;
}

TEST(Check, ValidGraphsHaveNoFault) {
  EXPECT_THAT(lines(recurrent_graph()), ElementsAre());
  EXPECT_THAT(lines(convolutional_graph()), ElementsAre());
}

/// 6 rows padded by 1 on both sides give 8 - 3 + 1 = 6, and 5 columns 5 - 2 + 1 = 4; a pool halves both.
TEST(Check, ComputesShapesThroughConvolutions) {
  auto ends = shapes(convolutional_graph());
  EXPECT_EQ(ends.at("conv").out, (Shape{4, 6, 4}));
  EXPECT_EQ(ends.at("pool").in, (Shape{4, 6, 4}));
  EXPECT_EQ(ends.at("pool").out, (Shape{4, 3, 2}));
  EXPECT_EQ(ends.at("flat").out, (Shape{24}));
  Graph graph = convolutional_graph();
  graph.nodes["conv"].fields.erase("input_shape");  // then the input's shape decides
  graph.nodes["flat"].fields.erase("input_type");
  EXPECT_THAT(lines(graph), ElementsAre());
  EXPECT_EQ(shapes(graph).at("conv").out, (Shape{4, 6, 4}));
}

/// (7 + 2·2 - 2·(3 - 1) - 1) / 2 + 1 = 4 of 7 places, PyTorch's equation of a convolution.
TEST(Check, ComputesShapesWithStrideAndDilation) {
  const Node node = {"Conv1d",
                     {{"weight", floats({1, 1, 3}, {1, 1, 1})},
                      {"bias", floats({1}, {0})},
                      {"stride", whole(2)},
                      {"padding", whole(2)},
                      {"dilation", whole(2)},
                      {"groups", whole(1)}},
                     {}};
  EXPECT_EQ(type_of(node)->gives(node, {1, 7}).out, (Shape{1, 4}));
  EXPECT_THAT(type_of(node)->gives(node, {2, 7}).fault, HasSubstr("expects 1 channels"));
}

/// A change that breaks a graph, and the expected messages.
struct Break {
  const char* what;
  void (*how)(Graph& graph);
  std::vector<std::string> said;  ///< parts of lines that must occur
};

void PrintTo(const Break& one, std::ostream* out) { *out << one.what; }

class Broken : public testing::TestWithParam<Break> {};

TEST_P(Broken, EveryFaultIsReported) {
  Graph graph = recurrent_graph();
  GetParam().how(graph);
  const auto all = lines(graph);
  for (const std::string& said : GetParam().said) EXPECT_THAT(all, Contains(HasSubstr(said)));
  EXPECT_EQ(all.size(), GetParam().said.size()) << testing::PrintToString(all);
}

const Break breaks[] = {
    {"UnknownType",
     [](Graph& g) { g.nodes["lif"].type = "LIFF"; },
     {"node 'lif', type: unknown type 'LIFF' (did you mean 'LIF'?); available: Input, Output, Linear"}},
    {"Missing", [](Graph& g) { g.nodes["lif"].fields.erase("tau"); }, {"node 'lif', tau: is missing from this LIF"}},
    {"AnOldFileHasNoReset", [](Graph& g) { g.nodes["lif"].fields.erase("v_reset"); }, {}},
    {"Unknown",
     [](Graph& g) { g.nodes["lif"].fields["v_treshold"] = number(1); },
     {"node 'lif', v_treshold: is not a parameter of LIF (did you mean 'v_threshold'?)"}},
    {"SingleValue",
     [](Graph& g) { g.nodes["lif"].fields["v_leak"] = number(0); },
     {"v_leak: must have the shape of the population, one number per neuron; got a single value",
      "v_leak: must be [2], as tau is; got a single value"}},
    {"OtherShape",
     [](Graph& g) {
       g.nodes["lif"].fields["r"] = doubles({3}, {1, 1, 1});
     },
     {"node 'lif', r: must be [2], as tau is; got [3]"}},
    {"ZeroTau",
     [](Graph& g) {
       g.nodes["lif"].fields["tau"] = doubles({2}, {1, 0});
     },
     {"node 'lif', tau: must be above 0; got 0 (number 2 of 2)"}},
    {"NotFinite",
     [](Graph& g) {
       g.nodes["w"].fields["weight"] = floats({2, 3}, {1, 2, NAN, 4, 5, 6});
     },
     {"node 'w', weight: must be finite; got nan (number 3 of 6)"}},
    {"Text",
     [](Graph& g) { g.nodes["w"].fields["weight"] = text("heavy"); },
     {"node 'w', weight: must be numbers; got text"}},
    {"Axes",
     [](Graph& g) {
       g.nodes["w"].fields["weight"] = floats({6}, {1, 2, 3, 4, 5, 6});
     },
     {"node 'w', weight: must have 2 axes; got [6]"}},
    {"Fractions",
     [](Graph& g) { g.nodes["in"].fields["shape"] = doubles({1}, {3}); },
     {"node 'in', shape: must be whole numbers, one per axis; got [1] of fractions"}},
    {"ShapeOfNothing",
     [](Graph& g) { g.nodes["in"].fields["shape"] = wholes({0}); },
     {"node 'in', shape: must be at least 1; got 0"}},
    {"EdgeToNowhere",
     [](Graph& g) { g.edges.emplace_back("lif", "outt"); },
     {"the edge from 'lif' to 'outt' has an unknown node 'outt' (did you mean 'out'?)"}},
    {"EdgeTwice", [](Graph& g) { g.edges.push_back(g.edges[0]); }, {"edges: the edge from 'in' to 'w' is a duplicate"}},
    {"IntoInput",
     [](Graph& g) { g.edges.emplace_back("back", "in"); },
     {"leads into an Input", "expects [3], but 'back' outputs [2]"}},
    {"OutOfOutput", [](Graph& g) { g.edges.emplace_back("out", "back"); }, {"leads out of an Output"}},
    {"NoOutput",
     [](Graph& g) {
       g.nodes.erase("out");
       g.edges.pop_back();
     },
     {"nodes: there must be a node of type Output"}},
    {"Unreachable",
     [](Graph& g) {
       g.nodes["far"] = lif({2});
       g.edges.emplace_back("far", "out");
     },
     {"node 'far': no Input leads to it"}},
    {"LeadsNowhere",
     [](Graph& g) {
       g.nodes["far"] = lif({2});
       g.edges.emplace_back("w", "far");
     },
     {"node 'far': it leads to no Output"}},
    {"EdgeThatDoesNotFit",
     [](Graph& g) { g.nodes["out"].fields["shape"] = wholes({5}); },
     {"node 'out': expects [5], but 'lif' outputs [2]"}},
    {"InstantLoop",
     [](Graph& g) {
       g.edges.emplace_back("back", "again");
       g.edges.emplace_back("again", "back");
       g.nodes["again"] = g.nodes["back"];
     },
     {"a loop must contain a neuron or a Delay; got again -> back -> again"}},
    {"Version", [](Graph& g) { g.version = "2.0"; }, {"version: must be 0.x or 1.x; got '2.0'"}},
};

INSTANTIATE_TEST_SUITE_P(Check, Broken, testing::ValuesIn(breaks),
                         [](const testing::TestParamInfo<Break>& one) { return one.param.what; });

TEST(Check, ABiasOfAnotherShapeIsAFault) {
  Graph graph = convolutional_graph();
  graph.nodes["fc"].fields["bias"] = floats({2}, {0, 0});
  graph.nodes["conv"].fields["padding"] = text("sane");
  EXPECT_THAT(lines(graph), ElementsAre("node 'conv', padding: must be whole numbers, 'same' or 'valid'; got 'sane'",
                                        "node 'fc': bias must be [1], one number per row of weight; got [2]"));
}

/// For all rows: a type with a state has parameters per neuron, and every row has a summary.
TEST(Types, HaveParametersAndASummary) {
  for (const Type& type : types()) {
    EXPECT_FALSE(type.summary.empty()) << type.name;
    EXPECT_FALSE(type.parameters.empty()) << type.name;
    if (type.remembers) {
      EXPECT_EQ(type.parameters.front().kind, Parameter::Kind::population) << type.name;
    }
    EXPECT_EQ(type_of({type.name, {}, {}}), &type);
  }
}

}  // namespace
}  // namespace grapes::nir
