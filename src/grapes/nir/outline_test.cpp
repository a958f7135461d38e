#include "grapes/nir/outline.h"

#include "grapes/nir/nir_test.h"

#include <gmock/gmock.h>

namespace grapes::nir {
namespace {

using testing::ElementsAre;
using testing::Field;

TEST(Outline, ListsNodesFromTheInputOnAndUnreachableOnesLast) {
  Graph graph = recurrent_graph();
  graph.nodes["alone"] = lif({2});
  graph.edges.emplace_back("lif", "nowhere");
  const std::vector<Row> rows = outline(graph);
  EXPECT_THAT(rows, ElementsAre(Field(&Row::name, "in"), Field(&Row::name, "w"), Field(&Row::name, "lif"),
                                Field(&Row::name, "back"), Field(&Row::name, "out"), Field(&Row::name, "alone")));
  EXPECT_EQ(rows[1].in, "[3]");
  EXPECT_EQ(rows[1].out, "[2]");
  EXPECT_EQ(rows[1].numbers, 6);
  EXPECT_EQ(rows[0].numbers, 0) << "a shape is not a learned parameter";
  EXPECT_THAT(rows[2].to, ElementsAre("back", "out", "nowhere"));
}

TEST(Outline, AnUnknownShapeIsAQuestionMark) {
  Graph graph = recurrent_graph();
  graph.nodes["w"].fields.clear();
  EXPECT_EQ(outline(graph)[1].in, "?");
}

}  // namespace
}  // namespace grapes::nir
