#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/exchange/array.h"
#include "grapes/exchange/neurons.h"
#include "grapes/exchange/nir.h"
#include "grapes/nir/check.h"
#include "grapes/nir/types.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace grapes::exchange {
namespace {

class Importer {
 public:
  Importer(const nir::Graph& graph, double dt, std::string file, Reading reading)
      : graph_(graph), dt_(dt), ours_(is_ours(graph)), file_(std::move(file)), reading_(std::move(reading)) {
    if (ours_) dt_ = dt_of(graph, file_);
    if (ours_) reading_ = {};
    if (reading_.reset != "hard" && reading_.reset != "subtract")
      throw UsageError("reset must be hard or subtract; got " + reading_.reset);
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
    if (pending_.defined()) refuse(pending_from_, "must have weights before or after it");
    unify();
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
      backs_[to] = name;
    }
    for (const auto& [neuron, back] : backs_) {
      next_[*previous_[back].begin()].erase(back);
      previous_[neuron].erase(back);
    }
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
    if (node.type == "Scale") return add_scale(name, tensor_of(node.fields.at("scale")).to(at::kDouble));
    if (node.type == "Delay") return add_delay(name, node);
    if (node.type == "Linear") return append(name, Linear{scaled_columns(name, tensor_of(node.fields.at("weight")))});
    if (node.type == "Affine")
      return append(
          name, Linear{scaled_columns(name, tensor_of(node.fields.at("weight"))), tensor_of(node.fields.at("bias"))});
    if (node.type == "Conv2d") {
      const std::int64_t groups = nir::per_axis(node, "groups", 1)[0];
      if (pending_.defined() && groups > 1) refuse(pending_from_, "cannot be folded into a convolution of groups");
      return append(name, Convolution{scaled_columns(name, tensor_of(node.fields.at("weight"))),
                                      tensor_of(node.fields.at("bias")), pair("stride"), padding(name, node),
                                      pair("dilation"), groups});
    }
    if (node.type == "AvgPool2d" || node.type == "SumPool2d")
      return append(name, Pooling{node.type == "AvgPool2d", pair("kernel_size"), pair("stride"), pair("padding")});
    if (node.type != "Flatten") refuse(name, "this type of node cannot be imported");
    const auto ends = nir::shapes(graph_).at(name);
    if (!ends.out || ends.out->size() != 1) refuse(name, "only a Flatten of all axes can be imported");
    if (!ends.in || ends.in->size() != 1) append(name, Flatten{});
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
    // A Scale that follows no weights directly scales the current of these neurons, not their spikes.
    if (pending_.defined()) fold(pending_from_, std::exchange(pending_, {}));
    Population population;
    try {
      population = population_of(node, dt_, reading_.integrator, ours_);
    } catch (const DataError& error) {
      refuse(name, error.what());
    } catch (const UsageError& error) {
      throw UsageError(where(name) + error.what() +
                       "; --dt gives the time step of the program that wrote the file, which is 1e-4 for snnTorch");
    }
    Neurons& neurons = population.neurons;
    if (reading_.reset == "subtract" && neurons.spikes) {
      const at::Tensor reset = neurons.reset_value.defined() ? neurons.reset_value : at::zeros({1}, at::kDouble);
      if (!(reset + leak_of(neurons)).eq(0).all().item<bool>()) refuse(name, "reset 'subtract' needs v_reset = 0");
      neurons.reset = "subtract";
      neurons.reset_value.reset();
    }
    if (const auto back = backs_.find(name); back != backs_.end()) {
      const nir::Node& loop = graph_.nodes.at(back->second);
      neurons.recurrent = scaled_rows(name, tensor_of(loop.fields.at("weight")), population.scale);
      if (loop.type == "Affine") add_bias(back->second, tensor_of(loop.fields.at("bias")));
    }
    fold(name, population.scale);
    append(name, std::move(population.neurons));
  }

