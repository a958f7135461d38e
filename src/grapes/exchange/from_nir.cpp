#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/exchange/array.h"
#include "grapes/exchange/neurons.h"
#include "grapes/exchange/nir.h"
#include "grapes/nir/check.h"
#include "grapes/nir/types.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <set>

namespace grapes::exchange {
namespace {

class Importer {
 public:
  Importer(const nir::Graph& graph, double dt, std::string file)
      : graph_(graph), dt_(dt), ours_(is_ours(graph)), file_(std::move(file)) {
    if (ours_) dt_ = dt_of(graph, file_);
    if (!(dt_ > 0) || !std::isfinite(dt_))
      throw UsageError(file_ + ": dt must be above 0 seconds; got " + shortest(dt_));
    for (const auto& [from, to] : graph.edges) {
      next_[from].insert(to);
      previous_[to].insert(from);
    }
  }

  SpikingNet net() {
    take_loops();
    std::string at = only("Input"), behind = only("Output");
    net_.input = nir::whole_numbers(graph_.nodes.at(at).fields.at("shape"));
    while (at != behind) {
      if (next_[at].size() != 1) refuse(at, "leads to " + listed(next_[at]) + ": only a chain can be imported");
      at = *next_[at].begin();
      if (previous_[at].size() != 1)
        refuse(at, "adds the outputs of " + listed(previous_[at]) + ": only a chain can be imported");
      if (at != behind) add(at, graph_.nodes.at(at));
    }
    return std::move(net_);
  }

 private:
  std::string where(const std::string& node) const {
    return file_ + ": node '" + node + "' (" + graph_.nodes.at(node).type + "): ";
  }
  [[noreturn]] void refuse(const std::string& node, const std::string& why) const {
    throw DataError(where(node) + why);
  }
  static std::string listed(const std::set<std::string>& names) { return join({names.begin(), names.end()}, ", "); }

  std::string only(const std::string& type) const {
    std::set<std::string> found;
    for (const auto& [name, node] : graph_.nodes)
      if (node.type == type) found.insert(name);
    if (found.size() != 1) throw DataError(file_ + ": expected one node of type " + type + "; got: " + listed(found));
    return *found.begin();
  }

  /// A Linear from a neuron's output back to the neuron is that neuron's R.
  void take_loops() {
    for (const auto& [name, node] : graph_.nodes) {
      if ((node.type != "Linear" && node.type != "Affine") || next_[name].size() != 1 || previous_[name].size() != 1)
        continue;
      const std::string from = *previous_[name].begin(), to = *next_[name].begin();
      const bool behind = graph_.nodes.at(from).type == "Threshold" && previous_[from] == std::set<std::string>{to};
      if (!is_population(graph_.nodes.at(to)) || (from != to && !behind)) continue;
      if (from == to && graph_.nodes.at(to).fields.count("v_threshold") == 0)
        refuse(to, "receives its own membrane through '" + name + "'; recurrent connections must carry spikes");
      if (backs_.count(to) > 0) refuse(to, "has two recurrent connections: " + backs_[to] + ", " + name);
      if (node.type == "Affine") without_bias(name, node);
      backs_[to] = name;
    }
    for (const auto& [neuron, back] : backs_) {
      next_[*previous_[back].begin()].erase(back);
      previous_[neuron].erase(back);
    }
  }

  void without_bias(const std::string& name, const nir::Node& node) const {
    for (const double b : nir::numbers(node.fields.at("bias")))
      if (b != 0) refuse(name, "recurrent connections with a bias are not supported");
  }

  template <class What>
  void append(const std::string& name, What what) {
    net_.stages.push_back({name, std::move(what)});
  }

  void add(const std::string& name, const nir::Node& node) {
    const auto pair = [&](const char* field) -> std::array<std::int64_t, 2> {
      const auto values = nir::per_axis(node, field, 2);
      return {values[0], values[1]};
    };
    if (is_population(node)) return add_neurons(name, node);
    if (node.type == "Threshold") return add_threshold(name, node);
    if (node.type == "Linear") return append(name, Linear{tensor_of(node.fields.at("weight"))});
    if (node.type == "Affine")
      return append(name, Linear{tensor_of(node.fields.at("weight")), tensor_of(node.fields.at("bias"))});
    if (node.type == "Conv2d")
      return append(name,
                    Convolution{tensor_of(node.fields.at("weight")), tensor_of(node.fields.at("bias")), pair("stride"),
                                padding(name, node), pair("dilation"), nir::per_axis(node, "groups", 1)[0]});
    if (node.type == "AvgPool2d" || node.type == "SumPool2d")
      return append(name, Pooling{node.type == "AvgPool2d", pair("kernel_size"), pair("stride"), pair("padding")});
    if (node.type != "Flatten") refuse(name, "this type of node cannot be imported");
    const auto ends = nir::shapes(graph_).at(name);
    if (!ends.out || ends.out->size() != 1) refuse(name, "only a Flatten of all axes can be imported");
    append(name, Flatten{});
  }

