// Compares the whole layer, and Yosys's netlist of gates for it, with grapes::fixed, with random requests on all three
// ports at once.
#include "grapes/fixed/factor.h"
#include "grapes/fixed/tile.h"

#include "clocked.h"
#include "draw.h"
#include "models.h"
#include <gtest/gtest.h>

#include <vector>

namespace {

namespace fixed = grapes::fixed;
using Numbers = std::vector<std::int32_t>;

/// The expected state of the layer.
template <class Unit>
struct Expected {
  static constexpr fixed::Widths widths{Unit::WEIGHT_BITS, Unit::ERROR_BITS, Unit::ACTIVATION_BITS, Unit::FACTOR_BITS,
                                        Unit::SHIFT};
  Numbers weights = Numbers(Unit::ROWS * Unit::COLS);
  std::vector<std::uint32_t> steps = std::vector<std::uint32_t>(Unit::ROWS);

  Numbers bottom() const { return {weights.end() - Unit::COLS, weights.end()}; }
  void move(const Numbers& row) {
    weights.insert(weights.begin(), row.begin(), row.end());
    weights.resize(Unit::ROWS * Unit::COLS);
  }
  void learn(const Numbers& errors, const Numbers& activations) {
    fixed::update(weights, errors, steps, activations, widths);
  }
  void find_factors() {
    std::vector<std::uint64_t> r;
    for (std::size_t n = 0; n < Unit::ROWS; ++n)
      r.push_back(fixed::responsibility(&weights[n * Unit::COLS], Unit::COLS));
    steps = fixed::factor_steps(r, Unit::FACTOR_BITS);
  }
};

template <class Port>
Numbers put_random(Port& port, int count, int bits, Random& random) {
  Numbers numbers;
  for (int i = 0; i < count; ++i) {
    numbers.push_back(draw(random, bits));
    put(port, i, bits, numbers.back());
  }
  return numbers;
}

template <class Unit>
class Layer : public testing::Test {};
using Layers = testing::Types<LayerPlain, LayerNetlist>;
TYPED_TEST_SUITE(Layer, Layers);

TYPED_TEST(Layer, EqualsTheModelUnderRandomRequests) {
  using Unit = TypeParam;
  Random random(6);
  Clocked<typename Unit::Model> layer(1);
  Expected<Unit> expected;
  int moved = 0, learned = 0, found = 0;
  layer->u_valid = layer->f_valid = 0;
  while (moved < Unit::ROWS) {  // the initial random weights come out first
    const Numbers row = put_random(layer->w_in, Unit::COLS, Unit::WEIGHT_BITS, random);
    layer->w_valid = 1;
    layer.settle();
    if (layer->w_ready) {
      expected.move(row);
      ++moved;
    }
    layer.tick();
  }
  layer->w_valid = 0;
  layer->f_valid = 1;
  layer.tick();
  expected.find_factors();

  for (int cycle = 0; cycle < 40000; ++cycle) {
    // Phases of learning with a few moves and factors, and phases with everything at once.
    const bool crowd = cycle / 500 % 4 == 3;
    layer->u_valid = chance(random, 0.7) && (crowd || cycle % 64 < 40);
    layer->w_valid = chance(random, crowd ? 0.5 : 0.2);
    layer->f_valid = chance(random, crowd ? 0.2 : 0.02);
    const Numbers errors = put_random(layer->u_error, Unit::ROWS, Unit::ERROR_BITS, random);
    const Numbers activations = put_random(layer->u_activation, Unit::COLS, Unit::ACTIVATION_BITS, random);
    const Numbers row = put_random(layer->w_in, Unit::COLS, Unit::WEIGHT_BITS, random);
    layer.settle();
    // Of the transfers in one cycle, weights move first, then comes the example, then the factors.
    if (layer->w_valid && layer->w_ready) {
      Numbers out;
      for (int i = 0; i < Unit::COLS; ++i) out.push_back(get(layer->w_out, i, Unit::WEIGHT_BITS));
      ASSERT_EQ(out, expected.bottom()) << "cycle " << cycle;
      expected.move(row);
      ++moved;
    }
    if (layer->u_valid && layer->u_ready) {
      expected.learn(errors, activations);
      ++learned;
    }
    if (layer->f_valid && layer->f_ready) {
      expected.find_factors();
      ++found;
    }
    layer.tick();
  }
  EXPECT_GT(moved, 1000);
  EXPECT_GT(learned, 5000);
  EXPECT_GT(found, 200);
}

TYPED_TEST(Layer, FindsItsFactorsInAsManyCyclesAsItsReadmeSays) {
  using Unit = TypeParam;
  Clocked<typename Unit::Model> layer(1);
  layer->u_valid = layer->w_valid = layer->f_valid = 0;
  for (layer.settle(); !layer->w_ready; layer.settle()) layer.tick();
  layer->f_valid = 1;
  layer.tick();
  layer->f_valid = 0;
  int cycles = 1;
  for (layer.settle(); !layer->f_ready; layer.settle()) {
    layer.tick();
    ++cycles;
  }
  EXPECT_EQ(cycles, Unit::ROWS * (Unit::FACTOR_BITS + 3) + 6);
}

}  // namespace
