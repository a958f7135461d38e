// A process that may be lost.
#include "grapes/nir/trial.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>

namespace grapes::nir {
namespace {

TEST(Trial, EndsAndOtherThings) {
  int seen = 0;
  EXPECT_TRUE(survives([&] { seen = 1; }, 5));
  EXPECT_EQ(seen, 0);
  EXPECT_TRUE(survives([] { throw std::runtime_error("an end too"); }, 5));
  EXPECT_FALSE(survives([] { std::abort(); }, 5));
  EXPECT_FALSE(survives(
      [] {
        for (volatile int forever = 1; forever != 0;) {
        }
      },
      1));
}

}  // namespace
}  // namespace grapes::nir
