// Recurrent layers: W x takes the propagating version and R y the local one. Compares them with an explicit recurrence.
#include "grapes/core/modulate.h"
#include "grapes/core/responsibility.h"
#include "grapes/credit/backward.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <functional>

namespace grapes {
namespace {

using Named = torch::OrderedDict<std::string, at::Tensor>;

/// Options for the modulation of a recurrent layer.
struct Way {
  bool input_only = false, per_gate = false, compounding = false, plain = false;
};

/// clip(2 r / max r, 1, 2) with r[n] summed over the gates of unit n, computed explicitly; all rows of a unit are
/// equal.
at::Tensor factor_by_hand(const at::Tensor& W, const at::Tensor& R, std::int64_t nodes, const Way& way) {
  const std::int64_t gates = W.size(0) / nodes;
  at::Tensor m = at::empty({gates * nodes}, at::kDouble);
  const auto rows = [&](std::int64_t g, std::int64_t n) {
    double r = W.detach()[g * nodes + n].abs().sum().item<double>();
    if (!way.input_only) r += R.detach()[g * nodes + n].abs().sum().item<double>();
    return r;
  };
  for (std::int64_t g = 0; g < gates; ++g) {
    std::vector<double> r(static_cast<std::size_t>(nodes), 0);
    for (std::int64_t n = 0; n < nodes; ++n)
      for (std::int64_t k = 0; k < gates; ++k)
        if (!way.per_gate || k == g) r[static_cast<std::size_t>(n)] += rows(k, n);
    const double most = *std::max_element(r.begin(), r.end());
    for (std::int64_t n = 0; n < nodes; ++n)
      m[g * nodes + n] = std::clamp(2 * r[static_cast<std::size_t>(n)] / most, 1.0, 2.0);
  }
  return m;
}

/// One layer in one direction over x [time, batch, input], with the modulations in the forward pass.
at::Tensor layer_by_hand(const std::string& kind, const Named& p, const std::string& suffix, const at::Tensor& x,
                         const Way& way) {
  const at::Tensor W = p["weight_ih" + suffix], R = p["weight_hh" + suffix];
  const bool biased = p.contains("bias_ih" + suffix);
  const at::Tensor zero = at::zeros({W.size(0)}, at::kDouble);
  const at::Tensor b = biased ? p["bias_ih" + suffix] : zero, c = biased ? p["bias_hh" + suffix] : zero;
  const std::int64_t nodes = R.size(1), gates = W.size(0) / nodes;
  const at::Tensor m = way.plain ? at::ones({W.size(0)}, at::kDouble) : factor_by_hand(W, R, nodes, way);
  const at::Tensor Rm = way.compounding ? R : modulate(R, m, 0), cm = way.compounding ? c : modulate(c, m, 0);
  at::Tensor h = at::zeros({x.size(1), nodes}, at::kDouble), s = h;
  std::vector<at::Tensor> out(static_cast<std::size_t>(x.size(0)));
  const bool reverse = suffix.find("_reverse") != std::string::npos;
  for (std::int64_t step = 0; step < x.size(0); ++step) {
    const std::int64_t t = reverse ? x.size(0) - 1 - step : step;
    const auto i = modulate(at::linear(x[t], W, b), m).chunk(gates, 1);
    at::Tensor back = at::linear(h, Rm, cm);
    if (way.compounding) back = modulate(back, m);
    const auto r = back.chunk(gates, 1);
    if (kind == "rnn") {
      h = at::tanh(i[0] + r[0]);
    } else if (kind == "lstm") {
      s = at::sigmoid(i[1] + r[1]) * s + at::sigmoid(i[0] + r[0]) * at::tanh(i[2] + r[2]);
      h = at::sigmoid(i[3] + r[3]) * at::tanh(s);
    } else {
      const at::Tensor z = at::sigmoid(i[1] + r[1]);
      h = (1 - z) * at::tanh(i[2] + at::sigmoid(i[0] + r[0]) * r[2]) + z * h;
    }
    out[static_cast<std::size_t>(t)] = h;
  }
  return at::stack(out);
}

at::Tensor by_hand(const std::string& kind, const Named& p, const at::Tensor& x, const Way& way) {
  at::Tensor h = x;
  for (int layer = 0; p.contains("weight_ih_l" + std::to_string(layer)); ++layer) {
    const std::string suffix = "_l" + std::to_string(layer);
    at::Tensor out = layer_by_hand(kind, p, suffix, h, way);
    if (p.contains("weight_ih" + suffix + "_reverse"))
      out = at::cat({out, layer_by_hand(kind, p, suffix + "_reverse", h, way)}, 2);
    h = out;
  }
  return h;
}

template <class Module>
void widen(Module& module) {
  torch::manual_seed(4);
  module->to(at::kDouble);
  const at::NoGradGuard no_grad;
  for (at::Tensor& p : module->parameters())
    p.copy_(
        at::randn_like(p) *
        (at::rand({p.size(0)}).view(p.dim() == 1 ? std::vector<std::int64_t>{-1} : std::vector<std::int64_t>{-1, 1}) +
         0.1));
}

double largest(const at::Tensor& values) { return values.abs().max().item<double>(); }

std::vector<at::Tensor> take_gradients(torch::nn::Module& module) {
  std::vector<at::Tensor> all;
  for (at::Tensor& p : module.parameters()) {
    all.push_back(p.grad().clone());
    p.mutable_grad() = at::Tensor();
  }
  return all;
}

/// Runs a recurrent layer under a linear readout, so that the layer is hidden.
template <class Module>
void check(Module& module, const std::string& kind, const std::function<at::Tensor(const at::Tensor&)>& forward,
           const Way& way = {}) {
  SCOPED_TRACE(kind);
  const at::Tensor x = at::randn({5, 3, 4}, at::kDouble);
  const at::Tensor first = forward(x).detach();
  const at::Tensor V = at::randn({2, first.size(2)}, at::kDouble).requires_grad_();
  std::vector<std::pair<std::string, at::Tensor>> named = {{"read.V", V}};
  for (const auto& item : module->named_parameters()) named.emplace_back("rnn." + item.key(), item.value());
  BackwardOptions options;
  if (way.input_only) options.rule().responsibility = credit::Responsibility::input;
  options.rule().per_gate = way.per_gate;
  options.rule().compounding = way.compounding;
  Modulator modulator(named, options);
  modulator.backward(at::matmul(forward(x), V.t()).pow(2).sum());
  const auto ours = take_gradients(*module);
  for (const Attachment& attachment : modulator.attachments())
    EXPECT_EQ(attachment.state, attachment.name == "read.V" ? Attachment::State::output : Attachment::State::modulated)
        << attachment.name << ": " << attachment.reason;

  const Named p = module->named_parameters();
  const at::Tensor twin = by_hand(kind, p, x, way);
  ASSERT_TRUE(at::allclose(twin, first, 1e-12, 1e-12));
  at::matmul(twin, V.t()).pow(2).sum().backward();
  const auto expected = take_gradients(*module);
  Way plain;
  plain.plain = true;
  at::matmul(by_hand(kind, p, x, plain), V.t()).pow(2).sum().backward();
  const auto without = take_gradients(*module);
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const double scale = std::max(1.0, largest(expected[i]));
    EXPECT_LE(largest(ours[i] - expected[i]), 1e-12 * scale) << p.keys()[i];
    EXPECT_FALSE(at::allclose(ours[i], without[i], 1e-6, 1e-9)) << p.keys()[i] << " is the plain gradient";
  }
}

template <class Options>
Options sized(bool bidirectional, std::int64_t layers, bool bias) {
  return Options(4, 3).bidirectional(bidirectional).num_layers(layers).bias(bias);
}

TEST(BackwardRecurrent, ModulatesAllLayersDirectionsAndBiases) {
  for (const bool bidirectional : {false, true})
    for (const std::int64_t layers : {1, 2})
      for (const bool bias : {true, false}) {
        torch::nn::RNN rnn(sized<torch::nn::RNNOptions>(bidirectional, layers, bias));
        torch::nn::LSTM lstm(sized<torch::nn::LSTMOptions>(bidirectional, layers, bias));
        torch::nn::GRU gru(sized<torch::nn::GRUOptions>(bidirectional, layers, bias));
        widen(rnn), widen(lstm), widen(gru);
        check(rnn, "rnn", [&](const at::Tensor& x) { return std::get<0>(rnn(x)); });
        check(lstm, "lstm", [&](const at::Tensor& x) { return std::get<0>(lstm(x)); });
        check(gru, "gru", [&](const at::Tensor& x) { return std::get<0>(gru(x)); });
      }
}

TEST(BackwardRecurrent, SupportsBatchFirst) {
  torch::nn::LSTM lstm(sized<torch::nn::LSTMOptions>(false, 1, true).batch_first(true));
  widen(lstm);
  check(lstm, "lstm", [&](const at::Tensor& x) { return std::get<0>(lstm(x.transpose(0, 1))).transpose(0, 1); });
}

TEST(BackwardRecurrent, SupportsInputOnlyPerGateAndCompounding) {
  torch::nn::LSTM lstm(sized<torch::nn::LSTMOptions>(false, 2, true));
  torch::nn::GRU gru(sized<torch::nn::GRUOptions>(true, 1, true));
  widen(lstm), widen(gru);
  Way input_only, per_gate, compounding;
  input_only.input_only = per_gate.per_gate = compounding.compounding = true;
  for (const Way& way : {input_only, per_gate, compounding}) {
    check(
        lstm, "lstm", [&](const at::Tensor& x) { return std::get<0>(lstm(x)); }, way);
    check(
        gru, "gru", [&](const at::Tensor& x) { return std::get<0>(gru(x)); }, way);
  }
}

TEST(BackwardRecurrent, FrozenWeightsScaleTheErrorThatPassesThroughThem) {
  torch::nn::LSTM lstm(sized<torch::nn::LSTMOptions>(false, 2, true));
  widen(lstm);
  const at::Tensor x = at::randn({5, 3, 4}, at::kDouble).requires_grad_(), V = at::randn({2, 3}, at::kDouble);
  for (const std::string frozen : {"weight_ih_l0", "weight_ih_l1", "weight_hh_l1"}) {
    lstm->named_parameters()[frozen].requires_grad_(false);
    std::vector<std::pair<std::string, at::Tensor>> named;
    for (const auto& item : lstm->named_parameters()) named.emplace_back("rnn." + item.key(), item.value());
    std::vector<at::Tensor> inputs = {x};
    for (const at::Tensor& p : lstm->parameters())
      if (p.requires_grad()) inputs.push_back(p);
    for (at::Tensor& input : inputs) input.mutable_grad() = at::Tensor();
    Modulator(named, BackwardOptions().include({"rnn"})).backward(at::matmul(std::get<0>(lstm(x)), V.t()).pow(2).sum());
    const at::Tensor twin = by_hand("lstm", lstm->named_parameters(), x, {});
    const auto expected = torch::autograd::grad({at::matmul(twin, V.t()).pow(2).sum()}, inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      EXPECT_TRUE(at::allclose(inputs[i].grad(), expected[i], 1e-11, 1e-12)) << frozen << " " << i;
  }
}

TEST(BackwardRecurrent, ModulatesCellsInAHandWrittenLoop) {
  torch::nn::LSTMCell cell(4, 3);
  widen(cell);
  const auto forward = [&](const at::Tensor& x) {
    auto state = std::make_tuple(at::zeros({3, 3}, at::kDouble), at::zeros({3, 3}, at::kDouble));
    std::vector<at::Tensor> out;
    for (std::int64_t t = 0; t < x.size(0); ++t) {
      state = cell(x[t], state);
      out.push_back(std::get<0>(state));
    }
    return at::stack(out);
  };
  // The reference needs a layer's names.
  const at::Tensor x = at::randn({5, 3, 4}, at::kDouble), V = at::randn({2, 3}, at::kDouble).requires_grad_();
  std::vector<std::pair<std::string, at::Tensor>> named = {{"V", V}};
  for (const auto& item : cell->named_parameters()) named.emplace_back(item.key(), item.value());
  Modulator(named).backward(at::matmul(forward(x), V.t()).pow(2).sum());
  const auto ours = take_gradients(*cell);
  Named layer;
  for (const auto& item : cell->named_parameters()) layer.insert(item.key() + "_l0", item.value());
  at::matmul(by_hand("lstm", layer, x, {}), V.t()).pow(2).sum().backward();
  const auto expected = take_gradients(*cell);
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const double scale = std::max(1.0, largest(expected[i]));
    EXPECT_LE(largest(ours[i] - expected[i]), 1e-12 * scale);
  }
}

TEST(BackwardRecurrent, TheMostResponsibleUnitIsScaledByTwoOncePerTimeStep) {
  // One unit, so its factor is 2. After twenty steps the gradient is twice the plain one, not 2^20 times.
  torch::nn::RNN rnn(torch::nn::RNNOptions(1, 1).bias(false));
  widen(rnn);
  const at::Tensor x = at::randn({20, 1, 1}, at::kDouble);
  BackwardOptions options;
  options.include({"weight_ih_l0"});
  Modulator(*rnn, options).backward(std::get<0>(rnn(x)).sum());
  const auto ours = take_gradients(*rnn);
  std::get<0>(rnn(x)).sum().backward();
  const auto plain = take_gradients(*rnn);
  for (const std::size_t i : {0, 1}) EXPECT_TRUE(at::allclose(ours[i], 2 * plain[i], 1e-12, 1e-12));
}

TEST(BackwardRecurrent, ARecurrentOutputLayerIsNotModulated) {
  torch::nn::LSTM lstm(sized<torch::nn::LSTMOptions>(false, 2, true));
  widen(lstm);
  Modulator modulator(*lstm);
  modulator.backward(std::get<0>(lstm(at::randn({5, 3, 4}, at::kDouble)))[4].sum());
  ASSERT_EQ(modulator.attachments().size(), 2u);
  EXPECT_EQ(modulator.attachments()[0].name, "l0");
  EXPECT_EQ(modulator.attachments()[0].state, Attachment::State::modulated);
  EXPECT_EQ(modulator.attachments()[1].state, Attachment::State::output);
}

}  // namespace
}  // namespace grapes
