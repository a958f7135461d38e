#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/exchange/array.h"
#include "grapes/exchange/neurons.h"
#include "grapes/exchange/nir.h"
#include "grapes/nir/check.h"
#include "grapes/nir/types.h"

#include <ATen/ATen.h>

#include <cmath>

namespace grapes::exchange {
namespace {

nir::Array whole_pair(const std::array<std::int64_t, 2>& values) { return nir::wholes({values[0], values[1]}); }

/// Builds a graph by appending nodes.
class Builder {
 public:
  Builder(nir::Shape input, double dt) : dt_(dt), shape_(std::move(input)) {
    graph_.nodes["input"] = {"Input", {{"shape", nir::wholes(shape_)}}, {}};
    graph_.metadata = {{"format", nir::text(nir_format)}, {"dt", nir::number(dt)}};
  }

  void add(const std::string& name, const Linear& linear) {
    nir::Node node{linear.bias.defined() ? "Affine" : "Linear", {{"weight", array_of(linear.weight)}}, {}};
    if (linear.bias.defined()) node.fields["bias"] = array_of(linear.bias);
    append(name, std::move(node));
  }

  void add(const std::string& name, const Convolution& c) {
    const at::Tensor bias =
        c.bias.defined() ? c.bias : at::zeros({c.weight.size(0)}, c.weight.options().requires_grad(false));
    append(name, {"Conv2d",
                  {{"input_shape", nir::wholes({shape_.begin() + 1, shape_.end()})},
                   {"weight", array_of(c.weight)},
                   {"bias", array_of(bias)},
                   {"stride", whole_pair(c.stride)},
                   {"padding", whole_pair(c.padding)},
                   {"dilation", whole_pair(c.dilation)},
                   {"groups", nir::whole(c.groups)}},
                  {}});
  }

  void add(const std::string& name, const Pooling& pool) {
    append(name, {pool.mean ? "AvgPool2d" : "SumPool2d",
                  {{"kernel_size", whole_pair(pool.window)},
                   {"stride", whole_pair(pool.stride)},
                   {"padding", whole_pair(pool.padding)}},
                  {}});
  }

  void add(const std::string& name, const Flatten&) {
    append(name, {"Flatten",
                  {{"start_dim", nir::whole(0)}, {"end_dim", nir::whole(-1)}, {"input_type", nir::wholes(shape_)}},
                  {}});
  }

  void add(const std::string& name, const Delay& delay) {
    append(name, {"Delay", {{"delay", array_of(delay.steps.to(at::kDouble) * dt_)}}, {}});
  }

  void add(const std::string& name, const Neurons& neurons) {
    append(name, node_of(neurons, dt_));
    if (!neurons.resets() && neurons.spikes)
      append(name + "_threshold", {"Threshold", {{"threshold", array_of(neurons.threshold)}}, {}});
    if (!neurons.recurrent.defined()) return;
    const std::string back = name + "_recurrent";
    graph_.nodes[back] = {"Linear", {{"weight", array_of(neurons.recurrent)}}, {}};
    graph_.edges.emplace_back(last_, back);  // recurrent connections carry the node's output
    graph_.edges.emplace_back(back, name);
  }

  nir::Graph finish() {
    append("output", {"Output", {{"shape", nir::wholes(shape_)}}, {}});
    return std::move(graph_);
  }

 private:
  void append(const std::string& name, nir::Node node) {
    const nir::Type& type = *nir::type_of(node);
    const nir::Shape takes = type.takes(node).value_or(shape_);
    const nir::Flow flow = type.gives(node, takes);
    if (takes != shape_ || !flow.fault.empty())
      throw UsageError("expects " + nir::shape_text(takes) + ", but '" + last_ + "' outputs " +
                       nir::shape_text(shape_) + (flow.fault.empty() ? "" : ": " + flow.fault));
    if (!graph_.nodes.emplace(name, std::move(node)).second) throw UsageError("duplicate layer '" + name + "'");
    graph_.edges.emplace_back(last_, name);
    last_ = name;
    shape_ = flow.out;
  }

  double dt_;
  nir::Shape shape_;  // output shape of the last node
  std::string last_ = "input";
  nir::Graph graph_;
};

}  // namespace

bool is_ours(const nir::Graph& graph) {
  const auto found = graph.metadata.find("format");
  return found != graph.metadata.end() && nir::text_of(found->second) == nir_format;
}

nir::Graph to_nir(const SpikingNet& net, double dt) {
  if (!(dt > 0) || !std::isfinite(dt)) throw UsageError("dt must be above 0 seconds; got " + shortest(dt));
  Builder builder(net.input, dt);
  for (const Stage& stage : net.stages) try {
      std::visit([&](const auto& what) { builder.add(stage.name, what); }, stage.what);
    } catch (const UsageError& error) {
      throw UsageError("layer '" + stage.name + "': " + error.what());
    }
  nir::Graph graph = builder.finish();
  if (const auto faults = nir::check(graph); !faults.empty()) throw UsageError(faults.front().line());
  return graph;
}

}  // namespace grapes::exchange
