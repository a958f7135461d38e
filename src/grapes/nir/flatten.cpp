#include "grapes/nir/flatten.h"

#include <utility>
#include <vector>

namespace grapes::nir {

std::string take_in(Graph& outer, const std::string& name, const Graph& inner) {
  const auto is = [&](const std::string& node, const char* type) {
    const auto found = inner.nodes.find(node);
    return found != inner.nodes.end() && found->second.type == type;
  };
  const auto placed = [&](const std::string& node) { return name + "/" + node; };
  for (const auto& [node, value] : inner.nodes)
    if (!is(node, "Input") && !is(node, "Output")) outer.nodes[placed(node)] = value;
  std::vector<std::string> entries, exits;
  std::vector<std::pair<std::string, std::string>> edges;
  for (const auto& [from, to] : inner.edges) {
    if (is(from, "Input") && is(to, "Output"))
      return "connects its Input directly to its Output, which is not supported";
    if (is(from, "Input"))
      entries.push_back(placed(to));
    else if (is(to, "Output"))
      exits.push_back(placed(from));
    else
      edges.emplace_back(placed(from), placed(to));
  }
  for (const auto& [from, to] : outer.edges) {
    const std::vector<std::string> sources = from == name ? exits : std::vector{from};
    const std::vector<std::string> targets = to == name ? entries : std::vector{to};
    for (const std::string& source : sources)
      for (const std::string& target : targets) edges.emplace_back(source, target);
  }
  outer.edges = std::move(edges);
  return "";
}

}  // namespace grapes::nir
