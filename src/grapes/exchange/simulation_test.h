#pragma once

#include "grapes/nir/check.h"
#include "grapes/nir/graph.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

/// A direct simulation of NIR's equations, number by number, to test conversions. It uses nothing but the graph.
namespace grapes::exchange {

/// When a step's current affects the membrane: in the same step, or, if all equations use old values, in the next one.
enum class Current { first, late };

class Simulation {
 public:
  Simulation(const nir::Graph& graph, double dt, Current current = Current::first)
      : graph_(graph), dt_(dt), current_(current) {
    for (const auto& [from, to] : graph.edges) before_[to].push_back(from);
  }

  /// [time, input...] -> [time, output...], float64
  at::Tensor run(const at::Tensor& x) {
    std::vector<at::Tensor> all;
    std::string output;
    for (const auto& [name, node] : graph_.nodes)
      if (node.type == "Output") output = name;
    const nir::Shape shape = nir::whole_numbers(graph_.nodes.at(output).fields.at("shape"));
    for (std::int64_t t = 0; t < x.size(0); ++t) {
      const at::Tensor now = x[t].to(at::kDouble).contiguous();
      input_.assign(now.data_ptr<double>(), now.data_ptr<double>() + now.numel());
      done_.clear();
      all.push_back(at::tensor(value(output), at::kDouble).reshape(shape));
    }
    return at::stack(all);
  }

 private:
  using Values = std::vector<double>;
  struct State {
    Values v, i;
    bool fresh = true;  // membranes start at v_leak
  };

  Values value(const std::string& name) {
    if (done_.count(name) > 0) return last_[name];
    if (!asking_.insert(name).second) return last_[name];  // a loop: its output of the previous step
    const nir::Node& node = graph_.nodes.at(name);
    Values x = input_;
    if (node.type != "Input") {
      x.clear();
      for (const std::string& from : before_[name]) {
        const Values part = value(from);
        if (part.empty()) continue;  // a loop in the first step
        x.resize(part.size());
        for (std::size_t n = 0; n < part.size(); ++n) x[n] += part[n];
      }
    }
    if (x.empty() && node.fields.count("weight") > 0)  // nothing has come through the loop yet
      x.assign(static_cast<std::size_t>(node.fields.at("weight").shape[1]), 0);
    Values y = x.empty() ? Values() : apply(name, node, x);
    asking_.erase(name);
    done_.insert(name);
    last_[name] = y;
    return y;
  }

  static Values numbers(const nir::Node& node, const char* field) { return nir::numbers(node.fields.at(field)); }

  Values apply(const std::string& name, const nir::Node& node, const Values& x) {
    const std::string& type = node.type;
    if (type == "Input" || type == "Output" || type == "Flatten") return x;
    if (type == "Linear" || type == "Affine") return matrix(node, x);
    if (type == "Conv2d") return convolution(node, x);
    if (type == "SumPool2d" || type == "AvgPool2d") return pool(name, node, x);
    if (type == "Scale") {
      Values y = numbers(node, "scale");
      for (std::size_t n = 0; n < y.size(); ++n) y[n] *= x[n];
      return y;
    }
    if (type == "Delay") {
      std::vector<Values>& past = pasts_[name];
      past.push_back(x);
      Values y = numbers(node, "delay");
      for (double& one : y) {
        const auto steps = static_cast<std::size_t>(std::lround(one / dt_)),
                   n = static_cast<std::size_t>(&one - y.data());
        one = steps < past.size() ? past[past.size() - 1 - steps][n] : 0;
      }
      return y;
    }
    if (type == "Threshold") {
      const Values threshold = numbers(node, "threshold");
      Values y = x;
      for (std::size_t n = 0; n < y.size(); ++n) y[n] = x[n] > threshold[n] ? 1 : 0;
      return y;
    }
    return neurons(name, node, x);
  }

  Values matrix(const nir::Node& node, const Values& x) const {
    const Values weight = numbers(node, "weight");
    const auto rows = static_cast<std::size_t>(node.fields.at("weight").shape[0]);
    Values y = node.type == "Affine" ? numbers(node, "bias") : Values(rows, 0);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < x.size(); ++c) y[r] += weight[r * x.size() + c] * x[c];
    return y;
  }

