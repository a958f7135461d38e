// Convolutional spiking networks: a convolution on one position compared with a dense layer on every rule; a network
// compared with an explicit graph; fused and recomputed networks compared with their reference; tdBN; delays.
#include "grapes/base/error.h"
#include "grapes/core/modulate.h"
#include "grapes/core/responsibility.h"
#include "grapes/credit/modulation.h"
#include "grapes/kernels/convolution.h"
#include "grapes/nn/network.h"
#include "grapes/nn/nn_test.h"
#include "grapes/nn/surrogate.h"

#include <gmock/gmock.h>
#include <torch/torch.h>

namespace grapes::nn {
namespace {

constexpr std::int64_t shown_steps = 5;

Options over_maps(const std::string& model, const std::string& route = "bp", const std::string& modulation = "none") {
  Options options = rule_options(model, route, modulation);
  options.spiking.neuron = "lif";
  options.spiking.threshold = 0.5;
  options.spiking.learn_decay = SnuOptions::Decay::per_node;
  options.encoding = {"direct", shown_steps};
  return options;
}

at::Tensor drawn_positive(at::IntArrayRef shape, std::uint64_t seed) { return drawn(shape, seed).abs(); }

/// Logits, then the gradients of all parameters by name.
std::vector<std::pair<std::string, at::Tensor>> learned(Network& model, const at::Tensor& x, bool plain = false) {
  Pass pass;
  pass.training = true;
  pass.plain = plain;
  const at::Tensor logits = model.forward(x, pass);
  (logits * drawn(logits.sizes(), 2)).sum().backward();
  model.mirror_gradients();
  std::vector<std::pair<std::string, at::Tensor>> all = {{"logits", logits.detach()}};
  for (const Named& one : model.parameters()) {
    all.emplace_back(one.name, one.value.grad().defined() ? one.value.grad().clone() : at::Tensor());
    at::Tensor(one.value).mutable_grad().reset();
  }
  return all;
}

void copy_values(const std::vector<Named>& from, const std::vector<Named>& to) {
  const torch::NoGradGuard no_grad;
  ASSERT_EQ(from.size(), to.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    ASSERT_EQ(from[i].name, to[i].name);
    at::Tensor(to[i].value).copy_(from[i].value.reshape(to[i].value.sizes()));
  }
}

void expect_alike(const std::vector<std::pair<std::string, at::Tensor>>& a,
                  const std::vector<std::pair<std::string, at::Tensor>>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].second.defined(), b[i].second.defined()) << a[i].first;
    if (a[i].second.defined()) {
      EXPECT_TRUE(torch::allclose(a[i].second.flatten(), b[i].second.flatten(), 1e-10, 1e-12)) << a[i].first;
    }
  }
}

/// A dense B has a row per unit that receives the error; as a kernel it has W's shape.
at::Tensor like_a_kernel(const Named& one, at::IntArrayRef shape) {
  const bool turned = one.name.ends_with("feedback") && shape.size() == 4;
  return (turned ? one.value.t() : one.value).reshape(shape);
}

TEST(SpikingMaps, AConvolutionOfOnePositionIsADenseLayerOnEveryRule) {
  const auto x = drawn_positive({4, 6, 1, 1}, 1);
  for (const auto& route : credit::routes()) {
    if (route.name == "ifa") continue;
    for (const auto& modulation : credit::modulations()) {
      if (modulation.whole != nullptr) continue;  // refused
      SCOPED_TRACE(route.name + "+" + modulation.name);
      Options options = over_maps("spiking:conv9k1p0,conv7k1p0", route.name, modulation.name);
      options.rule.constants = {1.5};
      options.bias = true;
      const auto maps = make_network(options, {{6, 1, 1}, 3}, 1);
      options.model = parse_model("snn:9,7");
      const auto dense = make_network(options, {{6}, 3}, 1);
      // Dense layers name their parameters in another order, and random factors are drawn from the same stream.
      const torch::NoGradGuard no_grad;
      for (const auto& [theirs, ours] :
           {std::pair{dense->parameters(), maps->parameters()}, {dense->buffers(), maps->buffers()}})
        for (const Named& to : ours)
          for (const Named& from : theirs)
            if (from.name == to.name) at::Tensor(to.value).copy_(like_a_kernel(from, to.value.sizes()));
      const torch::AutoGradMode graph(true);
      const auto first = learned(*maps, x);
      auto second = learned(*dense, x.flatten(1));
      for (std::size_t i = 1; i < second.size(); ++i)  // feedback weights that learn
        if (first[i].second.defined())
          second[i].second = like_a_kernel({second[i].first, second[i].second}, first[i].second.sizes());
      EXPECT_GT(first[1].second.abs().sum().item<double>(), 0);
      expect_alike(first, second);
    }
  }
}

