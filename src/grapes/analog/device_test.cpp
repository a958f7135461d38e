// The table of devices. Compares the closed forms of responses with counted pulses.
#include "grapes/analog/device.h"

#include "grapes/base/table.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace grapes::analog {
namespace {

const Device& named(const std::string& name) { return find_row(devices(), "device", name); }

TEST(Devices, EveryNumberThatIsGivenHasASource) {
  for (const Device& device : devices()) {
    EXPECT_FALSE(device.summary.empty() || device.source.empty()) << device.name;
    for (const Field& field : fields()) {
      const double unset = field.name.starts_with("refresh") ? 1 : 0;
      EXPECT_TRUE(device.*field.value == unset || device.sources.contains(field.name))
          << device.name << " " << field.name;
    }
    for (const auto& [name, source] : device.sources) {
      EXPECT_TRUE(std::any_of(fields().begin(), fields().end(), [&](const Field& f) { return f.name == name; }))
          << name;
      EXPECT_FALSE(source.empty()) << name;
    }
  }
}

TEST(Devices, AnUnknownNameIsAnErrorWithTheNearestName) {
  try {
    named("rerm");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(),
                 "unknown device 'rerm' (did you mean 'reram'?); available: constant-step, soft-bounds, reram, "
                 "reram-soft-bounds, pcm, ideal");
  }
}

TEST(Devices, StepsEqualThoseByHand) {
  EXPECT_DOUBLE_EQ(mean_step(named("constant-step"), 0.3, true), 0.001);
  EXPECT_DOUBLE_EQ(mean_step(named("soft-bounds"), 0.3, true), 0.0005);
  EXPECT_DOUBLE_EQ(mean_step(named("soft-bounds"), 0.3, false), 0.0015);
  EXPECT_DOUBLE_EQ(mean_step(named("soft-bounds"), 0.6, true), 0);
  // reram at the upper bound: z = -1, up 0.00135 (1 + 1.18445 e^-5), down 0.00135 (1 - 0.259359) (1 + 0.081404 e^5)
  EXPECT_NEAR(mean_step(named("reram"), 1, true), 0.00135 * (1 + 1.18445 * 0.006737947), 1e-10);
  EXPECT_NEAR(mean_step(named("reram"), 1, false), 0.00135 * 0.740641 * (1 + 0.081404 * 148.4131591), 1e-10);
  // pcm, empty: 0.01 (1 + 27.235); full: 0.01 (1 + 27.235 e^-5)
  EXPECT_NEAR(mean_step(named("pcm"), 0, true), 0.28235, 1e-12);
  EXPECT_NEAR(mean_step(named("pcm"), 2, true), 0.01 * (1 + 27.235 * 0.006737947), 1e-9);
}

TEST(Devices, SoftBoundsApproachTheirBoundGeometrically) {
  // w_n = w_max (1 - (1 - α/w_max)^n): each pulse covers 1/600 of the remaining distance.
  EXPECT_NEAR(after_pulses(named("soft-bounds"), 0, 1000, true), 0.6 * (1 - std::pow(1 - 0.001 / 0.6, 1000)), 1e-12);
  EXPECT_NEAR(after_pulses(named("soft-bounds"), 0.6, 1000, false), -0.6 + 1.2 * std::pow(1 - 0.001 / 0.6, 1000),
              1e-12);
}

TEST(Devices, ClosedFormsFollowTheSumOfTheSteps) {
  for (const Device& device : devices())
    for (const bool up : {true, false}) {
      if (device.pair == Pair::one_sided && !up) continue;
      const double start = std::isinf(device.low) ? 0 : up ? device.low : device.high;
      // An exponential device is solved for infinitely small pulses. Its first step is its largest. The sum of steps,
      // each taken at its start, exceeds the integral by less than that step.
      const double most = device.response == Response::exponential ? mean_step(device, start, up) : 1e-9;
      double w = start, farthest = 0;
      for (int n = 1; n <= 3000; ++n) {
        w = std::clamp(w + (up ? 1 : -1) * mean_step(device, w, up), device.low, device.high);
        farthest = std::max(farthest, std::abs(w - after_pulses(device, start, n, up)));
      }
      EXPECT_LE(farthest, most) << device.name << (up ? " up" : " down");
    }
}

TEST(Devices, TheExponentialFormSolvesItsEquation) {
  for (const char* name : {"reram", "pcm"})
    for (const bool up : {true, false}) {
      const Device& device = named(name);
      if (device.pair == Pair::one_sided && !up) continue;
      const double w = 0.3, n = 7, h = 1e-4;
      const double slope =
          (after_pulses(device, w, n + h, up) - after_pulses(device, w, n - h, up)) / (2 * h) * (up ? 1 : -1);
      EXPECT_NEAR(slope, mean_step(device, after_pulses(device, w, n, up), up), 1e-8) << name << up;
    }
}

TEST(Devices, NumbersOutOfRangeAreErrors) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const auto said = [](const std::string& name, double Device::*part, double value) {
    Device device = find_row(devices(), "device", name);
    device.*part = value;
    try {
      check(device);
    } catch (const c10::ValueError& error) {
      return std::string(error.what_without_backtrace());
    }
    return std::string("nothing");
  };
  for (const Device& device : devices()) check(device);
  for (const Field& field : fields())
    EXPECT_EQ(said("reram", field.value, std::nan("")).find("device 'reram': " + field.name + " must be"), 0U);
  EXPECT_EQ(said("pcm", &Device::noise_add, -1), "device 'pcm': noise_add must be a number from 0 to inf; got -1");
  EXPECT_EQ(said("pcm", &Device::stuck, 1.5), "device 'pcm': stuck must be a number from 0 to 1; got 1.5");
  EXPECT_EQ(said("ideal", &Device::step_spread, inf),
            "device 'ideal': step_spread must be a number from 0 to inf; got inf");
  EXPECT_EQ(said("soft-bounds", &Device::low, 0), "device 'soft-bounds': low must be below 0; got 0");
  EXPECT_EQ(said("soft-bounds", &Device::high, inf),
            "device 'soft-bounds': its response needs finite bounds; low and high are -0.6 and inf");
  EXPECT_EQ(said("ideal", &Device::high, 3), "nothing");
}

}  // namespace
}  // namespace grapes::analog
