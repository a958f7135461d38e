#include "grapes/experiment/grid.h"

#include <gmock/gmock.h>

#include <string>

namespace grapes::experiment {
namespace {
using testing::ElementsAre;

std::vector<double> grid(const std::string& text) {
  std::vector<double> rates;
  return read_grid(text, rates) ? rates : std::vector<double>();
}

TEST(Grid, ASeriesHasRatesOfThreeDigitsInEqualRatios) {
  EXPECT_THAT(grid("0.01..0.04:sqrt2"), ElementsAre(0.01, 0.0141, 0.02, 0.0283, 0.04));
  EXPECT_THAT(grid("1..1000:10"), ElementsAre(1, 10, 100, 1000));
  EXPECT_THAT(grid("0.1..0.35:2"), ElementsAre(0.1, 0.2));  // the next one is above the end
  EXPECT_THAT(grid("3e-5 .. 3e-4 : sqrt10"), ElementsAre(3e-5, 9.49e-5, 3e-4));
  EXPECT_EQ(grid("0.001..10:sqrt2").size(), 27u);
}

TEST(Grid, MixesRatesAndSeries) {
  EXPECT_THAT(grid("0.5, 0.01..0.02:2,1"), ElementsAre(0.5, 0.01, 0.02, 1));
  EXPECT_THAT(grid("0.123456"), ElementsAre(0.123456));  // a rate that is given is not rounded
}

TEST(Grid, OtherTextIsRefused) {
  for (const char* text : {"", "0", "-0.1", "0.1..0.2", "0.2..0.1:2", "0.1..0.2:1", "0.1..0.2:sqrt1", "0..1:2",
                           "a..b:2", "0.1:0.2..2", "0.1..inf:2", "0.1,,0.2"})
    EXPECT_THAT(grid(text), ElementsAre()) << text;
}

TEST(Grid, ContinuesInTheRatioOfItsEnd) {
  EXPECT_THAT(continuation({0.01, 0.1, 0.2}, true, 3), ElementsAre(0.4, 0.8, 1.6));
  EXPECT_THAT(continuation({0.01, 0.1, 0.2}, false, 2), ElementsAre(0.001, 0.0001));
  EXPECT_THAT(continuation(grid("0.01..0.04:sqrt2"), true, 4), ElementsAre(0.0565, 0.0799, 0.113, 0.16));
}

}  // namespace
}  // namespace grapes::experiment
