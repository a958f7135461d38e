// Compares the modulation unit with grapes::fixed::factor_steps, over streams of layers.
#include "grapes/fixed/factor.h"

#include "clocked.h"
#include "draw.h"
#include "models.h"
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace {

namespace fixed = grapes::fixed;
using Weights = std::vector<std::vector<std::int32_t>>;
using Steps = std::vector<std::uint32_t>;

Steps expected(const Weights& layer, int k) {
  std::vector<std::uint64_t> r;
  for (const auto& row : layer) r.push_back(fixed::responsibility(row.data(), row.size()));
  return fixed::factor_steps(r, k);
}

struct Beat {
  std::vector<std::int32_t> lanes;
  bool last = false, end = false;
};

/// Random values at the port while nothing is offered.
template <class Unit>
Beat noise(Random& random) {
  return {std::vector<std::int32_t>(Unit::LANES, draw(random, Unit::WEIGHT_BITS)), chance(random, 0.5),
          chance(random, 0.5)};
}

template <class Unit>
std::vector<Beat> beats(const Weights& layer) {
  std::vector<Beat> all;
  for (const auto& row : layer)
    for (std::size_t at = 0; at < row.size(); at += Unit::LANES) {
      std::vector<std::int32_t> lanes(Unit::LANES, 0);
      std::copy(row.begin() + static_cast<long>(at),
                row.begin() + static_cast<long>(std::min(at + Unit::LANES, row.size())), lanes.begin());
      all.push_back({lanes, at + Unit::LANES >= row.size(), false});
    }
  all.back().end = true;
  return all;
}

/// Streams layers through the unit without pauses between them.
/// @param give, take  fraction of the cycles in which a beat is offered, and a factor accepted
template <class Unit>
std::vector<Steps> stream(const std::vector<Weights>& layers, double give, double take, Random& random) {
  std::vector<Beat> todo;
  for (const Weights& layer : layers)
    for (const Beat& beat : beats<Unit>(layer)) todo.push_back(beat);
  Clocked<typename Unit::Model> unit(static_cast<int>(random() % 1000) + 1);
  std::vector<Steps> found(1);
  std::size_t next = 0;
  bool held = false;
  std::uint32_t held_data = 0, held_end = 0;
  for (int idle = 0; found.size() <= layers.size() && idle < 10000; ++idle) {
    const bool offer = next < todo.size() && chance(random, give);
    const Beat beat = offer ? todo[next] : noise<Unit>(random);
    unit->w_valid = offer;
    for (int lane = 0; lane < Unit::LANES; ++lane)
      put(unit->w_data, lane, Unit::WEIGHT_BITS, beat.lanes[static_cast<std::size_t>(lane)]);
    unit->w_end = beat.end;
    // The end of a layer is also the end of its unit, with or without the flag.
    unit->w_last = beat.end ? chance(random, 0.5) : beat.last;
    unit->j_ready = chance(random, take);
    unit.settle();
    if (held) {
      EXPECT_TRUE(unit->j_valid) << "a factor was withdrawn";
      EXPECT_EQ(unit->j_data, held_data) << "a factor changed while it waited";
      EXPECT_EQ(unit->j_end, held_end);
    }
    held = unit->j_valid && !unit->j_ready;
    held_data = unit->j_data;
    held_end = unit->j_end;
    if (unit->w_valid && unit->w_ready) {
      ++next;
      idle = 0;
    }
    if (unit->j_valid && unit->j_ready) {
      found.back().push_back(unit->j_data);
      if (unit->j_end) found.emplace_back();
      idle = 0;
    }
    unit.tick();
  }
  EXPECT_EQ(next, todo.size());
  EXPECT_TRUE(found.back().empty());
  found.pop_back();
  return found;
}

template <class Unit>
void expect_equal(const std::vector<Weights>& layers, double give, double take, Random& random) {
  const std::vector<Steps> found = stream<Unit>(layers, give, take, random);
  ASSERT_EQ(found.size(), layers.size());
  for (std::size_t l = 0; l < layers.size(); ++l)
    ASSERT_EQ(found[l], expected(layers[l], Unit::FACTOR_BITS)) << "layer " << l << " of " << layers.size();
}

template <class Unit>
class Modulation : public testing::Test {};
using Modulations = testing::Types<ModulationPlain, ModulationShift, ModulationFine, ModulationSmall>;
TYPED_TEST_SUITE(Modulation, Modulations);

TYPED_TEST(Modulation, EqualsTheModelOverRandomLayersAndStalls) {
  Random random(1);
  constexpr int rounds = 300;
  for (const double give : {1.0, 0.4})
    for (const double take : {1.0, 0.15}) {
      std::vector<Weights> layers;
      for (int round = 0; round < rounds; ++round) {
        Weights layer(1 + random() % TypeParam::NODES);
        const std::size_t inputs = 1 + random() % TypeParam::INPUTS;
        // Narrow layers have close and equal sums, wide layers distant ones.
        const int bits = 2 + static_cast<int>(random() % (TypeParam::WEIGHT_BITS - 1));
        for (auto& row : layer) {
          row.resize(inputs);
          const bool weak = chance(random, 0.3);
          for (auto& w : row) w = draw(random, bits) / (weak ? 2 : 1);
        }
        layers.push_back(layer);
      }
      expect_equal<TypeParam>(layers, give, take, random);
    }
}

TYPED_TEST(Modulation, EqualsTheModelAtTheCorners) {
  Random random(2);
  constexpr std::int32_t lowest = -(1 << (TypeParam::WEIGHT_BITS - 1));
  constexpr std::size_t nodes = TypeParam::NODES, inputs = TypeParam::INPUTS;
  std::vector<Weights> layers{
      Weights(nodes, std::vector<std::int32_t>(inputs, lowest)),  // the greatest possible sum, in every unit
      Weights(nodes, std::vector<std::int32_t>(inputs, 0)),       // max r = 0
      Weights(1, {0}),                                            // one unit with one weight
      Weights(1, {lowest}),                                       //
      Weights(1, std::vector<std::int32_t>(inputs, lowest + 1)),  //
      Weights(nodes, {1}),                                        // equal units
      {{0}, {1}},                                                 // zero next to nonzero
      {{-1}, {0}},
  };
  // For close and distant maxima: at each step j of the factor, the smallest r that rounds to it, and the one below;
  // then fractions in between, both clips, with the most responsible unit first, last and in between.
  constexpr std::int64_t one = std::int64_t{1} << TypeParam::FACTOR_BITS;
  for (std::int32_t most = 1; most <= -lowest; most += 1 + most / 16) {
    for (std::int64_t j = 1; j <= one; ++j) {
      const auto r = static_cast<std::int32_t>((most * (2 * one + 2 * j - 1) + 4 * one - 1) / (4 * one));
      layers.push_back({{-r}, {-most}});
      layers.push_back({{-most}, {1 - r}});
    }
    for (std::int32_t r = 0; r <= most; r += 1 + most / 64) {
      layers.push_back({{-r}, {-most}});
      layers.push_back({{-most}, {-r}, {-r / 2}});
    }
  }
  expect_equal<TypeParam>(layers, 0.9, 0.9, random);
}

TYPED_TEST(Modulation, TakesAsManyCyclesAsItsReadmeSays) {
  Random random(3);
  for (const std::size_t nodes : {std::size_t{1}, std::size_t{TypeParam::NODES}}) {
    const Weights layer(nodes, std::vector<std::int32_t>(TypeParam::INPUTS, 3));
    const std::vector<Beat> all = beats<TypeParam>(layer);
    Clocked<typename TypeParam::Model> unit(1);
    unit->j_ready = 1;
    std::vector<std::uint64_t> factors;
    std::uint64_t ready = 0;
    const std::uint64_t start = unit.cycle();
    for (std::size_t next = 0; ready == 0; ++next) {
      unit->w_valid = next < all.size();
      unit->w_last = next < all.size() && all[next].last;
      unit->w_end = next < all.size() && all[next].end;
      unit.settle();
      ASSERT_EQ(unit->w_ready, next < all.size() || factors.size() + unit->j_valid == nodes);
      if (unit->j_valid) factors.push_back(unit.cycle() - start);
      if (next >= all.size() && unit->w_ready) ready = unit.cycle() - start;
      unit.tick();
    }
    ASSERT_EQ(factors.size(), nodes);
    for (std::size_t n = 0; n < nodes; ++n)
      EXPECT_EQ(factors[n], all.size() + 4 + (n + 1) * (TypeParam::FACTOR_BITS + 2)) << "node " << n;
    EXPECT_EQ(ready, factors.back());
  }
}

}  // namespace
