#include "grapes/nir/check.h"

#include "grapes/base/text.h"
#include "grapes/nir/types.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

namespace grapes::nir {
namespace {

using Faults = std::vector<Fault>;
using Kind = Parameter::Kind;

std::string place_of(std::size_t i, const Shape& shape) {
  return shape.empty() ? "" : fmt::format(" (number {} of {})", i + 1, count(shape));
}

/// Checks that numbers are finite and above the parameter's limit.
void check_range(const Parameter& parameter, const Array& array, const std::function<void(std::string)>& fault) {
  const std::vector<double> values = numbers(array);
  const bool whole = parameter.kind != Kind::population && parameter.kind != Kind::weights;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i]))
      return fault("must be finite; got " + shortest(values[i]) + place_of(i, array.shape));
    if (!(values[i] > parameter.above))
      return fault(
          (whole ? "must be at least " + shortest(parameter.above + 1) : "must be above " + shortest(parameter.above)) +
          "; got " + shortest(values[i]) + place_of(i, array.shape));
  }
}

void check_parameter(const Parameter& parameter, const Array& array, const std::function<void(std::string)>& fault) {
  const std::string got = shape_text(array.shape);
  if (parameter.kind == Kind::padding && array.is_text()) {
    if (const std::string word = text_of(array); word != "same" && word != "valid")
      fault("must be whole numbers, 'same' or 'valid'; got '" + word + "'");
    return;
  }
  if (array.is_text()) return fault("must be numbers; got text");
  if (count(array.shape) == 0) return fault("must contain numbers; got " + got);
  switch (parameter.kind) {
    case Kind::population:
      if (array.shape.empty())
        return fault("must have the shape of the population, one number per neuron; got a single value");
      break;
    case Kind::weights:
      if (array.shape.size() != static_cast<std::size_t>(parameter.axes))
        return fault(fmt::format("must have {} axes; got {}", parameter.axes, got));
      break;
    case Kind::shape:
      if (!array.is_whole() || array.shape.size() != 1 || array.shape[0] == 0)
        return fault("must be whole numbers, one per axis; got " + got + (array.is_whole() ? "" : " of fractions"));
      break;
    default:
      if (!array.is_whole() || (count(array.shape) != 1 && count(array.shape) != parameter.axes))
        return fault(fmt::format("must be {}; got {}{}",
                                 parameter.axes == 1 ? "a whole number" : "whole numbers, one or one per axis", got,
                                 array.is_whole() ? "" : " of fractions"));
  }
  check_range(parameter, array, fault);
}

/// Checks a node alone. @return whether its parameters are valid for the functions of its row
bool check_node(const std::string& name, const Node& node, Faults& faults) {
  const std::size_t before = faults.size();
  const Type* type = type_of(node);
  if (type == nullptr) {
    std::vector<std::string> names;
    for (const Type& row : types()) names.push_back(row.name);
    faults.push_back(
        {name, "type",
         "unknown type '" + node.type + "'" + did_you_mean(node.type, names) + "; available: " + join(names, ", ")});
    return false;
  }
  std::vector<std::string> known;
  std::string first;  // of the population's parameters
  for (const Parameter& parameter : type->parameters) {
    known.push_back(parameter.name);
    const auto found = node.fields.find(parameter.name);
    if (found == node.fields.end()) {
      if (parameter.required) faults.push_back({name, parameter.name, "is missing from this " + node.type});
      continue;
    }
    check_parameter(parameter, found->second, [&](std::string text) {
      faults.push_back({name, parameter.name, std::move(text)});
    });
    if (parameter.kind != Kind::population) continue;
    if (first.empty()) first = parameter.name;
    if (const Shape& expected = node.fields.at(first).shape; found->second.shape != expected)
      faults.push_back(
          {name, parameter.name,
           "must be " + shape_text(expected) + ", as " + first + " is; got " + shape_text(found->second.shape)});
  }
  for (const auto& [field, array] : node.fields)
    if (std::ranges::find(known, field) == known.end())
      faults.push_back({name, field,
                        "is not a parameter of " + node.type + did_you_mean(field, known) +
                            "; it has: " + join(known, ", ") + "; other data belongs in the metadata"});
  return faults.size() == before;
}

using Neighbors = std::map<std::string, std::vector<std::string>>;

/// Returns all nodes that can be reached by `next`.
std::set<std::string> reached(const std::vector<std::string>& from, const Neighbors& next) {
  std::set<std::string> seen(from.begin(), from.end());
  std::vector<std::string> open = from;
  while (!open.empty()) {
    const std::string node = open.back();
    open.pop_back();
    if (const auto found = next.find(node); found != next.end())
      for (const std::string& other : found->second)
        if (seen.insert(other).second) open.push_back(other);
  }
  return seen;
}