TEST(SpikingMaps, EqualsAnExplicitGraph) {
  for (const std::string modulation : {"none", "grapes"}) {
    Options options = over_maps("spiking:conv4k3s2p1,conv3k3-avg2", "bp", modulation);
    options.bias = true;
    options.rule.responsibility = credit::Responsibility::incoming;
    const auto model = make_network(options, {{2, 9, 9}, 3}, 1);
    const auto x = drawn_positive({3, 2, 9, 9}, 1);
    const auto ours = learned(*model, x);

    std::map<std::string, at::Tensor> p;
    for (const Named& one : model->parameters()) p[one.name] = one.value.detach().clone().requires_grad_();
    const auto factored = [&](const at::Tensor& z, const at::Tensor& W) {
      return modulation == "none" ? z : modulate(z, factor(W.detach()), 1);
    };
    const SurrogateRow& tanh = surrogates()[0];
    const auto fire = [&](const at::Tensor& c, const std::string& layer, at::Tensor& s, at::Tensor& y) {
      std::vector<std::int64_t> shape(static_cast<std::size_t>(c.dim()), 1);
      shape[1] = -1;
      const at::Tensor kept = s.defined() ? p[layer + "decay"].view(shape) * s * (1 - y) : torch::zeros_like(c);
      s = c + kept;
      y = spike(s - p[layer + "threshold"].view(shape), tanh, 1);
      return y;
    };
    std::vector<at::Tensor> s(3), y(3);
    at::Tensor rate;
    for (std::int64_t t = 0; t < shown_steps; ++t) {
      auto h = torch::conv2d(x, p["layers.0.weight"], p["layers.0.bias"], 2, 1);
      h = fire(factored(h, p["layers.0.weight"]), "layers.0.", s[0], y[0]);
      h = torch::conv2d(h, p["layers.1.weight"], p["layers.1.bias"], 1, 1);
      h = fire(torch::avg_pool2d(factored(h, p["layers.1.weight"]), 2), "layers.1.", s[1], y[1]);
      h = fire(torch::linear(h.flatten(1), p["layers.2.weight"], p["layers.2.bias"]), "layers.2.", s[2], y[2]);
      rate = rate.defined() ? rate + h / shown_steps : h / shown_steps;
    }
    EXPECT_GT(rate.sum().item<double>(), 0);
    EXPECT_TRUE(torch::allclose(rate, ours[0].second, 1e-12, 1e-12));
    (rate * drawn(rate.sizes(), 2)).sum().backward();
    for (std::size_t i = 1; i < ours.size(); ++i)
      EXPECT_TRUE(torch::allclose(ours[i].second, p[ours[i].first].grad(), 1e-10, 1e-12)) << ours[i].first;
  }
}

TEST(SpikingMaps, EveryModelEqualsItsReferenceAlsoWithRecomputing) {
  for (const std::string model :
       {"spiking-lenet", "spiking-vgg:6,5", "spiking-resnet:6,5", "spiking:conv4k5s2,max2,delay1,conv4g2,sum2,20"})
    for (const std::string route : {"bp", "fa", "dfa", "eprop"})
      for (const std::string neuron : {"lif", "cuba-lif", "alif"}) {
        SCOPED_TRACE(model + " " + route + " " + neuron);
        Options options = over_maps(model, route, "grapes");
        options.spiking.neuron = neuron;
        options.norm = model == "spiking-vgg:6,5" ? Norm::threshold : Norm::none;
        const Signature signature{{1, 16, 16}, 3};
        const auto x = drawn_positive({2, 1, 16, 16}, 1);
        if (model == "spiking-lenet") options.norm = Norm::batch;
        const auto one = make_network(options, signature, 1);
        const auto fused = learned(*one, x), plain = learned(*one, x, true);
        EXPECT_GT(fused[1].second.abs().sum().item<double>(), 0);
        expect_alike(fused, plain);
        options.recompute = true;
        const auto again = make_network(options, signature, 1);
        expect_alike(learned(*again, x), fused);
      }
}