  std::array<std::int64_t, 2> padding(const std::string& name, const nir::Node& node) const {
    if (const std::string word = nir::text_of(node.fields.at("padding")); word != "same") {
      const auto values = nir::per_axis(node, "padding", 2);
      return {values[0], values[1]};
    }
    const nir::Shape& weight = node.fields.at("weight").shape;
    const auto dilation = nir::per_axis(node, "dilation", 2);
    std::array<std::int64_t, 2> half;
    for (std::size_t a = 0; a < 2; ++a) {
      const std::int64_t all = dilation[a] * (weight[a + 2] - 1);
      if (all % 2 != 0) refuse(name, "padding 'same' with an even window is asymmetric, which is not supported");
      half[a] = all / 2;
    }
    return half;
  }

  void add_neurons(const std::string& name, const nir::Node& node) {
    Population population;
    try {
      population = population_of(node, dt_, ours_);
    } catch (const DataError& error) {
      refuse(name, error.what());
    } catch (const UsageError& error) {
      throw UsageError(where(name) + error.what());
    }
    if (const auto back = backs_.find(name); back != backs_.end())
      population.neurons.recurrent =
          scaled_rows(name, tensor_of(graph_.nodes.at(back->second).fields.at("weight")), population.scale);
    fold(name, population.scale);
    append(name, std::move(population.neurons));
  }

  at::Tensor scaled_rows(const std::string& neurons, const at::Tensor& weight, const at::Tensor& scales) const {
    std::vector<std::int64_t> column(static_cast<std::size_t>(weight.dim()), 1);
    column[0] = -1;
    const at::Tensor scaled = (weight.to(at::kDouble) * scales.flatten().view(column)).to(weight.scalar_type());
    if (!at::isfinite(scaled).all().item<bool>())
      refuse(neurons, "the scale of its current in a step, times the weights before it, is out of the range of " +
                          std::string(c10::toString(weight.scalar_type())));
    return scaled;
  }

  /// Folds the scale of a current into the weights before it.
  void fold(const std::string& name, at::Tensor scales) {
    if (scales.eq(1).all().item<bool>()) return;
    Stage* before = net_.stages.empty() ? nullptr : &net_.stages.back();
    if (auto* linear = before != nullptr ? std::get_if<Linear>(&before->what) : nullptr) {
      linear->weight = scaled_rows(name, linear->weight, scales);
      if (linear->bias.defined()) linear->bias = scaled_rows(name, linear->bias, scales);
    } else if (auto* c = before != nullptr ? std::get_if<Convolution>(&before->what) : nullptr) {
      const at::Tensor per_channel = scales.flatten(1);
      if (!per_channel.eq(per_channel.select(1, 0).unsqueeze(1)).all().item<bool>())
        refuse(name,
               "the scale of its current in a step must be equal within a channel, because it is folded into the "
               "convolution before it");
      c->weight = scaled_rows(name, c->weight, per_channel.select(1, 0));
      c->bias = scaled_rows(name, c->bias, per_channel.select(1, 0));
    } else {
      refuse(name, "its current is multiplied by " + shortest(scales.flatten()[0].item<double>()) +
                       " in a step, but no weights precede it into which that can be folded");
    }
  }

  void add_threshold(const std::string& name, const nir::Node& node) {
    auto* neurons = net_.stages.empty() ? nullptr : std::get_if<Neurons>(&net_.stages.back().what);
    if (neurons == nullptr || neurons->spikes) refuse(name, "must follow a neuron that outputs its membrane");
    neurons->threshold = tensor_of(node.fields.at("threshold"));
    neurons->spikes = true;
  }

  const nir::Graph& graph_;
  double dt_;
  bool ours_;
  std::string file_;
  std::map<std::string, std::set<std::string>> next_, previous_;
  std::map<std::string, std::string> backs_;  // neuron -> its recurrent Linear
  SpikingNet net_;
};

}  // namespace

double dt_of(const nir::Graph& graph, const std::string& file) {
  const auto found = graph.metadata.find("dt");
  const std::vector<double> dt = found != graph.metadata.end() ? nir::numbers(found->second) : std::vector<double>();
  if (dt.size() != 1 || !(dt[0] > 0)) throw DataError(file + ": its metadata must contain dt, a number above 0");
  return dt[0];
}

SpikingNet from_nir(const nir::Graph& graph, double dt, const std::string& file) {
  if (const auto faults = nir::check(graph); !faults.empty())
    throw DataError(file + ": " + faults.front().line() +
                    (faults.size() > 1 ? fmt::format(" (and {} more)", faults.size() - 1) : ""));
  return Importer(graph, dt, file).net();
}

}  // namespace grapes::exchange
