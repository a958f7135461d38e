#include "grapes/nir/outline.h"

#include "grapes/nir/check.h"

#include <algorithm>
#include <map>

namespace grapes::nir {
namespace {

std::string shape_or_unknown(const std::optional<Shape>& shape) { return shape ? shape_text(*shape) : "?"; }

}  // namespace

std::vector<Row> outline(const Graph& graph) {
  const std::map<std::string, Ends> ends = shapes(graph);
  std::map<std::string, std::vector<std::string>> next;
  for (const auto& [from, to] : graph.edges) next[from].push_back(to);
  std::vector<std::string> order;
  const auto add = [&](const std::string& name) {
    if (std::ranges::find(order, name) == order.end()) order.push_back(name);
  };
  for (const auto& [name, node] : graph.nodes)
    if (node.type == "Input") add(name);
  for (std::size_t i = 0; i < order.size(); ++i)
    for (const std::string& to : next[order[i]])
      if (graph.nodes.contains(to)) add(to);
  for (const auto& [name, node] : graph.nodes) add(name);
  std::vector<Row> rows;
  for (const std::string& name : order) {
    const Node& node = graph.nodes.at(name);
    Row row{name, node.type, "?", "?", next[name]};
    if (const auto here = ends.find(name); here != ends.end()) {
      row.in = shape_or_unknown(here->second.in);
      row.out = shape_or_unknown(here->second.out);
    }
    for (const auto& [field, array] : node.fields)
      if (!array.is_text() && !array.is_whole()) row.numbers += count(array.shape);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace grapes::nir
