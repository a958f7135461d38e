// Every row of neurons() against a recursion in scalars, with every reset, reset values, refractory steps and constants
// of each unit; and the derivatives of what only the reference implementation has.
#include "grapes/base/error.h"
#include "grapes/nn/nn_test.h"
#include "grapes/nn/snu.h"
#include "grapes/nn/spiking.h"

#include <gmock/gmock.h>
#include <torch/torch.h>

#include <cmath>
#include <string>
#include <vector>

namespace grapes::nn {
namespace {

constexpr std::int64_t duration = 60, units_of_layer = 5;

/// Constants of one unit.
struct Constants {
  double decay, threshold, synapse, rest, adaptation, fade;
};

struct ByHand {
  std::vector<double> membrane, output;
};

/// One unit with the current x_t, from the equations in nn/neuron.h.
ByHand by_hand(const SnuOptions& options, const Constants& unit, const std::vector<double>& x) {
  const SnuRule& rule = options.rule();
  double s = 0, y = 0, c = 0, a = 0;
  std::int64_t quiet = 0;
  ByHand trace;
  for (const double input : x) {
    double kept = s;
    if (rule.reset == "hard") kept = y * unit.rest + (1 - y) * s;
    if (rule.reset == "lateral") kept = s * (1 - y);  // of a layer with a single unit
    if (rule.reset == "subtract") kept = s - unit.threshold * y;
    c = unit.synapse * c + input;
    a = unit.fade * a + y;
    const double before = c + unit.decay * kept;
    double slope = 1;
    if (before < 0 && rule.membrane_activation != "identity") slope = rule.membrane_activation == "relu" ? 0 : 0.1;
    s = before * slope;
    const double over = s - unit.threshold - unit.adaptation * a;
    y = rule.output == "sigmoid" ? 1 / (1 + std::exp(-over)) : over > 0 ? 1 : 0;
    if (quiet > 0) {
      --quiet;
      s = kept;
      y = 0;
    } else if (y > 0 && rule.output == "step") {
      quiet = options.refractory();
    }
    trace.membrane.push_back(s);
    trace.output.push_back(y);
  }
  return trace;
}

TEST(Neuron, EveryRowEqualsTheRecursionByHand) {
  const auto current = drawn({duration, 1, units_of_layer}, 3) * 0.5 + 0.3;
  for (const NeuronRow& row : neurons())
    for (const std::string reset : {"hard", "subtract", "none"})
      for (const std::int64_t refractory : {0, 3}) {
        SpikingOptions chosen;
        chosen.neuron = row.name;
        chosen.reset = reset;
        chosen.refractory = row.name == "ssnu" ? 0 : refractory;
        chosen.reset_value = reset == "hard" ? -0.25 : 0;
        chosen.own_constants = true;
        SnuOptions options = neurons_of(chosen);
        for (const bool by_steps : {true, false}) {
          SCOPED_TRACE(row.name + " " + reset + (refractory > 0 ? " refractory" : "") + (by_steps ? " plain" : ""));
          options.plain(by_steps);
          Neurons layer(units_of_layer, options);
          layer->to(f64);
          const auto spread = [&](at::Tensor& constant, double low, double high) {
            if (constant.defined() && row.name != "if")
              constant.set_data(torch::linspace(low, high, units_of_layer, f64));
          };
          spread(layer->decay, 0.5, 0.95);
          spread(layer->threshold, 0.4, 1.2);
          if (options.synapse() > 0) layer->synapse = torch::linspace(0.2, 0.8, units_of_layer, f64);
          spread(layer->reset_value, -0.5, 0.25);
          spread(layer->adaptation, 0.05, 0.4);
          spread(layer->adaptation_decay, 0.6, 0.95);
          const SnuTrace trace = layer->run(current);
          double spikes = 0;
          for (std::int64_t n = 0; n < units_of_layer; ++n) {
            const auto of = [&](const at::Tensor& constant) {
              return !constant.defined() ? 0 : constant[constant.numel() == 1 ? 0 : n].item<double>();
            };
            const auto column = current.select(2, n).contiguous();
            const ByHand expected =
                by_hand(options,
                        {of(layer->decay), of(layer->threshold), of(layer->synapse), of(layer->reset_value),
                         of(layer->adaptation), of(layer->adaptation_decay)},
                        {column.data_ptr<double>(), column.data_ptr<double>() + duration});
            for (std::int64_t t = 0; t < duration; ++t) {
              const auto at = static_cast<std::size_t>(t);
              ASSERT_NEAR(trace.membrane[t][0][n].item<double>(), expected.membrane[at], 1e-12) << n << " at " << t;
              ASSERT_NEAR(trace.output[t][0][n].item<double>(), expected.output[at], 1e-12) << n << " at " << t;
              spikes += expected.output[at];
            }
          }
          EXPECT_GT(spikes, 10);
        }
      }
}

/// A smooth output, so that finite differences exist; these options run step by step.
TEST(Neuron, SmoothAdaptationAndLearnedSynapsesEqualFiniteDifferences) {
  SnuOptions options;
  options.rule({"identity", "sigmoid"}).synapse(0.6).learn_synapse(true).learn_decay(SnuOptions::Decay::per_node);
  options.adaptation(0.3).adaptation_decay(0.8).reset_value(-0.2).bias(true).recurrent(true);
  Snu layer(4, 3, options, plain());
  layer->to(f64);
  const auto x = drawn({7, 2, 4}, 1), weigh = drawn({7, 2, 3}, 2);
  (layer->forward(x) * weigh).sum().backward();
  EXPECT_EQ(layer->named_parameters().size(), 6u);  // W, b, R, d, θ, α
  for (const auto& p : layer->named_parameters()) {
    const torch::NoGradGuard no_grad;
    for (std::int64_t k = 0; k < p.value().numel(); ++k) {
      double* at = p.value().data_ptr<double>() + k;
      const double kept = *at, h = 1e-6;
      *at = kept + h;
      const double up = (layer->forward(x) * weigh).sum().item<double>();
      *at = kept - h;
      const double down = (layer->forward(x) * weigh).sum().item<double>();
      *at = kept;
      EXPECT_NEAR(p.value().grad().data_ptr<double>()[k], (up - down) / (2 * h), 1e-7) << p.key() << " " << k;
    }
  }
}

TEST(Neuron, OptionsOutOfRangeAreErrors) {
  for (const SnuOptions& options :
       {SnuOptions().synapse(1), SnuOptions().synapse(-0.1), SnuOptions().adaptation_decay(1),
        SnuOptions().refractory(-1), SnuOptions().reset_value(std::nan("")), SnuOptions().adaptation(INFINITY)}) {
    EXPECT_THROW(Snu(2, 3, options), c10::ValueError);
    EXPECT_THROW(Neurons(3, options), c10::ValueError);
  }
  SpikingOptions chosen;
  chosen.neuron = "if";
  chosen.learn_decay = SnuOptions::Decay::per_node;
  EXPECT_THROW(neurons_of(chosen), UsageError) << "it has no decay to learn";
}

TEST(Neuron, StatefulNeuronsContinueFromTheirLastState) {
  for (const std::string name : {"cuba-lif", "alif"}) {
    SpikingOptions chosen;
    chosen.neuron = name;
    chosen.refractory = 2;
    SnuOptions options = neurons_of(chosen);
    const auto current = drawn({10, 2, 3, 2, 2}, 5) + 0.5;
    Neurons whole(3, options);
    options.stateful(true);
    Neurons parts(3, options);
    whole->to(f64);
    parts->to(f64);
    const auto expected = whole->forward(current);
    EXPECT_TRUE(torch::equal(
        torch::cat({parts->forward(current.narrow(0, 0, 4)), parts->forward(current.narrow(0, 4, 6))}), expected));
    EXPECT_THROW(parts->forward(current.narrow(1, 0, 1)), c10::Error);
    parts->reset_state();
    EXPECT_TRUE(torch::equal(parts->forward(current), expected));
  }
}

}  // namespace
}  // namespace grapes::nn
