// Compares the tile with grapes::fixed::update: load weights, apply examples, unload weights.
#include "grapes/fixed/tile.h"

#include "clocked.h"
#include "draw.h"
#include "models.h"
#include <gtest/gtest.h>

#include <vector>

namespace {

namespace fixed = grapes::fixed;
using Numbers = std::vector<std::int32_t>;

template <class Unit>
constexpr fixed::Widths widths{Unit::WEIGHT_BITS, Unit::ERROR_BITS, Unit::ACTIVATION_BITS, Unit::FACTOR_BITS,
                               Unit::SHIFT};

Numbers draw_all(Random& random, int count, int bits) {
  Numbers all(static_cast<std::size_t>(count));
  for (auto& one : all) one = draw(random, bits);
  return all;
}

template <class Port>
void put_all(Port& port, int bits, const Numbers& numbers) {
  for (std::size_t i = 0; i < numbers.size(); ++i) put(port, static_cast<int>(i), bits, numbers[i]);
}

template <class Unit>
class Tile : public testing::Test {
 protected:
  Tile() { tile->u_valid = tile->w_valid = tile->j_valid = 0; }

  /// Waits until the weights can move, then moves them ROWS times: new ones in, old ones out, the bottom row first.
  Numbers exchange(const Numbers& fresh, Random& random) {
    Numbers old(fresh.size());
    for (int row = Unit::ROWS - 1; row >= 0;) {
      const auto at = static_cast<std::size_t>(row * Unit::COLS);
      tile->w_valid = chance(random, 0.7);
      for (int i = 0; i < Unit::COLS; ++i)
        put(tile->w_in, i, Unit::WEIGHT_BITS, fresh[at + static_cast<std::size_t>(i)]);
      tile.settle();
      if (tile->w_valid && tile->w_ready) {
        for (int i = 0; i < Unit::COLS; ++i)
          old[at + static_cast<std::size_t>(i)] = get(tile->w_out, i, Unit::WEIGHT_BITS);
        --row;
      }
      tile.tick();
    }
    tile->w_valid = 0;
    return old;
  }

  void set_factors(const std::vector<std::uint32_t>& steps, Random& random) {
    for (int row = Unit::ROWS - 1; row >= 0;) {
      tile->j_valid = chance(random, 0.7);
      tile->j_data = steps[static_cast<std::size_t>(row)];
      if (tile->j_valid) --row;
      tile.tick();
    }
    tile->j_valid = 0;
  }

  void example(const Numbers& errors, const Numbers& activations) {
    put_all(tile->u_error, Unit::ERROR_BITS, errors);
    put_all(tile->u_activation, Unit::ACTIVATION_BITS, activations);
    tile->u_valid = 1;
    tile.tick();
    tile->u_valid = 0;
  }

  Clocked<typename Unit::Model> tile{1};
};
using Tiles = testing::Types<TileSquare, TileOdd, TileSmall, TileOne>;
TYPED_TEST_SUITE(Tile, Tiles);

TYPED_TEST(Tile, EqualsTheModelOverRandomExamplesAndPauses) {
  using Unit = TypeParam;
  Random random(4);
  Numbers weights = draw_all(random, Unit::ROWS * Unit::COLS, Unit::WEIGHT_BITS);
  this->exchange(weights, random);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::uint32_t> steps(Unit::ROWS);
    for (auto& j : steps) j = static_cast<std::uint32_t>(random() % ((1u << Unit::FACTOR_BITS) + 1));
    this->set_factors(steps, random);
    for (int count = static_cast<int>(random() % 40); count > 0; --count) {
      const Numbers errors = draw_all(random, Unit::ROWS, Unit::ERROR_BITS);
      const Numbers activations = draw_all(random, Unit::COLS, Unit::ACTIVATION_BITS);
      this->example(errors, activations);
      fixed::update(weights, errors, steps, activations, widths<Unit>);
      while (chance(random, 0.2)) {
        // Between examples the ports may have any value.
        put_all(this->tile->u_error, Unit::ERROR_BITS, draw_all(random, Unit::ROWS, Unit::ERROR_BITS));
        put_all(this->tile->u_activation, Unit::ACTIVATION_BITS, draw_all(random, Unit::COLS, Unit::ACTIVATION_BITS));
        this->tile.tick();
      }
    }
    // The next round continues with other weights, which are loaded while these are unloaded.
    const Numbers fresh = draw_all(random, Unit::ROWS * Unit::COLS, Unit::WEIGHT_BITS);
    ASSERT_EQ(this->exchange(fresh, random), weights) << "round " << round;
    weights = fresh;
  }
}

TYPED_TEST(Tile, LetsWeightsMoveWhenTheLastExampleHasLeft) {
  using Unit = TypeParam;
  Random random(5);
  this->exchange(Numbers(Unit::ROWS * Unit::COLS), random);
  for (const int examples : {1, 3}) {
    for (int t = 0; t < examples; ++t) this->example(Numbers(Unit::ROWS, 1), Numbers(Unit::COLS, 1));
    int wait = 0;
    for (this->tile.settle(); !this->tile->w_ready; this->tile.settle()) {
      this->tile.tick();
      ++wait;
    }
    EXPECT_EQ(wait, Unit::ROWS + Unit::COLS - 1);
  }
}

}  // namespace
