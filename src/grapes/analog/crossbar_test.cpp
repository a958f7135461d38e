// Arrays: responses, updates, writing, drift, stuck devices.
#include "grapes/analog/crossbar_test.h"

namespace grapes::analog {
namespace {

TEST(Crossbar, ResponsesFollowTheClosedForm) {
  for (const char* name : {"constant-step", "soft-bounds", "reram", "ideal"}) {
    const Device device = quiet(name);
    Crossbar c = make_crossbar(device, 1, 3, exact_reads(), 1);
    for (std::int64_t n = 1; n <= 400; ++n) pulse_all(c, true, n);
    const double first = mean_step(device, 0, true);
    EXPECT_NEAR(weights(c)[0][0].item<double>(), after_pulses(device, 0, 400, true), first) << name;
    const double top = weights(c)[0][0].item<double>();
    for (std::int64_t n = 1; n <= 100; ++n) pulse_all(c, false, 400 + n);
    EXPECT_NEAR(weights(c)[0][0].item<double>(), after_pulses(device, top, 100, false), mean_step(device, top, false))
        << name;
  }
}

TEST(Crossbar, MeanAndSpreadOfPulsesFarFromTheBounds) {
  // n pulses of step s (1 + 0.3 ξ_device)(1 + 0.3 ξ_pulse) from 0: mean n s; variance of the mean step over devices
  // n² s² 0.09, and over pulses n s² 0.09 (1 + 0.09).
  Device device = named("constant-step");
  device.imbalance_spread = device.low_spread = device.high_spread = 0;
  constexpr std::int64_t count = 20'000, n = 50;
  Crossbar c = make_crossbar(device, 100, count / 100, exact_reads(), 3);
  for (std::int64_t k = 0; k < n; ++k) pulse_all(c, true, k);
  const at::Tensor w = weights(c).to(at::kDouble);
  const double s = 0.001, variance = s * s * (0.09 * n * n + 0.09 * 1.09 * n);
  EXPECT_NEAR(w.mean().item<double>(), n * s, 5 * std::sqrt(variance / count));
  EXPECT_NEAR(w.var().item<double>(), variance, 5 * variance * std::sqrt(2.0 / count));
}

TEST(Crossbar, PcmIncreasesOneDevicePerDirection) {
  const Device device = quiet("pcm");
  Crossbar c = make_crossbar(device, 1, 1, exact_reads(), 1);
  for (std::int64_t n = 0; n < 20; ++n) pulse_all(c, true, n);
  const double plus = c.plus.state.item<double>();
  EXPECT_NEAR(plus, after_pulses(device, 0, 20, true), mean_step(device, 0, true));
  EXPECT_EQ(c.minus.state.item<double>(), 0);
  for (std::int64_t n = 0; n < 20; ++n) pulse_all(c, false, n);
  EXPECT_EQ(c.plus.state.item<double>(), plus);
  EXPECT_NEAR(weights(c).item<double>(), 0, 1e-6);
}

TEST(Crossbar, DevicesHaveTheSpreadsOfTheTable) {
  const Device device = named("constant-step");
  const Crossbar c = make_crossbar(device, 200, 200, {}, 1);
  const double n = 40'000;
  const at::Tensor high = c.plus.high.to(at::kDouble), step = (c.plus.up + c.plus.down).to(at::kDouble) / 2;
  EXPECT_NEAR(high.mean().item<double>(), 0.6, 5 * 0.18 / std::sqrt(n) + 1e-4);  // a few are cut at 0
  EXPECT_NEAR(high.std().item<double>(), 0.18, 0.18 * 5 / std::sqrt(2 * n) + 1e-3);
  EXPECT_NEAR(step.mean().item<double>(), 0.001, 5 * 0.0003 / std::sqrt(n) + 1e-6);
  EXPECT_NEAR(step.std().item<double>(), 0.0003, 0.0003 * 5 / std::sqrt(2 * n) + 2e-6);
  const at::Tensor imbalance = (c.plus.up - c.plus.down).to(at::kDouble) / (2 * 0.001);
  EXPECT_NEAR(imbalance.std().item<double>(), 0.01, 2e-4);
}

TEST(Crossbar, ExtremeDevicesAreFiniteAndWithinTheirBounds) {
  // With so many devices, some draws of bounds and steps have the opposite sign.
  for (const Device& device : devices()) {
    Crossbar c = make_crossbar(device, 500, 400, {}, 1);
    for (std::int64_t n = 0; n < 12; ++n) pulse_all(c, n % 3 == 0, n);
    EXPECT_TRUE(at::isfinite(weights(c)).all().item<bool>()) << device.name;
    EXPECT_TRUE((c.plus.low <= c.plus.state).logical_and(c.plus.state <= c.plus.high).all().item<bool>())
        << device.name;
    EXPECT_TRUE((c.plus.up >= 0).logical_and(c.plus.low < c.plus.high).all().item<bool>()) << device.name;
  }
}

TEST(Crossbar, MeanUpdateIsTheGradientStep) {
  // One sample, 400 updates of an ideal device: each adds step · K, K binomial with mean η |δ x| / (scale step).
  Options options = exact_reads();
  options.scale = 0.5;
  const Device device = named("ideal");
  Crossbar c = make_crossbar(device, 4, 6, options, 1);
  const at::Tensor x = randoms({1, 6}, 1), error = randoms({1, 4}, 2) * 0.1;
  const double rate = 0.02;
  constexpr std::int64_t updates = 400;
  for (std::int64_t k = 0; k < updates; ++k) update(c, x, error, rate, k);
  const at::Tensor expected = -rate * error.t().matmul(x);
  const at::Tensor mean = weights(c) / static_cast<double>(updates);
  // Var of one update <= scale · step · |expected|: that of a binomial is at most its mean.
  const at::Tensor tolerance = 5 * (0.5 * 0.001 * expected.abs() / static_cast<double>(updates)).sqrt() + 1e-7;
  EXPECT_TRUE(((mean - expected).abs() <= tolerance).all().item<bool>()) << mean << expected << tolerance;
  EXPECT_GT(largest(expected), 5 * largest(tolerance));  // the test could fail
}

TEST(Crossbar, TheFastUpdateEqualsTheReferenceBitForBit) {
  for (const Device& device : devices()) {
    Options options;
    Crossbar fast = make_crossbar(device, 9, 33, options, 4), slow = make_crossbar(device, 9, 33, options, 4);
    const at::Tensor W = randoms({9, 33}, 3) * 0.2;
    for (Crossbar* c : {&fast, &slow}) program(*c, W, 0);
    std::int64_t pulses = 0;
    for (std::int64_t k = 0; k < 40; ++k) {
      const at::Tensor x = randoms({3, 33}, 10 + k).clamp_min(0), error = randoms({3, 9}, 20 + k) * 0.3;
      pulses = update(fast, x, error, 0.1, k);
      EXPECT_EQ(pulses, plain::update(slow, x, error, 0.1, k));
    }
    EXPECT_GT(pulses, 0);
    EXPECT_TRUE(at::equal(weights(fast), weights(slow))) << device.name;
    EXPECT_FALSE(at::equal(weights(fast), W)) << device.name;
  }
}

TEST(Crossbar, IdealUpdateIsExactWithinTheBounds) {
  Options options = exact_reads();
  options.real.update = false;
  for (const char* name : {"constant-step", "pcm"}) {
    Crossbar c = make_crossbar(quiet(name), 4, 6, options, 1);
    const at::Tensor W = randoms({4, 6}, 1) * 0.1, x = randoms({2, 6}, 2), error = randoms({2, 4}, 3);
    program(c, W, 0);
    EXPECT_EQ(update(c, x, error, 0.01, 0), 0);
    EXPECT_LT(largest(weights(c) - (W - 0.01 * error.t().matmul(x))), 1e-6);
    update(c, x, error, 1e6, 1);
    EXPECT_LE(largest(weights(c)), quiet(name).high + 1e-6);
  }
}

TEST(Drift, FollowsAPowerLawAndTwoDriftsEqualOne) {
  Device device = quiet("pcm");
  const at::Tensor W = randoms({3, 4}, 1) * 0.3;
  Crossbar c = make_crossbar(device, 3, 4, exact_reads(), 1);
  program(c, W, 0);
  drift(c, 20, 2000);
  EXPECT_LT(largest(weights(c) - W * std::pow(100.0, -0.049)), 1e-6);
  device.drift_spread = 0.008;
  Crossbar once = make_crossbar(device, 3, 4, exact_reads(), 1), twice = make_crossbar(device, 3, 4, exact_reads(), 1);
  program(once, W, 0), program(twice, W, 0);
  drift(once, 20, 86400);
  drift(twice, 20, 500), drift(twice, 500, 86400);
  EXPECT_LT(largest(weights(once) - weights(twice)), 1e-6);
  EXPECT_GT(largest(weights(once) - W * std::pow(86400.0 / 20, -0.049)), 1e-4);  // each its own ν
  EXPECT_THROW(drift(once, 20, 10), c10::ValueError);
}

TEST(Stuck, DevicesNeverMove) {
  for (const char* name : {"reram", "pcm"}) {
    Device device = named(name);
    device.stuck = 0.25;
    device.write_noise = 0.1;
    device.drift = 0.05;
    Options options;
    options.real.write = true;
    Crossbar c = make_crossbar(device, 100, 100, options, 1);
    const at::Tensor stuck = c.plus.low == c.plus.high, before = c.plus.seen.clone();
    EXPECT_NEAR(stuck.to(at::kDouble).mean().item<double>(), 0.25, 5 * std::sqrt(0.25 * 0.75 / 1e4));
    program(c, randoms({100, 100}, 1), 1);
    for (std::int64_t k = 0; k < 5; ++k) update(c, randoms({2, 100}, k), randoms({2, 100}, 9 + k), 0.5, k);
    pulse_all(c, true, 7);
    refresh(c, 8);
    drift(c, 20, 1e6);
    EXPECT_TRUE(at::equal(c.plus.state.masked_select(stuck), before.masked_select(stuck))) << name;
    EXPECT_TRUE(at::equal(c.plus.seen.masked_select(stuck), before.masked_select(stuck))) << name;
    EXPECT_GT(largest((c.plus.seen - before).masked_select(stuck.logical_not())), 0.1) << name;
    // Anywhere in the range; the mean is the middle of the nominal bounds.
    EXPECT_NEAR(before.masked_select(stuck).mean().item<double>(), (device.low + device.high) / 2, 0.1) << name;
  }
}

TEST(Refresh, ResetsFullPairsAndKeepsTheirDifference) {
  Crossbar c = make_crossbar(quiet("pcm"), 1, 4, exact_reads(), 1);
  c.plus.state.copy_(at::tensor({1.6F, 1.6F, 0.6F, 1.0F}).reshape({1, 4}));
  c.minus.state.copy_(at::tensor({0.7F, 0.4F, 1.9F, 1.0F}).reshape({1, 4}));
  const at::Tensor W = weights(c).clone();
  EXPECT_EQ(refresh(c, 1), 2);  // the first and the third
  EXPECT_LT(largest(weights(c) - W), 1e-6);
  EXPECT_TRUE(at::allclose(c.plus.state, at::tensor({0.91F, 1.6F, 0.01F, 1.0F}).reshape({1, 4})));
  EXPECT_TRUE(at::allclose(c.minus.state, at::tensor({0.01F, 0.4F, 1.31F, 1.0F}).reshape({1, 4})));
}

TEST(Refresh, LeavesPairsWithAStuckDeviceAsTheyAre) {
  Device device = named("pcm");
  device.stuck = 0.3;
  device.high_spread = 0;
  Crossbar c = make_crossbar(device, 40, 50, exact_reads(), 1);
  const at::Tensor free = (c.plus.low < c.plus.high).logical_and(c.minus.low < c.minus.high);
  c.plus.state.copy_(at::where(c.plus.low < c.plus.high, c.plus.high * 0.9, c.plus.state));
  c.minus.state.copy_(at::where(c.minus.low < c.minus.high, c.minus.high * 0.6, c.minus.state));
  const at::Tensor before = weights(c).clone();
  EXPECT_EQ(refresh(c, 1), free.sum().item<std::int64_t>());
  const at::Tensor change = (weights(c) - before).abs();
  EXPECT_EQ(largest(change.masked_select(free.logical_not())), 0);
  EXPECT_GT(change.masked_select(free).min().item<double>(), 0);  // the noise of writing
}

TEST(Stuck, OtherDevicesDoNotChange) {
  Device device = named("reram");
  const Crossbar all = make_crossbar(device, 30, 40, {}, 1);
  device.stuck = 0.05;
  const Crossbar some = make_crossbar(device, 30, 40, {}, 1);
  device.stuck = 0.1;
  const Crossbar more = make_crossbar(device, 30, 40, {}, 1);
  EXPECT_TRUE(at::equal(all.plus.up, some.plus.up));
  const at::Tensor stuck = some.plus.low == some.plus.high;
  EXPECT_GT(stuck.sum().item<std::int64_t>(), 20);
  EXPECT_TRUE(
      at::equal(all.plus.high.masked_select(stuck.logical_not()), some.plus.high.masked_select(stuck.logical_not())));
  EXPECT_TRUE((more.plus.low == more.plus.high).masked_select(stuck).all().item<bool>());
}

TEST(Program, WriteNoiseHasItsStandardDeviation) {
  const Device device = named("pcm");
  Options options;
  options.real.write = true;
  Crossbar c = make_crossbar(device, 100, 200, options, 1);
  program(c, at::ones({100, 200}), 1);
  // g = 0.5: 2 (0.2635 + 1.965/2 - 1.1731/4) / 25
  const double sd = 2 * (0.2635 + 0.9825 - 0.293275) / 25;
  EXPECT_NEAR(c.plus.state.std().item<double>(), sd, 5 * sd / std::sqrt(4e4));
}

TEST(Crossbar, TheSameSeedAndStepGiveTheSameDraws) {
  const at::Tensor W = randoms({5, 8}, 1) * 0.2, x = randoms({3, 8}, 2), error = randoms({3, 5}, 3);
  for (const Device& device : devices()) {
    Options options;
    options.real.write = true;
    Crossbar a = make_crossbar(device, 5, 8, options, 6), b = make_crossbar(device, 5, 8, options, 6);
    const Crossbar other = make_crossbar(device, 5, 8, options, 7);
    for (Crossbar* c : {&a, &b}) program(*c, W, 0), update(*c, x, error, 0.05, 1);
    EXPECT_EQ(state(a).size(), state(b).size());
    for (std::size_t i = 0; i < state(a).size(); ++i) EXPECT_TRUE(at::equal(state(a)[i].second, state(b)[i].second));
    EXPECT_TRUE(at::equal(forward(a, x, 2), forward(b, x, 2)));
    EXPECT_FALSE(at::equal(forward(a, x, 2), forward(a, x, 3)));
    EXPECT_EQ(at::equal(a.plus.up, other.plus.up), device.step_spread == 0);
  }
}

TEST(Crossbar, TheStateDeterminesAllLaterUpdates) {
  const at::Tensor x = randoms({3, 8}, 2), error = randoms({3, 5}, 3);
  for (const Device& device : devices()) {
    Crossbar a = make_crossbar(device, 5, 8, {}, 6);
    update(a, x, error, 0.1, 1);
    // Load into an array with another seed. Then only the seed, which determines the draws, must be set.
    Crossbar b = make_crossbar(device, 5, 8, {}, 7);
    for (std::size_t i = 0; i < state(a).size(); ++i) {
      EXPECT_EQ(state(a)[i].first, state(b)[i].first);
      state(b)[i].second.copy_(state(a)[i].second);
    }
    b.seed = a.seed;
    EXPECT_EQ(update(a, x, error, 0.1, 2), update(b, x, error, 0.1, 2));
    drift(a, 20, 200), drift(b, 20, 200);
    EXPECT_TRUE(at::equal(weights(a), weights(b))) << device.name;
  }
}

TEST(Crossbar, TheScaleFillsAFractionOfTheRange) {
  const at::Tensor W = at::tensor({0.1F, -0.3F});
  EXPECT_FLOAT_EQ(static_cast<float>(scale_for(named("constant-step"), W, 0.5)), 1);
  EXPECT_FLOAT_EQ(static_cast<float>(scale_for(named("pcm"), W, 0.3)), 0.5);
  EXPECT_EQ(scale_for(named("ideal"), W, 0.5), 1);
}

TEST(Crossbar, InvalidArgumentsAreErrors) {
  const auto said = [](const Device& device, const Options& options) {
    try {
      make_crossbar(device, 2, 2, options, 1);
    } catch (const c10::ValueError& error) {
      return std::string(error.what_without_backtrace());
    }
    return std::string("nothing");
  };
  Options options;
  options.pulses = 33;
  EXPECT_EQ(said(named("pcm"), options), "crossbar: pulses must be 1 to 32; got 33");
  Device device = named("constant-step");
  device.pair = Pair::one_sided;
  EXPECT_EQ(said(device, {}), "device 'constant-step': low must be 0 because its pairs are one-sided; got -0.6");
  device = named("ideal");
  device.stuck = 0.1;
  device.high = 1;
  EXPECT_EQ(said(device, {}), "device 'ideal': stuck needs finite bounds; low and high are -inf and 1");
  options = {};
  options.forward.adc_bits = 1;
  EXPECT_EQ(said(named("pcm"), options), "converter: adc_bits must be 2 to 24, or 0 for no rounding; got 1");
  Crossbar c = make_crossbar(named("pcm"), 2, 3, {}, 1);
  try {
    forward(c, at::ones({4, 2}), 1);
    FAIL();
  } catch (const c10::Error& error) {
    EXPECT_STREQ(error.what_without_backtrace(),
                 "crossbar: x must be float32 [batch, 3] for an array of [2, 3]; got [4, 2] Float");
  }
}

}  // namespace
}  // namespace grapes::analog