/// In float32 maps stay in blocks of channels. All values of the forward pass are multiples of powers of two, so sums
/// in another order are equal, and no neuron fires in one version only.
TEST(SpikingMaps, InBlocksOfChannelsEveryModelEqualsItsReference) {
  kernels::winograd_allowed() = false;
  for (const std::string model : {"spiking-vgg:16,32", "spiking-resnet:16,32",
                                  "spiking:conv16k3-avg2,max2,delay1,conv32g1,sum2,20", "spiking:conv6,conv16k5,avg3"})
    for (const std::string route : {"bp", "fa", "dfa", "eprop"})
      for (const std::string neuron : {"lif", "cuba-lif", "alif"}) {
        SCOPED_TRACE(model + " " + route + " " + neuron);
        Options options = over_maps(model, route, "grapes");
        options.spiking.neuron = neuron;
        options.spiking.decay = options.spiking.synapse = options.spiking.adaptation_decay = 0.5;
        options.spiking.adaptation = 0.25;
        options.spiking.threshold = 0.25;
        options.precision.dtype = at::kFloat;
        const Signature signature{{2, 16, 16}, 3, true};
        const auto x = drawn({2, 4, 2, 16, 16}, 1).gt(0).to(torch::kFloat);
        std::vector<std::vector<std::pair<std::string, at::Tensor>>> all;
        for (const bool recompute : {false, true}) {
          options.recompute = recompute;
          const auto network = make_network(options, signature, 1);
          {
            const torch::NoGradGuard no_grad;
            for (const Named& one : network->parameters())
              if (one.value.dim() > 1) at::Tensor(one.value).mul_(128).round_().div_(64);
          }
          all.push_back(learned(*network, x));
          if (!recompute) all.push_back(learned(*network, x, true));
        }
        EXPECT_GT(all[0][1].second.abs().sum().item<double>(), 0) << "gradient of the first weight";
        for (std::size_t i = 0; i < all[0].size(); ++i) {
          const auto& [name, reference] = all[1][i];
          for (const std::size_t version : {0, 2}) {
            const at::Tensor& ours = all[version][i].second;
            ASSERT_EQ(ours.defined(), reference.defined()) << name;
            if (ours.defined()) {
              EXPECT_LE((ours - reference).norm().item<double>(), 1e-4 * reference.norm().item<double>() + 1e-6)
                  << name;
            }
          }
        }
      }
  kernels::winograd_allowed() = true;
}

/// Normalization rounds, so the neurons are smooth here.
TEST(SpikingMaps, NormalizedBlocksOfChannelsEqualTheirReference) {
  for (const Norm norm : {Norm::threshold, Norm::batch}) {
    Options options = over_maps("spiking-resnet:16,32", "bp", "grapes");
    options.spiking.neuron = "ssnu";
    options.norm = norm;
    options.precision.dtype = at::kFloat;
    const auto x = drawn_positive({2, 1, 16, 16}, 1).to(torch::kFloat);
    const auto ours = learned(*make_network(options, {{1, 16, 16}, 3}, 1), x),
               reference = learned(*make_network(options, {{1, 16, 16}, 3}, 1), x, true);
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const double size = reference[i].second.norm().item<double>();
      EXPECT_GT(size, 0) << ours[i].first;
      EXPECT_LE((ours[i].second - reference[i].second).norm().item<double>(), 1e-3 * size) << ours[i].first;
    }
  }
}

TEST(SpikingMaps, ActivityOfBlocksOfChannelsIsByChannel) {
  Options options = over_maps("spiking:conv16k3");
  const Signature signature{{2, 8, 8}, 3};
  const auto by_channel = make_network(options, signature, 1);
  options.precision.dtype = at::kFloat;
  const auto in_blocks = make_network(options, signature, 1);
  for (const Network* one : {by_channel.get(), in_blocks.get()}) {
    const torch::NoGradGuard no_grad;
    for (const Named& weight : one->parameters())
      if (weight.value.dim() > 1) at::Tensor(weight.value).mul_(16).round_().div_(16);
  }
  const auto x = drawn_positive({2, 2, 8, 8}, 1).mul_(8).round_().div_(8);
  by_channel->forward(x, {});
  in_blocks->forward(x.to(torch::kFloat), {});
  const at::Tensor ours = in_blocks->activity()[0].output, reference = by_channel->activity()[0].output;
  EXPECT_GT(reference.sum().item<double>(), 0);
  EXPECT_TRUE(torch::equal(ours.to(f64), reference));
}

