// Writes the two waves that hardware/waves draws: waves FOLDER writes FOLDER/modulation.vcd and FOLDER/tile.vcd.
#include "clocked.h"
#include "models.h"

#include <array>
#include <cstdio>
#include <string>

namespace {

// Three units with four weights: r = 12, 20, 14. The sender pauses once; the receiver delays the second factor.
void modulation(const std::string& file) {
  using Unit = ModulationSmall;
  constexpr std::array<std::array<int, 2>, 6> beats{{{5, -3}, {4, 0}, {7, -6}, {-5, 2}, {-4, 3}, {2, 5}}};
  Clocked<Unit::Model> unit(1, file);
  std::size_t next = 0;
  for (int cycle = 0; cycle < 26; ++cycle) {
    unit->w_valid = next < beats.size() && cycle != 3;
    if (unit->w_valid)
      for (int lane = 0; lane < Unit::LANES; ++lane)
        put(unit->w_data, lane, Unit::WEIGHT_BITS, beats[next][static_cast<std::size_t>(lane)]);
    unit->w_last = unit->w_valid && next % 2 == 1;
    unit->w_end = unit->w_valid && next == beats.size() - 1;
    unit->j_ready = cycle != 19 && cycle != 20;
    unit.settle();
    if (unit->w_valid && unit->w_ready) ++next;
    unit.tick();
  }
}

// 2 x 2 weights: weights and factors in, three examples with a pause before the last, weights out.
void tile(const std::string& file) {
  using Unit = TileSmall;
  Clocked<Unit::Model> tile(1, file);
  const auto pair = [](auto& port, int first, int second) {
    put(port, 0, 8, first);
    put(port, 1, 8, second);
  };
  tile->u_valid = tile->w_valid = tile->j_valid = 0;
  for (int moved = 0; moved < Unit::ROWS;) {  // zeros first, so that the drawing begins with them
    tile->w_valid = 1;
    tile->w_in = 0;
    tile.settle();
    if (tile->w_ready) ++moved;
    tile.tick();
  }
  for (int cycle = 0, moved = 0; cycle < 13; ++cycle) {
    tile->w_valid = cycle < 2 || (cycle >= 7 && moved < 2 * Unit::ROWS);
    pair(tile->w_in, cycle == 0 ? 30 : cycle == 1 ? 10 : 0, cycle == 0 ? 40 : cycle == 1 ? 20 : 0);
    tile->j_valid = cycle < 2;
    tile->j_data = cycle == 0 ? 4 : 2;  // the bottom row's factor is 2, the top row's 1.5
    tile->u_valid = cycle == 2 || cycle == 3 || cycle == 5;
    pair(tile->u_error, cycle == 3 ? -4 : 8, cycle == 5 ? -8 : 16);
    pair(tile->u_activation, cycle == 2 ? 8 : -16, 12);
    tile.settle();
    if (tile->w_valid && tile->w_ready) ++moved;
    tile.tick();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: rtl_waves FOLDER\n", stderr);
    return 2;
  }
  modulation(std::string(argv[1]) + "/modulation.vcd");
  tile(std::string(argv[1]) + "/tile.vcd");
}
