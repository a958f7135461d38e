// Spiking neural units: both implementations compared with a recursion in loops, the smooth one with finite
// differences, and properties of the factor through time.
#include "grapes/nn/snu.h"

#include "grapes/core/responsibility.h"
#include "grapes/kernels/convolution.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/nn/nn_test.h"
#include "grapes/nn/readout.h"
#include "grapes/nn/snu_layer.h"
#include "grapes/nn/surrogate.h"
#include "grapes/testing/snu.h"

#include <gmock/gmock.h>
#include <torch/torch.h>

namespace grapes::nn {
namespace {

double distance(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return INFINITY;
  return (a - b).abs().max().item<double>() / std::max(1.0, b.abs().max().item<double>());
}

/// A case with random inputs; about a third of x are spikes.
testing::SnuCase drawn_case(const SnuRule& rule, bool recurrent, std::int64_t time = 6) {
  const std::int64_t batch = 3, in = 21, nodes = 19;  // odd sizes: loops have a remainder
  testing::SnuCase c;
  c.g = rule.membrane_activation;
  c.output = rule.output;
  c.reset = rule.reset;
  c.surrogate = rule.surrogate;
  c.width = rule.surrogate_width;
  c.detach_reset = rule.detach_reset;
  c.recurrent = recurrent;
  c.x = (drawn({time, batch, in}, 1) > 0.5).to(f64);
  c.W = drawn({nodes, in}, 2) * torch::linspace(0.1, 1, nodes, f64).view({nodes, 1});
  c.R = drawn({nodes, nodes}, 3) * 0.3;
  c.decay = torch::linspace(0.5, 0.95, nodes, f64);
  c.theta = torch::linspace(0.2, 1.2, nodes, f64);
  c.m = torch::ones({nodes}, f64);
  c.s0 = drawn({batch, nodes}, 4);
  c.y0 = (drawn({batch, nodes}, 5) > 0).to(f64);
  c.present = torch::ones({time, batch}, torch::kBool);
  return c;
}

Snu module_of(const testing::SnuCase& c, SnuOptions options, Rule credit = plain()) {
  options.rule({c.g, c.output, c.reset, c.surrogate, c.width, c.detach_reset});
  options.recurrent(c.recurrent);
  credit.compounding = c.compounding;
  options.truncate(c.truncate);
  options.synapse(c.alpha.defined() ? 0.5 : 0);
  options.bias(c.bias.defined());
  options.reset_value(c.rho.defined() ? 0.5 : 0);
  options.eprop(c.eprop);
  options.learn_decay(SnuOptions::Decay::per_node);
  Snu layer(c.x.size(2), c.W.size(0), options, credit);
  layer->to(f64);
  const torch::NoGradGuard no_grad;
  layer->weight.copy_(c.W);
  if (c.recurrent) layer->recurrent.copy_(c.R);
  layer->decay.copy_(c.decay);
  layer->threshold.copy_(c.theta);
  const auto per_unit = [](at::Tensor& constant, const at::Tensor& values) {
    if (values.defined()) constant.set_data(values);
  };
  layer->synapse = c.alpha;
  per_unit(layer->reset_value, c.rho);
  per_unit(layer->bias, c.bias);
  return layer;
}

/// The layer's values and gradients equal the recursion's.
void expect_by_hand(const testing::SnuCase& c, SnuOptions options, const Rule& credit = plain()) {
  Snu layer = module_of(c, options, credit);
  const testing::SnuValues values = testing::forward(c);
  const auto ey = drawn(values.y.sizes(), 7), es = drawn(values.y.sizes(), 8);
  const testing::SnuGradients expected = testing::backward(c, values, ey, es);
  const bool all_run = c.present.all().item<bool>();
  for (const bool by_steps : {true, false}) {
    SCOPED_TRACE(by_steps ? "plain" : "fused");
    options.plain(by_steps);
    layer = module_of(c, options, credit);
    const auto x = c.x.clone().requires_grad_(), s0 = c.s0.clone().requires_grad_(), y0 = c.y0.clone().requires_grad_();
    const SnuTrace trace = layer->run(x, {s0, y0}, all_run ? at::Tensor() : c.present);
    EXPECT_LT(distance(trace.output, values.y), 1e-12);
    EXPECT_LT(distance(trace.membrane, values.s), 1e-12);
    EXPECT_TRUE(torch::equal(trace.last.membrane, trace.membrane[-1]));
    ((trace.output * ey).sum() + (trace.membrane * es).sum()).backward();
    EXPECT_LT(distance(x.grad(), expected.x), 1e-12);
    EXPECT_LT(distance(layer->weight.grad(), expected.W), 1e-12);
    if (c.recurrent) {
      EXPECT_LT(distance(layer->recurrent.grad(), expected.R), 1e-12);
    }
    if (c.bias.defined()) {
      EXPECT_LT(distance(layer->bias.grad(), expected.bias), 1e-12);
    }
    EXPECT_LT(distance(layer->decay.grad(), expected.decay), 1e-12);
    EXPECT_LT(distance(layer->threshold.grad(), expected.theta), 1e-12);
    EXPECT_LT(distance(s0.grad(), expected.s0), 1e-12);
    // Without R and with a detached reset, the graph of the reference does not contain y0.
    const auto y0_grad = y0.grad().defined() ? y0.grad() : torch::zeros_like(y0);
    EXPECT_LT(distance(y0_grad, expected.y0), 1e-12);
  }
}

std::vector<SnuRule> rules() {
  std::vector<SnuRule> all;
  for (const std::string g : {"identity", "relu", "leaky_relu"})
    for (const ResetRow& reset : resets())
      for (const bool detached : {false, true}) {
        for (const SurrogateRow& surrogate : surrogates())
          all.push_back({g, "step", reset.name, surrogate.name, 0.7, detached});
        all.push_back({g, "sigmoid", reset.name, "tanh", 1, detached});
      }
  return all;
}

std::string words(const SnuRule& rule) {
  return rule.membrane_activation + " " + rule.output + " " + rule.reset + " " + rule.surrogate +
         (rule.detach_reset ? " detached" : "");
}

TEST(Snu, EveryRuleEqualsTheRecursionByHand) {
  for (const SnuRule& rule : rules())
    for (const bool recurrent : {false, true}) {
      SCOPED_TRACE(words(rule) + (recurrent ? " recurrent" : ""));
      expect_by_hand(drawn_case(rule, recurrent), {});
    }
}

TEST(Snu, EveryInstructionSetEqualsTheRecursion) {
  const std::string chosen = kernels::instruction_set().name;
  for (const auto& set : kernels::instruction_sets()) {
    SCOPED_TRACE(set.name);
    kernels::use_instruction_set(set.name);
    expect_by_hand(drawn_case({}, true), {});
    expect_by_hand(drawn_case({"identity", "sigmoid"}, true), {});
  }
  kernels::use_instruction_set(chosen);
}

TEST(Snu, SupportsMasksAndTruncation) {
  for (const SnuRule& rule :
       {SnuRule{}, SnuRule{"identity", "sigmoid", "subtract"}, SnuRule{"relu", "step", "lateral"}})
    for (const std::int64_t truncate : {0, 1, 2, 4}) {
      SCOPED_TRACE(words(rule) + ", truncated at " + std::to_string(truncate));
      testing::SnuCase c = drawn_case(rule, true, 7);
      c.truncate = truncate;
      expect_by_hand(c, {});
      c.present = (torch::arange(7).unsqueeze(1) < torch::tensor({7, 4, 0}).unsqueeze(0)).contiguous();
      expect_by_hand(c, {});
      c.present[2][0] = false;  // the state is kept through a gap in the middle
      expect_by_hand(c, {});
    }
}

TEST(Snu, SupportsSynapticCurrentsAndEprop) {
  for (const SnuRule& rule : {SnuRule{}, SnuRule{"identity", "sigmoid", "subtract"}})
    for (const auto& [synapse, eprop] : {std::pair{0.6, false}, {0.0, true}, {0.6, true}}) {
      SCOPED_TRACE(words(rule) + ", synapse " + std::to_string(synapse) + (eprop ? ", e-prop" : ""));
      testing::SnuCase c = drawn_case(rule, true, 7);
      if (synapse > 0) c.alpha = torch::linspace(synapse, 0.9, 19, f64);
      c.eprop = eprop;
      c.m = factor(torch::cat({c.W, c.R}, 1));
      expect_by_hand(c, {}, Rule{});
      c.present = (torch::arange(7).unsqueeze(1) < torch::tensor({7, 4, 0}).unsqueeze(0)).contiguous();
      c.truncate = 3;
      expect_by_hand(c, {}, Rule{});
    }
}

TEST(Snu, SupportsBiasesAndResetValues) {
  for (const SnuRule& rule : {SnuRule{}, SnuRule{"identity", "sigmoid"}, SnuRule{"identity", "step", "subtract"}})
    for (const std::string modulation : {"grapes", "grapes-local"})
      for (const bool detached : {false, true}) {
        SCOPED_TRACE(words(rule) + " " + modulation);
        testing::SnuCase c = drawn_case(rule, true, 7);
        c.bias = torch::linspace(-0.3, 0.4, 19, f64);
        c.alpha = torch::linspace(0, 0.8, 19, f64);
        if (rule.reset == "hard") c.rho = torch::linspace(-0.5, 0.3, 19, f64);
        c.detach_reset = detached;
        c.m = factor(torch::cat({c.W, c.R}, 1));
        c.local = modulation == "grapes-local";
        Rule credit;
        credit.modulation = modulation;
        expect_by_hand(c, {}, credit);
      }
}

TEST(Snu, FactorsScaleTheErrorAtTheCurrentOnce) {
  for (const std::string modulation : {"grapes", "grapes-local"})
    for (const bool recurrent : {false, true})
      for (const bool compounding : {false, true}) {
        if (compounding && modulation == "grapes-local") continue;
        SCOPED_TRACE(modulation + (recurrent ? " recurrent" : "") + (compounding ? " compounding" : ""));
        testing::SnuCase c = drawn_case({"leaky_relu"}, recurrent);
        c.m = factor(recurrent ? torch::cat({c.W, c.R}, 1) : c.W);
        c.local = modulation == "grapes-local";
        c.compounding = compounding;
        Rule credit;
        credit.modulation = modulation;
        expect_by_hand(c, {}, credit);
      }
}

/// The gradient of x_0 from an output T steps later: one unit, identity, no leak, with the error back through R only.
double error_after(std::int64_t steps, bool compounding, double constant, bool by_steps) {
  SnuOptions options;
  options.rule({"identity", "step", "none", "rectangular", 100});  // slope 1 at every membrane
  options.recurrent(true);
  options.decay(0);
  options.plain(by_steps);
  Rule credit;
  credit.modulation = "constant";
  credit.constants = {constant};
  credit.compounding = compounding;
  Snu layer(1, 1, options, credit);
  layer->to(f64);
  {
    const torch::NoGradGuard no_grad;
    layer->weight.fill_(1);
    layer->recurrent.fill_(1);
  }
  const auto x = torch::zeros({steps, 1, 1}, f64).requires_grad_();
  layer->forward(x)[-1].sum().backward();
  return x.grad()[0].item<double>();
}

TEST(Snu, TheErrorIsScaledOnlyOncePerTimeStep) {
  for (const bool by_steps : {true, false})
    for (const std::int64_t T : {5, 20}) {
      EXPECT_DOUBLE_EQ(error_after(T, false, 1, by_steps), 1);
      EXPECT_DOUBLE_EQ(error_after(T, false, 2, by_steps), 2);
      EXPECT_DOUBLE_EQ(error_after(T, true, 2, by_steps), std::pow(2, T));
    }
}

TEST(Snu, AFactorOfOneEqualsBackpropagationBitForBit) {
  for (const bool by_steps : {true, false})
    for (const auto dtype : {torch::kFloat, torch::kDouble}) {
      const testing::SnuCase c = drawn_case({}, true);
      std::vector<std::vector<at::Tensor>> gradients;
      for (const std::string modulation : {"none", "constant"}) {
        SnuOptions options;
        options.plain(by_steps);
        Rule credit;
        credit.modulation = modulation;
        credit.constants = {1};
        Snu layer = module_of(c, options, credit);
        layer->to(dtype);
        const auto x = c.x.to(dtype).requires_grad_();
        (layer->forward(x) * drawn({6, 3, 19}, 9).to(dtype)).sum().backward();
        gradients.push_back({x.grad()});
        for (const auto& p : layer->parameters()) gradients.back().push_back(p.grad());
      }
      for (std::size_t k = 0; k < gradients[0].size(); ++k) EXPECT_TRUE(torch::equal(gradients[0][k], gradients[1][k]));
    }
}

TEST(Snu, SmoothUnitsEqualFiniteDifferences) {
  for (const std::string reset : {"hard", "subtract", "none"}) {
    testing::SnuCase c = drawn_case({"identity", "sigmoid", reset}, true, 4);
    const auto weigh = drawn({4, 3, 19}, 11);
    Snu layer = module_of(c, {});
    (layer->run(c.x).output * weigh).sum().backward();
    for (const auto& p : layer->named_parameters()) {
      const torch::NoGradGuard no_grad;
      for (const std::int64_t k : {std::int64_t{0}, p.value().numel() / 2, p.value().numel() - 1}) {
        double* at = p.value().data_ptr<double>() + k;
        const double kept = *at, h = 1e-6;
        *at = kept + h;
        const double up = (layer->run(c.x).output * weigh).sum().item<double>();
        *at = kept - h;
        const double down = (layer->run(c.x).output * weigh).sum().item<double>();
        *at = kept;
        EXPECT_NEAR(p.value().grad().data_ptr<double>()[k], (up - down) / (2 * h), 1e-7) << reset << " " << p.key();
      }
    }
  }
}

TEST(Snu, RoutesChangeOnlyTheErrorAtTheInput) {
  const testing::SnuCase c = drawn_case({}, true);
  const auto ey = drawn({6, 3, 19}, 7);
  const auto expected = testing::backward(c, testing::forward(c), ey, torch::zeros_like(ey));
  for (const bool by_steps : {true, false})
    for (const std::string route : {"fa", "sign-symmetric", "dfa"}) {
      SCOPED_TRACE(route);
      SnuOptions options;
      options.plain(by_steps);
      Snu layer = module_of(c, options, plain(route));
      const auto x = c.x.clone().requires_grad_();
      (layer->run(x, {c.s0, c.y0}).output * ey).sum().backward();
      EXPECT_LT(distance(layer->weight.grad(), expected.W), 1e-12);
      EXPECT_LT(distance(layer->recurrent.grad(), expected.R), 1e-12);
      if (route == "dfa") {
        EXPECT_FALSE(x.grad().defined());
        continue;
      }
      // expected.x is δ W; with W = I it would be δ: recover δ by the case whose W is a selection
      const auto B =
          route == "fa" ? layer->feedback.t() : layer->weight.detach().sign() * layer->weight.detach().abs().mean();
      Snu exact = module_of(c, options);
      const auto delta_source = c.x.clone().requires_grad_();
      (exact->run(delta_source, {c.s0, c.y0}).output * ey).sum().backward();
      const auto delta = at::linear(delta_source.grad(), c.W.pinverse().t());  // 21 inputs, 19 units: W has full rank
      EXPECT_LT(distance(x.grad(), delta.matmul(B)), 1e-9);
    }
}

TEST(Snu, ProductsOfSpikesEqualDenseProducts) {
  using Inputs = SnuOptions::Inputs;
  std::vector<std::vector<at::Tensor>> results;
  testing::SnuCase c = drawn_case({}, false, 5);
  c.x = (drawn({70, 9, 600}, 1) > 1.1).to(f64);  // larger than a block of 512 columns and of 256 rows
  c.W = drawn({275, 600}, 2) * 0.2;
  c.decay = torch::full({275}, 0.8, f64);
  c.theta = torch::ones({275}, f64);
  for (const Inputs inputs : {Inputs::dense, Inputs::spikes, Inputs::measured}) {
    SnuOptions options;
    options.inputs(inputs);
    Snu layer = module_of(c, options);
    const SnuTrace trace = layer->run(c.x);
    (trace.output * drawn({70, 9, 275}, 3)).sum().backward();
    results.push_back({trace.output.detach(), trace.membrane.detach(), layer->weight.grad()});
  }
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_LT(distance(results[1][k], results[0][k]), 1e-12);
    EXPECT_LT(distance(results[2][k], results[0][k]), 1e-12);
  }
}

TEST(Snu, StateIsResetByDefaultAndKeptOnRequest) {
  const testing::SnuCase c = drawn_case({"identity", "sigmoid"}, true, 6);
  Snu forgetful = module_of(c, {});
  EXPECT_TRUE(torch::equal(forgetful->forward(c.x), forgetful->forward(c.x)));
  SnuOptions options;
  options.stateful(true);
  Snu layer = module_of(c, options);
  const auto whole = forgetful->forward(c.x), first = layer->forward(c.x.narrow(0, 0, 2)),
             second = layer->forward(c.x.narrow(0, 2, 4));
  EXPECT_LT(distance(torch::cat({first, second}), whole), 1e-14);
  layer->reset_state();
  EXPECT_TRUE(torch::equal(layer->forward(c.x.narrow(0, 0, 2)), first));
}

TEST(Snu, ACloneIsEqualAndLearnsIndependently) {
  const testing::SnuCase c = drawn_case({}, true, 6);
  Snu layer = module_of(c, {});
  const auto copy = std::dynamic_pointer_cast<SnuImpl>(layer->clone());
  const at::Tensor ours = layer->forward(c.x), theirs = copy->forward(c.x);
  EXPECT_TRUE(torch::equal(ours, theirs));
  theirs.sum().backward();
  EXPECT_TRUE(copy->recurrent.grad().defined() && !layer->recurrent.grad().defined());
  torch::NoGradGuard no_grad;
  layer->threshold.fill_(1e6);
  EXPECT_EQ(layer->forward(c.x).sum().item<double>(), 0);
  EXPECT_TRUE(torch::equal(copy->forward(c.x), theirs));
}

TEST(Snu, ReadoutsEqualTheirDefinitions) {
  SnuTrace trace;
  trace.output = torch::tensor({1.0, 0.0, 1.0, 1.0}, f64).view({4, 1, 1});
  trace.membrane = torch::tensor({-3.0, -1.0, -2.0, 5.0}, f64).view({4, 1, 1});
  trace.last = {trace.membrane[3], trace.output[3]};
  const std::vector<double> expected = {0.75, 5, 5, -1}, masked = {2.0 / 3, 5, -1, -6};
  const auto present = torch::tensor({1, 1, 1, 0}).to(torch::kBool).view({4, 1});
  for (std::size_t k = 0; k < readouts().size(); ++k) {
    EXPECT_DOUBLE_EQ(readouts()[k].read(trace, {}).item<double>(), expected[k]) << readouts()[k].name;
    SnuTrace held = trace;
    held.output = trace.output * present.unsqueeze(-1);
    EXPECT_DOUBLE_EQ(readouts()[k].read(held, present).item<double>(), masked[k]) << readouts()[k].name;
  }
}

TEST(Snu, InvalidArgumentsAreErrors) {
  SnuOptions options;
  options.rule().surrogate = "tanhh";
  EXPECT_THAT([&] { Snu(3, 2, options); },
              ::testing::ThrowsMessage<c10::ValueError>(::testing::HasSubstr("did you mean 'tanh'")));
  options.rule().surrogate = "tanh";
  options.rule().surrogate_width = 0;
  EXPECT_THAT([&] { Snu(3, 2, options); },
              ::testing::ThrowsMessage<c10::ValueError>(::testing::HasSubstr("surrogate_width")));
  Snu layer(3, 2);
  EXPECT_THAT(
      [&] {
        layer->forward(torch::zeros({4, 3}));
      },
      ::testing::ThrowsMessage<c10::Error>(::testing::HasSubstr("[time, batch, 3]")));
  const auto y = layer->forward(torch::rand({4, 2, 3}));
  {
    const torch::NoGradGuard no_grad;
    layer->weight.mul_(2);
  }
  EXPECT_THAT([&] { y.sum().backward(); }, ::testing::ThrowsMessage<c10::Error>(::testing::HasSubstr("in place")));
}

/// A 1 × 1 convolution at one position is a linear layer; at several positions fused equals the reference.
TEST(Neurons, OnAConvolutionEqualADenseLayerAndTheReference) {
  const testing::SnuCase c = drawn_case({"leaky_relu"}, false);
  Rule credit;
  Snu dense = module_of(c, {}, credit);
  const std::int64_t time = c.x.size(0), batch = c.x.size(1), in = c.x.size(2), nodes = c.W.size(0);
  SnuOptions options;
  options.rule({c.g, c.output, c.reset, c.surrogate, c.width, c.detach_reset});
  options.learn_decay(SnuOptions::Decay::per_node);
  const auto error = drawn({time, batch, nodes}, 7);
  (dense->forward(c.x) * error).sum().backward();
  std::vector<std::vector<at::Tensor>> wide;
  for (const bool by_steps : {true, false}) {
    options.plain(by_steps);
    Conv2d conv(torch::nn::Conv2dOptions(in, nodes, 1).bias(false), credit);
    Neurons neurons(nodes, options);
    conv->to(f64);
    neurons->to(f64);
    {
      const torch::NoGradGuard no_grad;
      conv->weight.copy_(c.W.view({nodes, in, 1, 1}));
      neurons->decay.copy_(c.decay);
      neurons->threshold.copy_(c.theta);
    }
    const auto forward = [&](const at::Tensor& x) {
      const auto z = conv->forward(x.flatten(0, 1));
      return neurons->forward(z.view({x.size(0), x.size(1), nodes, z.size(2), z.size(3)}));
    };
    const auto y = forward(c.x.view({time, batch, in, 1, 1})).flatten(2);
    EXPECT_TRUE(torch::equal(y, dense->forward(c.x).detach()));
    (y * error).sum().backward();
    EXPECT_LT(distance(conv->weight.grad().flatten(1), dense->weight.grad()), 1e-12);
    EXPECT_LT(distance(neurons->threshold.grad(), dense->threshold.grad()), 1e-12);
    EXPECT_LT(distance(neurons->decay.grad(), dense->decay.grad()), 1e-12);

    conv->zero_grad();
    neurons->zero_grad();
    const auto x = (drawn({time, batch, in, 3, 2}, 9) > 0.5).to(f64).requires_grad_();
    const auto out = forward(x);
    (out * drawn(out.sizes(), 11)).sum().backward();
    wide.push_back({out.detach(), x.grad(), conv->weight.grad(), neurons->threshold.grad(), neurons->decay.grad()});
  }
  for (std::size_t i = 0; i < wide[0].size(); ++i) EXPECT_LT(distance(wide[0][i], wide[1][i]), 1e-12) << i;
}

/// Maps are large enough to run in strips. In blocks of channels, neurons do what they do on a map by channel.
TEST(Neurons, OnMapsInBlocksEqualThoseOnMapsByChannelAndTheReference) {
  const std::int64_t time = 5, batch = 3, channels = 16, rows = 11, columns = 13, lanes = 8;
  const auto blocked = [&](const at::Tensor& map) {
    return map.view({time, batch, channels / lanes, lanes, rows, columns}).permute({0, 1, 2, 4, 5, 3}).contiguous();
  };
  for (const auto dtype : {torch::kFloat, torch::kDouble})
    for (const std::string reset : {"hard", "subtract", "lateral"})
      for (const bool own : {false, true})
        for (const double synapse : {0.0, 0.6}) {
          SCOPED_TRACE(reset + (own ? ", constants per value" : ", constants per channel"));
          SnuOptions options;
          options.rule({.membrane_activation = "leaky_relu", .output = "sigmoid", .reset = reset}).synapse(synapse);
          options.learn_decay(SnuOptions::Decay::per_node).truncate(3);
          const auto learned = [&](bool in_blocks, bool by_steps) {
            options.plain(by_steps);
            SnuLayer layer(options, false, std::make_shared<kernels::Workspace>());
            layer.add_constants(own ? channels * rows * columns : channels, dtype, false);
            {
              const torch::NoGradGuard no_grad;
              layer.decay.copy_(drawn(layer.decay.sizes(), 3).sigmoid());
              layer.threshold.copy_(drawn(layer.threshold.sizes(), 4).abs());
            }
            const auto current = drawn({time, batch, channels, rows, columns}, 1).to(dtype).requires_grad_();
            auto given = current * 1;
            const auto y = layer.on_map(in_blocks ? blocked(given) : given, {}, {}).output;
            const auto map = in_blocks ? kernels::unblocked(y, 2) : y;
            (map * drawn(map.sizes(), 2).to(dtype)).sum().backward();
            return std::vector<at::Tensor>{map.detach(), current.grad(), layer.decay.grad(), layer.threshold.grad()};
          };
          const auto blocks = learned(true, false), fused = learned(false, false), reference = learned(false, true);
          const double tolerance = dtype == torch::kFloat ? 1e-4 : 1e-12;
          for (std::size_t i = 0; i < blocks.size(); ++i) {
            const double size = reference[i].norm().item<double>();
            EXPECT_GT(size, 0) << i;
            EXPECT_LT((blocks[i] - reference[i]).norm().item<double>(), tolerance * size) << i;
            EXPECT_LT((fused[i] - reference[i]).norm().item<double>(), tolerance * size) << i;
          }
        }
}

TEST(Neurons, OverwriteOnlyACurrentThatNothingElseHolds) {
  SnuOptions options;
  SnuLayer layer(options, false, std::make_shared<kernels::Workspace>());
  layer.add_constants(4, f64, false);
  const torch::NoGradGuard no_grad;
  at::Tensor current = drawn({3, 2, 4, 5, 5}, 1);
  const auto before = current.clone();
  const void* place = current.data_ptr();
  EXPECT_NE(layer.on_map(current, {}, {}).membrane.data_ptr(), place);
  EXPECT_TRUE(torch::equal(current, before));
  EXPECT_EQ(layer.on_map(std::move(current), {}, {}).membrane.data_ptr(), place);
}

}  // namespace
}  // namespace grapes::nn
