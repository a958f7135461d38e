// Measured responses against the closed form.
#include "grapes/analog/responses.h"

#include "grapes/analog/crossbar_test.h"

namespace grapes::analog {
namespace {

TEST(Responses, PulsesToFill) {
  EXPECT_EQ(pulses_to_fill(named("constant-step")), 570);
  // 1 - (1 - 1/600)^n = 0.95: n = ln 0.05 / ln (599/600) = 1795.9...
  EXPECT_EQ(pulses_to_fill(named("soft-bounds")), 1796);
  EXPECT_EQ(pulses_to_fill(named("ideal")), 1000);
}

TEST(Responses, OfQuietDevicesAreTheClosedForm) {
  for (const Device& row : devices()) {
    const Device device = quiet(row.name);
    const Responses r = responses(device, 2, 200, 1);
    ASSERT_EQ(r.mean.size(), 401U);
    double farthest = 0, widest = 0;
    for (std::size_t n = 0; n < r.mean.size(); ++n) {
      farthest = std::max(farthest, std::abs(r.mean[n] - r.expected[n]));
      widest = std::max(widest, r.sd[n]);
    }
    // Of an exponential device up to its largest step, which a pair makes on either side.
    const double step = std::max(mean_step(device, 0, true), mean_step(device, r.expected[200], false));
    EXPECT_LE(farthest, device.response == Response::exponential ? step : 2e-5) << row.name;
    EXPECT_EQ(widest, 0) << row.name;
  }
}

TEST(Responses, SpreadOfTheTable) {
  // 100 pulses of constant-step: s.d. 0.001 sqrt(100² (0.09 + 0.01²) + 100 · 0.09 · 1.09); the bounds are far.
  const Responses r = responses(named("constant-step"), 20'000, 100, 1);
  const double sd = 0.001 * std::sqrt(1e4 * 0.0901 + 100 * 0.09 * 1.09);
  EXPECT_NEAR(r.mean[100], 0.1, 5 * sd / std::sqrt(20'000));
  EXPECT_NEAR(r.sd[100], sd, 5 * sd / std::sqrt(40'000));
}

}  // namespace
}  // namespace grapes::analog