  Values neurons(const std::string& name, const nir::Node& node, const Values& x) {
    State& state = states_[name];
    state.v.resize(x.size());
    state.i.resize(x.size());
    const bool fires = node.type.ends_with("F"), cuba = node.type.starts_with("Cuba");
    const bool leaks = node.type != "I" && node.type != "IF";
    std::map<std::string, Values> of;
    for (const auto& [field, array] : node.fields) of[field] = nir::numbers(array);
    Values y(x.size());
    for (std::size_t n = 0; n < x.size(); ++n) {
      double &v = state.v[n], &i = state.i[n];
      if (state.fresh && leaks) v = of["v_leak"][n];
      const double old = i;
      double current = x[n];
      if (cuba) {
        i += dt_ / of["tau_syn"][n] * (-i + of["w_in"][n] * x[n]);
        current = current_ == Current::first ? i : old;
      }
      const double drive = of["r"][n] * current;
      v += leaks ? dt_ / of[cuba ? "tau_mem" : "tau"][n] * (of["v_leak"][n] - v + drive) : dt_ * drive;
      y[n] = fires ? (v > of["v_threshold"][n] ? 1 : 0) : v;
      if (fires && y[n] > 0) v = of.count("v_reset") > 0 ? of["v_reset"][n] : 0;
    }
    state.fresh = false;
    return y;
  }

  static std::array<std::int64_t, 2> pair(const nir::Node& node, const char* field) {
    const auto values = nir::whole_numbers(node.fields.at(field));
    return {values.front(), values.back()};
  }

  Values convolution(const nir::Node& node, const Values& x) const {
    const Values weight = numbers(node, "weight"), bias = numbers(node, "bias");
    const nir::Shape& w = node.fields.at("weight").shape;
    const auto size = pair(node, "input_shape"), stride = pair(node, "stride"), padding = pair(node, "padding"),
               dilation = pair(node, "dilation");
    const std::int64_t groups = nir::whole_numbers(node.fields.at("groups"))[0];
    const auto fits = [&](std::size_t a) {
      return (size[a] + 2 * padding[a] - dilation[a] * (w[a + 2] - 1) - 1) / stride[a] + 1;
    };
    Values y;
    for (std::int64_t o = 0; o < w[0]; ++o)
      for (std::int64_t r = 0; r < fits(0); ++r)
        for (std::int64_t c = 0; c < fits(1); ++c) {
          double sum = bias[static_cast<std::size_t>(o)];
          for (std::int64_t i = 0; i < w[1]; ++i)
            for (std::int64_t kr = 0; kr < w[2]; ++kr)
              for (std::int64_t kc = 0; kc < w[3]; ++kc) {
                const std::int64_t row = r * stride[0] - padding[0] + kr * dilation[0];
                const std::int64_t column = c * stride[1] - padding[1] + kc * dilation[1];
                if (row < 0 || row >= size[0] || column < 0 || column >= size[1]) continue;
                const std::int64_t channel = o / (w[0] / groups) * w[1] + i;
                sum += weight[static_cast<std::size_t>(((o * w[1] + i) * w[2] + kr) * w[3] + kc)] *
                       x[static_cast<std::size_t>((channel * size[0] + row) * size[1] + column)];
              }
          y.push_back(sum);
        }
    return y;
  }

  /// Non-overlapping windows.
  Values pool(const std::string& name, const nir::Node& node, const Values& x) {
    const nir::Shape in = *nir::shapes(graph_).at(name).in;
    const auto window = pair(node, "kernel_size");
    if (window != pair(node, "stride")) throw std::logic_error("only non-overlapping windows");
    Values y;
    for (std::int64_t c = 0; c < in[0]; ++c)
      for (std::int64_t r = 0; r + window[0] <= in[1]; r += window[0])
        for (std::int64_t k = 0; k + window[1] <= in[2]; k += window[1]) {
          double sum = 0;
          for (std::int64_t i = 0; i < window[0]; ++i)
            for (std::int64_t j = 0; j < window[1]; ++j)
              sum += x[static_cast<std::size_t>((c * in[1] + r + i) * in[2] + k + j)];
          y.push_back(node.type == "AvgPool2d" ? sum / static_cast<double>(window[0] * window[1]) : sum);
        }
    return y;
  }

  const nir::Graph& graph_;
  double dt_;
  Current current_;
  std::map<std::string, std::vector<std::string>> before_;
  Values input_;
  std::map<std::string, State> states_;
  std::map<std::string, std::vector<Values>> pasts_;
  std::map<std::string, Values> last_;
  std::set<std::string> done_, asking_;
};

}  // namespace grapes::exchange