/// Returns a loop of nodes without a state, "a -> b -> a", or "". Nodes of unknown type are assumed to have a state.
std::string instant_loop(const Graph& graph, const Neighbors& previous) {
  Neighbors before;  // among those nodes
  const auto instant = [&](const std::string& name) {
    const Type* type = type_of(graph.nodes.at(name));
    return type != nullptr && !type->remembers;
  };
  for (const auto& [name, node] : graph.nodes) {
    if (!instant(name)) continue;
    before[name] = {};
    if (const auto found = previous.find(name); found != previous.end())
      std::ranges::copy_if(found->second, std::back_inserter(before[name]), instant);
  }
  // Nodes without predecessors are removed repeatedly. The remaining nodes are in a loop or behind one.
  const auto waits = [&](const std::string& name) { return before.count(name) > 0; };
  while (std::erase_if(before, [&](const auto& entry) { return std::ranges::none_of(entry.second, waits); }) > 0) {
  }
  if (before.empty()) return "";
  std::vector<std::string> loop = {before.begin()->first};  // backward, until a node repeats
  auto met = loop.end();
  do {
    const std::string& earlier = *std::ranges::find_if(before.at(loop.back()), waits);
    loop.push_back(earlier);
    met = std::ranges::find(loop, earlier);
  } while (met == loop.end() - 1);
  loop.erase(loop.begin(), met);
  std::ranges::reverse(loop);
  return join(loop, " -> ");
}

void check_edges(const Graph& graph, Faults& faults) {
  std::set<std::pair<std::string, std::string>> seen;
  Neighbors next, previous;
  std::vector<std::string> names, inputs, outputs;
  for (const auto& [name, node] : graph.nodes) {
    names.push_back(name);
    if (node.type == "Input") inputs.push_back(name);
    if (node.type == "Output") outputs.push_back(name);
  }
  for (const auto& edge : graph.edges) {
    const auto& [from, to] = edge;
    const std::string text = "the edge from '" + from + "' to '" + to + "' ";
    bool whole = true;
    for (const std::string& end : {from, to})
      if (graph.nodes.count(end) == 0) {
        faults.push_back({"", "edges", text + "has an unknown node '" + end + "'" + did_you_mean(end, names)});
        whole = false;
      }
    if (!whole) continue;
    if (!seen.insert(edge).second) faults.push_back({"", "edges", text + "is a duplicate"});
    if (graph.nodes.at(to).type == "Input") faults.push_back({to, "", text + "leads into an Input"});
    if (graph.nodes.at(from).type == "Output") faults.push_back({from, "", text + "leads out of an Output"});
    next[from].push_back(to);
    previous[to].push_back(from);
  }
  if (inputs.empty()) faults.push_back({"", "nodes", "there must be a node of type Input"});
  if (outputs.empty()) faults.push_back({"", "nodes", "there must be a node of type Output"});
  const std::set<std::string> fed = reached(inputs, next), used = reached(outputs, previous);
  for (const std::string& name : names) {
    if (!inputs.empty() && fed.count(name) == 0) faults.push_back({name, "", "no Input leads to it"});
    if (!outputs.empty() && used.count(name) == 0) faults.push_back({name, "", "it leads to no Output"});
  }
  if (const std::string loop = instant_loop(graph, previous); !loop.empty())
    faults.push_back({"", "edges", "a loop must contain a neuron or a Delay; got " + loop});
}

/// Propagates shapes along the edges. @param ask  nodes whose rows can be called
std::map<std::string, Ends> propagate(const Graph& graph, const std::set<std::string>& ask, Faults* faults) {
  std::map<std::string, Ends> ends;
  const auto enter = [&](const std::string& name, const Shape& in) {
    const Node& node = graph.nodes.at(name);
    Ends& here = ends[name];
    here.in = in;
    const Flow flow = type_of(node)->gives(node, in);
    if (flow.fault.empty())
      here.out = flow.out;
    else if (faults != nullptr)
      faults->push_back({name, "", flow.fault});
  };
  for (const std::string& name : ask)
    if (const auto in = type_of(graph.nodes.at(name))->takes(graph.nodes.at(name))) enter(name, *in);
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& [from, to] : graph.edges) {
      const auto known = ends.find(from);
      if (known == ends.end() || !known->second.out || ask.count(to) == 0 || ends.count(to) > 0) continue;
      enter(to, *known->second.out);
      changed = true;
    }
  }
  return ends;
}

}  // namespace

std::string Fault::line() const {
  if (node.empty()) return field + ": " + text;
  return "node '" + node + "'" + (field.empty() ? "" : ", " + field) + ": " + text;
}

std::vector<Fault> check(const Graph& graph) {
  Faults faults;
  if (!graph.version.starts_with("0.") && !graph.version.starts_with("1."))
    faults.push_back({"", "version", "must be 0.x or 1.x; got '" + graph.version + "'"});
  std::set<std::string> ask;
  for (const auto& [name, node] : graph.nodes)
    if (check_node(name, node, faults)) ask.insert(name);
  check_edges(graph, faults);
  const std::map<std::string, Ends> ends = propagate(graph, ask, &faults);
  for (const auto& [from, to] : graph.edges) {
    const auto left = ends.find(from), right = ends.find(to);
    if (left == ends.end() || right == ends.end() || !left->second.out || !right->second.in) continue;
    if (*left->second.out != *right->second.in)
      faults.push_back({to, "",
                        "expects " + shape_text(*right->second.in) + ", but '" + from + "' outputs " +
                            shape_text(*left->second.out)});
  }
  return faults;
}

std::map<std::string, Ends> shapes(const Graph& graph) {
  std::set<std::string> ask;
  Faults ignored;
  for (const auto& [name, node] : graph.nodes)
    if (check_node(name, node, ignored)) ask.insert(name);
  return propagate(graph, ask, nullptr);
}

}  // namespace grapes::nir