  /// Files may mix float32 and float64. A network computes in one of them: in float64 if any weight has it.
  void unify() {
    std::vector<at::Tensor*> weights;
    bool wide = false;
    for (Stage& stage : net_.stages) {
      if (auto* linear = std::get_if<Linear>(&stage.what))
        weights.insert(weights.end(), {&linear->weight, &linear->bias});
      if (auto* c = std::get_if<Convolution>(&stage.what)) weights.insert(weights.end(), {&c->weight, &c->bias});
      if (auto* neurons = std::get_if<Neurons>(&stage.what)) weights.push_back(&neurons->recurrent);
    }
    for (const at::Tensor* one : weights) wide = wide || (one->defined() && one->scalar_type() == at::kDouble);
    for (at::Tensor* one : weights)
      if (one->defined()) *one = one->to(wide ? at::kDouble : at::kFloat);
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

  static at::Tensor leak_of(const Neurons& neurons) {
    return neurons.leak.defined() ? neurons.leak : at::zeros({1}, at::kDouble);
  }

  /// A loop with a bias adds it in every step, as the matrix before the neurons does with its own.
  void add_bias(const std::string& loop, const at::Tensor& bias) {
    if (bias.eq(0).all().item<bool>()) return;
    auto* linear = net_.stages.empty() ? nullptr : std::get_if<Linear>(&net_.stages.back().what);
    if (linear == nullptr) refuse(loop, "a recurrent bias needs a Linear or Affine before the neurons");
    linear->bias = linear->bias.defined() ? linear->bias + bias : bias;
  }

  void add_delay(const std::string& name, const nir::Node& node) {
    const at::Tensor steps = tensor_of(node.fields.at("delay")).to(at::kDouble) / dt_, whole = steps.round();
    if (!at::allclose(steps, whole, 1e-6, 1e-6) || whole.lt(0).any().item<bool>())
      refuse(name, "delays must be whole numbers of time steps, at least 0; with dt = " + shortest(dt_) + " one has " +
                       shortest(steps.flatten()[(steps - whole).abs().flatten().argmax()].item<double>()));
    if (whole.gt(0).any().item<bool>()) append(name, Delay{whole.to(at::kLong)});
  }

  /// A Scale belongs to the weights before it, or, after neurons, to those after it.
  void add_scale(const std::string& name, const at::Tensor& scale) {
    const bool weighs = !net_.stages.empty() && (std::holds_alternative<Linear>(net_.stages.back().what) ||
                                                 std::holds_alternative<Convolution>(net_.stages.back().what));
    if (weighs) return fold(name, scale);
    if (pending_.defined()) refuse(name, "two of these nodes follow each other without weights between them");
    pending_ = scale;
    pending_from_ = name;
  }

  /// W with the pending Scale of its inputs.
  at::Tensor scaled_columns(const std::string& name, const at::Tensor& weight) {
    if (!pending_.defined()) return weight;
    const at::Tensor scale = std::exchange(pending_, {});
    if (weight.dim() == 2 && scale.numel() == weight.size(1))
      return (weight * scale.flatten()).to(weight.scalar_type());
    const at::Tensor per_channel = scale.flatten(1);
    if (weight.dim() == 2 || !per_channel.eq(per_channel.select(1, 0).unsqueeze(1)).all().item<bool>())
      refuse(pending_from_, "must be equal within a channel, because it is folded into '" + name + "'");
    return (weight * per_channel.select(1, 0).view({1, -1, 1, 1})).to(weight.scalar_type());
  }

  /// Folds what multiplies a current into the weights before it.
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
    } else if (const auto* pool = before != nullptr ? std::get_if<Pooling>(&before->what) : nullptr;
               pool != nullptr && scales.eq(scales.flatten()[0]).all().item<bool>() && net_.stages.size() > 1) {
      // Pooling is linear: one number can be moved to the weights before it.
      Stage pooling = std::move(net_.stages.back());
      net_.stages.pop_back();
      const bool weighs = std::holds_alternative<Convolution>(net_.stages.back().what);
      if (weighs) {
        const std::int64_t channels = std::get<Convolution>(net_.stages.back().what).weight.size(0);
        fold(name, scales.flatten()[0].view({1, 1}).expand({channels, 1}));
      }
      net_.stages.push_back(std::move(pooling));
      if (!weighs) refuse(name, "its current is scaled in a step, but no weights precede its pooling");
    } else {
      refuse(name, "its current is multiplied by " + shortest(scales.flatten()[0].item<double>()) +
                       ", but no weights precede it into which that can be folded");
    }
  }

  void add_threshold(const std::string& name, const nir::Node& node) {
    if (pending_.defined()) refuse(pending_from_, "is between neurons and their threshold");
    auto* neurons = net_.stages.empty() ? nullptr : std::get_if<Neurons>(&net_.stages.back().what);
    if (neurons == nullptr || neurons->spikes) refuse(name, "must follow a neuron that outputs its membrane");
    neurons->threshold = tensor_of(node.fields.at("threshold"));
    neurons->spikes = true;
  }

  const nir::Graph& graph_;
  double dt_;
  bool ours_;
  std::string file_;
  Reading reading_;
  at::Tensor pending_;  // a Scale that waits for weights
  std::string pending_from_;
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

bool has_times(const nir::Graph& graph) {
  return std::ranges::any_of(graph.nodes, [](const auto& entry) {
    const auto& fields = entry.second.fields;
    return fields.count("tau") + fields.count("tau_mem") + fields.count("tau_syn") + fields.count("delay") > 0;
  });
}

SpikingNet from_nir(const nir::Graph& graph, double dt, const std::string& file, const Reading& reading) {
  if (const auto faults = nir::check(graph); !faults.empty())
    throw DataError(file + ": " + faults.front().line() +
                    (faults.size() > 1 ? fmt::format(" (and {} more)", faults.size() - 1) : ""));
  return Importer(graph, dt, file, reading).net();
}

}  // namespace grapes::exchange