/// A row's answer does not depend on the batch it is in.
TEST(SpikingMaps, ExamplesAreIndependent) {
  const auto model = make_network(over_maps("spiking-resnet:4,6"), {{2, 8, 8}, 3}, 1);
  const auto x = drawn_positive({4, 2, 8, 8}, 1);
  const auto all = model->forward(x, {});
  EXPECT_GT(all.sum().item<double>(), 0);
  for (std::int64_t b = 0; b < 4; ++b)
    EXPECT_TRUE(torch::allclose(model->forward(x.narrow(0, b, 1), {})[0], all[b], 1e-12, 1e-12));
}

TEST(SpikingMaps, ThresholdNormalizationStartsAtTheThreshold) {
  Options options = over_maps("spiking:conv4");
  options.norm = Norm::threshold;
  const auto model = make_network(options, {{2, 8, 8}, 3}, 1);
  int found = 0;
  for (const Named& one : model->parameters())
    if (one.name == "layers.0.scale") {
      ++found;
      EXPECT_TRUE(torch::equal(one.value, torch::full({4}, 0.5, f64)));
    }
  EXPECT_EQ(found, 1);
  options.model = parse_model("cnn:4");
  EXPECT_THROW(make_network(options, {{2, 8, 8}, 3}, 1), UsageError) << "there are no thresholds";
}

TEST(SpikingMaps, ActivityHasTheNamesOfTheLayersWithNeurons) {
  const auto model = make_network(over_maps("spiking:conv4k3,avg2,6"), {{2, 8, 8}, 3}, 1);
  model->forward(drawn_positive({2, 2, 8, 8}, 1), {});
  std::vector<std::string> names;
  std::vector<std::int64_t> units;
  for (const Activity& one : model->activity()) {
    names.push_back(one.name);
    units.push_back(one.output.size(2));
  }
  EXPECT_THAT(names, ::testing::ElementsAre("layers.0", "layers.1", "layers.2"));
  EXPECT_THAT(units, ::testing::ElementsAre(4 * 8 * 8, 6, 3));
}

/// Without dense spiking layers, a network with an answer at every step has neurons after convolutions only.
TEST(SpikingMaps, ConvolutionsAloneTakeSequences) {
  const auto model = make_network(over_maps("spiking:conv4k3"), {{2, 6, 6}, 3, true, true}, 1);
  const auto x = drawn_positive({2, 5, 2, 6, 6}, 1);
  EXPECT_EQ(model->forward(x, {}).sizes(), torch::IntArrayRef({2, 5, 3}));
  EXPECT_EQ(model->activity().size(), 1U);
}

TEST(SpikingMaps, SequencesOfImagesNeedNoEncoder) {
  Options options = over_maps("spiking:conv4k3s2p1,6");
  const auto pictures = make_network(options, {{2, 6, 6}, 3}, 1);
  const auto recordings = make_network(options, {{2, 6, 6}, 3, true}, 1);
  const auto x = drawn_positive({2, 2, 6, 6}, 1);
  EXPECT_TRUE(torch::equal(recordings->forward(x.unsqueeze(1).expand({2, shown_steps, 2, 6, 6}), {}),
                           pictures->forward(x, {})));
}

TEST(SpikingMaps, ADelayReturnsEarlierValues) {
  Options options = over_maps("spiking:delay2");
  const auto delayed = make_network(options, {{6}, 3, true, false}, 1);
  options.model = parse_model("spiking");
  const auto direct = make_network(options, {{6}, 3, true, false}, 1);
  copy_values(direct->parameters(), delayed->parameters());
  const auto x = drawn_positive({2, 9, 6}, 1);
  const auto late = torch::cat({torch::zeros({2, 2, 6}, f64), x.narrow(1, 0, 7)}, 1);
  EXPECT_TRUE(torch::equal(delayed->forward(x, {}), direct->forward(late, {})));
  EXPECT_FALSE(torch::equal(delayed->forward(x, {}), direct->forward(x, {})));
}

TEST(SpikingMaps, InvalidLayersInTheListAreErrors) {
  for (const std::string layer :
       {"conv", "conv0", "conv4k0", "conv4x2", "pool2", "avg", "10-avg2", "conv4-conv4", "4k3", "conv4-delay1", ""})
    EXPECT_THROW(parse_model("spiking:" + layer), UsageError) << layer;
  EXPECT_EQ(to_string(parse_model("spiking: conv4k3 ,avg2,10")), "spiking:conv4k3,avg2,10");
  Options options = over_maps("spiking:conv4g2");
  EXPECT_THROW(make_network(options, {{3, 8, 8}, 3}, 1), UsageError);
  EXPECT_THROW(make_network(options, {{8}, 3}, 1), UsageError);
}

}  // namespace
}  // namespace grapes::nn
