// Draws, trains and coincidences. Compares the fast pulses with single pulses.
#include "grapes/analog/pulse.h"

#include "grapes/base/random.h"
#include "grapes/base/table.h"
#include "grapes/kernels/threads.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

namespace grapes::analog {
namespace {

TEST(Draws, PhiloxOfZerosEqualsThePublishedValue) {
  // Test vectors of Random123's kat_vectors.
  EXPECT_EQ(random_words(0, {0, 0, 0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(random_words(~0ULL, {~0U, ~0U, ~0U, ~0U}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Draws, NormalNumbersHaveTheRightMoments) {
  constexpr int count = 200'000;
  std::vector<float> numbers(count);
  normals(7, 3, count, numbers.data());
  double sum = 0, squares = 0, fourth = 0;
  for (const float x : numbers) sum += x, squares += x * x, fourth += x * x * x * x;
  // Five standard errors: 1/sqrt(n), sqrt(2/n), sqrt(96/n).
  EXPECT_NEAR(sum / count, 0, 5 / std::sqrt(count));
  EXPECT_NEAR(squares / count, 1, 5 * std::sqrt(2.0 / count));
  EXPECT_NEAR(fourth / count, 3, 5 * std::sqrt(96.0 / count));
  EXPECT_EQ(normal(0, 0), std::sqrt(-2 * std::log(0x1p-32F)));
  EXPECT_EQ(normal(~0U, 5), 0);  // log 1
}

TEST(Trains, BitsHaveTheirProbability) {
  for (const double p : {0.001, 0.2, 0.5, 0.93}) {
    std::int64_t ones = 0;
    constexpr int trains = 20'000, length = 31;
    for (std::uint32_t line = 0; line < trains; ++line)
      ones += std::popcount(train(11, line, 4, static_cast<std::uint64_t>(p * 0x1p32), length));
    const double n = 1.0 * trains * length;
    EXPECT_NEAR(static_cast<double>(ones) / n, p, 5 * std::sqrt(p * (1 - p) / n)) << p;
  }
  EXPECT_EQ(train(1, 2, 3, 0, 31), 0U);
  EXPECT_EQ(train(1, 2, 3, std::uint64_t{1} << 32, 31), 0x7fffffffU);
  EXPECT_EQ(train(1, 2, 3, std::uint64_t{1} << 32, 32), ~0U);
}

/// An array of equal devices, or of devices with different numbers.
struct Arrays {
  std::vector<float> state, seen, up, down, low, high;
  Arrays(const Device& d, std::size_t count, std::uint64_t seed) {
    Random random(seed);
    const auto number = [](double value) { return static_cast<float>(value); };
    for (std::size_t i = 0; i < count; ++i) {
      low.push_back(number(std::isinf(d.low) ? d.low : d.low * random.uniform(0.7, 1.3)));
      high.push_back(i % 17 == 3 ? low.back()
                                 : number(std::isinf(d.high) ? d.high : d.high * random.uniform(0.7, 1.3)));
      up.push_back(number(d.step * random.uniform(0.5, 1.5)));
      down.push_back(number(d.step * random.uniform(0.5, 1.5)));
      state.push_back(high.back() > low.back() ? number(random.uniform(0, 0.3)) : low.back());
    }
    seen = state;
  }
  Cells cells(bool apart) {
    return {state.data(), apart ? seen.data() : state.data(), up.data(), down.data(), low.data(), high.data()};
  }
};

TEST(Pulses, TheFastUpdateEqualsTheReferenceBitForBit) {
  constexpr std::int64_t batch = 5, nodes = 7, inputs = 23;
  Random random(3);
  std::vector<float> x, error;
  for (std::int64_t i = 0; i < batch * inputs; ++i)
    x.push_back(i % 3 == 0 ? 0 : static_cast<float>(random.uniform(-1, 1)));
  for (std::int64_t i = 0; i < batch * nodes; ++i) error.push_back(static_cast<float>(random.uniform(-0.2, 0.2)));
  for (std::int64_t n = 0; n < nodes; ++n)
    error[static_cast<std::size_t>(2 * nodes + n)] = 0;  // one example sends nothing
  for (const Device& device : devices())
    for (const bool management : {false, true})
      for (const int length : {1, 10, 31, 32}) {
        Trains trains{x.data(), error.data(), batch, nodes, inputs, 20, length, management, 99};
        const bool write = device.write_noise > 0;
        Arrays fast(device, nodes * inputs, 1), fast_minus(device, nodes * inputs, 2);
        Arrays slow = fast, slow_minus = fast_minus;
        const std::vector<float> before = fast.state;
        const std::int64_t sent = send(device, trains, fast.cells(write), fast_minus.cells(write));
        EXPECT_EQ(sent, plain::send(device, trains, slow.cells(write), slow_minus.cells(write)));
        const std::string what = device.name + ", length " + std::to_string(length);
        EXPECT_GT(sent, 0) << what;
        EXPECT_NE(fast.state, before) << what;
        EXPECT_EQ(fast.state, slow.state) << what;
        EXPECT_EQ(fast.seen, slow.seen) << what;
        EXPECT_EQ(fast_minus.state, slow_minus.state) << what;
        EXPECT_EQ(fast.seen != before, write) << what;
      }
}

TEST(Pulses, TheNumberOfThreadsDoesNotChangeResults) {
  constexpr std::int64_t batch = 100, nodes = 400, inputs = 300;  // enough work for two threads
  Random random(3);
  std::vector<float> x(batch * inputs), error(batch * nodes);
  for (float& value : x) value = static_cast<float>(random.uniform());
  for (float& value : error) value = static_cast<float>(random.uniform(-0.01, 0.01));
  const Device& device = find_row(devices(), "device", "reram");
  const Trains trains{x.data(), error.data(), batch, nodes, inputs, 1, 31, true, 99};
  Arrays one(device, nodes * inputs, 1), two(device, nodes * inputs, 1);
  kernels::set_threads(1);
  const std::int64_t sent = send(device, trains, one.cells(true), {});
  kernels::set_threads(2);
  EXPECT_EQ(send(device, trains, two.cells(true), {}), sent);
  kernels::set_threads(1);
  EXPECT_EQ(one.state, two.state);
  EXPECT_EQ(one.seen, two.seen);
}

TEST(Pulses, CoincidencesAreBinomial) {
  // C_x x = 0.5, C_δ δ = 0.4: each of 31 bits coincides with probability 0.2, so mean 6.2 and variance 31 · 0.2 · 0.8 =
  // 4.96.
  Device device = find_row(devices(), "device", "ideal");
  device.step = 1;  // the state counts pulses
  constexpr std::int64_t count = 2000;
  double sum = 0, squares = 0;
  for (std::int64_t k = 0; k < count; ++k) {
    Arrays array(device, 1, 1);
    array.state = {0}, array.up = array.down = {1}, array.low = {-1e9F}, array.high = {1e9F};
    const float x = 0.5F, error = -0.4F;
    const std::int64_t sent =
        send(device, {&x, &error, 1, 1, 1, 1, 31, false, static_cast<std::uint64_t>(k)}, array.cells(false), {});
    EXPECT_EQ(array.state[0], static_cast<float>(sent));
    sum += static_cast<double>(sent);
    squares += static_cast<double>(sent * sent);
  }
  const double mean = sum / count, variance = squares / count - mean * mean;
  EXPECT_NEAR(mean, 6.2, 5 * std::sqrt(4.96 / count));
  EXPECT_NEAR(variance, 4.96, 5 * 4.96 * std::sqrt(2.0 / count));
}

TEST(Pulses, UpdateManagementBalancesTheProbabilities) {
  // gain 1, max|x| = 1, max|δ| = 0.01: without management p_δ = 0.01 and p_x = 1; with it both are 0.1. The product is
  // the same.
  const Device& device = find_row(devices(), "device", "ideal");
  constexpr int count = 500;
  for (const bool management : {false, true}) {
    std::vector<float> x(count, 1), error(1, 0.01F);
    Arrays array(device, count, 1);
    array.low.assign(count, -1e9F), array.high.assign(count, 1e9F);
    constexpr int keys = 2000;
    double sum = 0, squares = 0, fourth = 0;
    for (std::uint64_t key = 0; key < keys; ++key) {
      const double sent =
          static_cast<double>(
              send(device, {x.data(), error.data(), 1, 1, count, 1, 10, management, key}, array.cells(false), {})) /
          count;
      sum += sent, squares += (sent - 0.1) * (sent - 0.1), fourth += std::pow(sent - 0.1, 4);
    }
    // All inputs share one train of δ: in K of 10 bits, K binomial with p_δ, each is hit with p_x. So the number per
    // input has the mean 10 p_δ p_x = 0.1 and the variance 10 p_δ (1 - p_δ) p_x², which depends on the management, plus
    // a small part of each input's own.
    const double p_error = management ? 0.1 : 0.01, p_x = management ? 0.1 : 1;
    const double variance = 10 * p_error * (1 - p_error) * p_x * p_x + 10 * p_error * p_x * (1 - p_x) / count;
    EXPECT_NEAR(sum / keys, 0.1, 5 * std::sqrt(variance / keys)) << management;
    EXPECT_NEAR(squares / keys, variance, 5 * std::sqrt(fourth) / keys) << management;
  }
}

}  // namespace
}  // namespace grapes::analog
