// Compares measured responses with the closed form.
#include "grapes/analog/responses.h"

#include "grapes/analog/crossbar_test.h"

namespace grapes::analog {
namespace {

TEST(Responses, CountThePulsesThatFillADevice) {
  EXPECT_EQ(pulses_to_fill(named("constant-step")), 570);
  // 1 - (1 - 1/600)^n = 0.95: n = ln 0.05 / ln (599/600) = 1795.9...
  EXPECT_EQ(pulses_to_fill(named("soft-bounds")), 1796);
  EXPECT_EQ(pulses_to_fill(named("ideal")), 1000);
}

TEST(Responses, WithoutNoiseEqualTheClosedForm) {
  for (const Device& row : devices()) {
    const Device device = quiet(row.name);
    const Responses r = responses(device, 2, 200, 1);
    ASSERT_EQ(r.mean.size(), 401U);
    double farthest = 0, widest = 0;
    for (std::size_t n = 0; n < r.mean.size(); ++n) {
      farthest = std::max(farthest, std::abs(r.mean[n] - r.expected[n]));
      widest = std::max(widest, r.sd[n]);
    }
    // Exponential devices may differ by their largest step, for each device of a pair.
    const double step = std::max(mean_step(device, 0, true), mean_step(device, r.expected[200], false));
    EXPECT_LE(farthest, device.response == Response::exponential ? step : 2e-5) << row.name;
    EXPECT_EQ(widest, 0) << row.name;
  }
}

TEST(Responses, OfDifferentDevicesEqualTheClosedFormOfEach) {
  // Pulses up to saturation, where each device's bounds and steps matter. Without noise, mean and spread are those of
  // the closed form; exponential devices may differ by their largest steps.
  for (const Device& row : devices()) {
    Device device = row;
    device.noise_step = device.noise_add = device.noise_state = device.write_noise = 0;
    const Responses r = responses(device, 500, std::min<std::int64_t>(pulses_to_fill(device), 600), 1);
    const double top = r.expected[r.expected.size() / 2];
    const double allowed = device.response == Response::exponential
                               ? std::max(mean_step(device, 0, true), mean_step(device, top, false))
                               : 5e-5;
    for (std::size_t n = 0; n < r.mean.size(); ++n) {
      ASSERT_NEAR(r.mean[n], r.expected[n], allowed) << row.name << " after " << n;
      ASSERT_NEAR(r.sd[n], r.expected_sd[n], allowed) << row.name << " after " << n;
    }
    EXPECT_TRUE(row.name == "ideal" || row.name == "pcm" || r.sd[r.sd.size() / 2] > 4 * allowed) << row.name;
  }
}

TEST(Responses, NoisySoftBoundsHaveTheMeanAndSpreadOfTheClosedForm) {
  // u = 1 - w/high becomes u (1 - a (1 + σ ξ)), a = step / high: E u = (1-a)^n, E u² = ((1-a)² + a² σ²)^n.
  Device device = quiet("soft-bounds");
  device.noise_step = 2;
  constexpr std::int64_t count = 20'000;
  constexpr int pulses = 300;
  const Responses r = responses(device, count, pulses, 1);
  const double a = device.step / device.high, squares = std::pow((1 - a) * (1 - a) + 4 * a * a, pulses);
  const double sd = device.high * std::sqrt(squares - std::pow(1 - a, 2 * pulses));
  EXPECT_NEAR(r.mean[pulses], device.high * (1 - std::pow(1 - a, pulses)), 5 * sd / std::sqrt(count));
  EXPECT_NEAR(r.sd[pulses], sd, 5 * sd / std::sqrt(2 * count));
}

TEST(Responses, HaveTheSpreadOfTheTable) {
  // 100 pulses of constant-step: s.d. 0.001 sqrt(100² (0.09 + 0.01²) + 100 · 0.09 · 1.09); the bounds are far.
  const Responses r = responses(named("constant-step"), 20'000, 100, 1);
  const double sd = 0.001 * std::sqrt(1e4 * 0.0901 + 100 * 0.09 * 1.09);
  EXPECT_NEAR(r.mean[100], 0.1, 5 * sd / std::sqrt(20'000));
  EXPECT_NEAR(r.sd[100], sd, 5 * sd / std::sqrt(40'000));
}

}  // namespace
}  // namespace grapes::analog
