#pragma once

#include "grapes/base/error.h"
#include "grapes/exchange/spiking_net.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <string>
#include <vector>

/// Nets for the tests of both conversions.
namespace grapes::exchange {

inline constexpr double dt = 1e-3;

inline at::Tensor drawn(at::IntArrayRef shape, std::uint64_t seed, at::ScalarType dtype = at::kDouble) {
  auto generator = at::detail::createCPUGenerator(seed);
  return at::randn(shape, generator, dtype);
}
inline at::Tensor spikes(at::IntArrayRef shape, std::uint64_t seed) {
  return drawn(shape, seed).gt(0.3).to(at::kDouble);
}

/// Neurons between two matrices. Decays and thresholds differ between neurons.
inline SpikingNet net_with(Neurons neurons, at::ScalarType dtype = at::kDouble) {
  const std::int64_t n = 7;
  if (!neurons.decay.defined()) neurons.decay = at::linspace(0.3, 0.95, n, dtype);
  neurons.threshold = at::linspace(0.4, 1.3, n, dtype);
  SpikingNet net;
  net.input = {5};
  net.stages = {{"first", Linear{drawn({n, 5}, 1, dtype)}},
                {"neurons", neurons},
                {"second", Linear{drawn({3, n}, 2, dtype), drawn({3}, 3, dtype)}}};
  return net;
}

struct Kind {
  const char* type;
  Neurons neurons;
};
inline std::vector<Kind> kinds() {
  const at::Tensor ones = at::ones({7}, at::kDouble), alpha = at::full({7}, 0.6, at::kDouble),
                   R = drawn({7, 7}, 4) * 0.5;
  return {{"LIF", {{}, {}}},
          {"LIF", {{}, {}, {}, R}},
          {"CubaLIF", {{}, {}, alpha}},
          {"CubaLIF", {{}, {}, alpha, R}},
          {"IF", {ones, {}}},
          {"LIF", {{}, {}, {}, {}, "hard", true, at::linspace(-0.5, 0.2, 7, at::kDouble)}},
          {"CubaLIF", {{}, {}, at::linspace(0.1, 0.7, 7, at::kDouble), R, "hard", true, ones * -0.25}},
          {"IF", {ones, {}, {}, {}, "hard", true, ones * 0.125}},
          {"LI", {{}, {}, {}, {}, "none", false}},
          {"CubaLI", {{}, {}, alpha, {}, "none", false}},
          {"I", {ones, {}, {}, {}, "none", false}},
          {"LI", {{}, {}, {}, {}, "none", true}},
          {"LI", {{}, {}, {}, R, "none", true}},
          {"CubaLI", {{}, {}, alpha, R, "none", true}}};
}

inline const Neurons& neurons_of(const SpikingNet& net) { return std::get<Neurons>(net.stages.at(1).what); }

/// All tensors must be equal, bit for bit.
inline void expect_same(const SpikingNet& a, const SpikingNet& b) {
  const auto same = [](const at::Tensor& x, const at::Tensor& y, const std::string& what) {
    ASSERT_EQ(x.defined(), y.defined()) << what;
    if (!x.defined()) return;
    EXPECT_EQ(x.scalar_type(), y.scalar_type()) << what;
    EXPECT_TRUE(at::equal(x, y)) << what;
  };
  EXPECT_EQ(a.input, b.input);
  ASSERT_EQ(a.stages.size(), b.stages.size());
  for (std::size_t s = 0; s < a.stages.size(); ++s) {
    const std::string& name = a.stages[s].name;
    EXPECT_EQ(name, b.stages[s].name);
    ASSERT_EQ(a.stages[s].what.index(), b.stages[s].what.index());
    if (const auto* linear = std::get_if<Linear>(&a.stages[s].what)) {
      same(linear->weight, std::get<Linear>(b.stages[s].what).weight, name);
      same(linear->bias, std::get<Linear>(b.stages[s].what).bias, name);
    }
    if (const auto* c = std::get_if<Convolution>(&a.stages[s].what)) {
      const auto& other = std::get<Convolution>(b.stages[s].what);
      same(c->weight, other.weight, name);
      EXPECT_EQ(c->stride, other.stride);
      EXPECT_EQ(c->padding, other.padding);
      EXPECT_EQ(c->dilation, other.dilation);
      EXPECT_EQ(c->groups, other.groups);
    }
    if (const auto* pool = std::get_if<Pooling>(&a.stages[s].what)) {
      const auto& other = std::get<Pooling>(b.stages[s].what);
      EXPECT_EQ(pool->mean, other.mean) << name;
      EXPECT_EQ(pool->window, other.window) << name;
      EXPECT_EQ(pool->stride, other.stride) << name;
      EXPECT_EQ(pool->padding, other.padding) << name;
    }
    if (const auto* delay = std::get_if<Delay>(&a.stages[s].what))
      same(delay->steps, std::get<Delay>(b.stages[s].what).steps, name + " steps");
    if (const auto* n = std::get_if<Neurons>(&a.stages[s].what)) {
      const auto& other = std::get<Neurons>(b.stages[s].what);
      same(n->decay, other.decay, name + " decay");
      same(n->threshold, other.threshold, name + " threshold");
      same(n->recurrent, other.recurrent, name + " R");
      same(n->synapse, other.synapse, name + " synapse");
      same(n->reset_value, other.reset_value, name + " reset value");
      EXPECT_EQ(n->reset, other.reset);
      EXPECT_EQ(n->spikes, other.spikes);
    }
  }
}

template <class Act>
std::string refusal(const Act& act) {
  try {
    act();
  } catch (const UsageError& error) {
    return std::string("usage: ") + error.what();
  } catch (const DataError& error) {
    return std::string("data: ") + error.what();
  }
  return "nothing was refused";
}

}  // namespace grapes::exchange
