#include "grapes/plot/chart.h"

#include <gmock/gmock.h>

namespace grapes::plot {
namespace {
using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Coordinate, HasAtMostTwoDecimals) {
  EXPECT_EQ(coordinate(1.0 / 3), "0.33");
  EXPECT_EQ(coordinate(12), "12");
  EXPECT_EQ(coordinate(-0.001), "0");
  EXPECT_EQ(coordinate(-2.5), "-2.5");
}

TEST(Escape, ReplacesTheSpecialCharactersOfXml) { EXPECT_EQ(escape("<a b=\"&\">"), "&lt;a b=&quot;&amp;&quot;&gt;"); }

TEST(Scale, MapsTheEndsOfTheRangeToTheEndsOfTheAxis) {
  const Scale linear{2, 4, 100, 0};
  EXPECT_DOUBLE_EQ(linear(2), 100);
  EXPECT_DOUBLE_EQ(linear(3), 50);
  const Scale logarithmic{0.01, 100, 0, 8, true};
  EXPECT_DOUBLE_EQ(logarithmic(1), 4);
}

TEST(Ticks, AreRoundNumbersWithinTheRange) {
  EXPECT_THAT(ticks(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(ticks(0.871, 0.893, 4), ElementsAre(DoubleNear(0.875, 1e-9), DoubleNear(0.88, 1e-9),
                                                  DoubleNear(0.885, 1e-9), DoubleNear(0.89, 1e-9)));
  EXPECT_THAT(ticks(0.03, 3, 5, true), ElementsAre(DoubleNear(0.05, 1e-9), DoubleNear(0.1, 1e-9), DoubleNear(0.2, 1e-9),
                                                   DoubleNear(0.5, 1e-9), 1, 2));
}

TEST(TickLabel, HasAsManyDecimalsAsNeeded) {
  EXPECT_EQ(tick_label(4, {2, 4, 6}), "4");
  EXPECT_EQ(tick_label(0.88, {0.875, 0.88, 0.885}), "0.880");
  EXPECT_EQ(tick_label(-0.5, {-1, -0.5, 0}), "−0.5");
  EXPECT_EQ(tick_label(1, {0.5, 1, 2, 5}), "1");
  EXPECT_EQ(tick_label(3 * 0.1, {0.1, 3 * 0.1, 1}), "0.3");
  EXPECT_EQ(tick_label(0.02, {0.02, 0.05, 0.1}), "0.02");
}

TEST(Drawing, HasADescriptionForScreenReaders) {
  Drawing drawing(10, 20);
  drawing.text({1, 2}, "a < b");
  const std::string text = drawing.element("What is \"seen\"");
  EXPECT_THAT(text, HasSubstr("viewBox=\"0 0 10 20\" role=\"img\" aria-label=\"What is &quot;seen&quot;\">"));
  EXPECT_THAT(text, HasSubstr("a &lt; b"));
}

}  // namespace
}  // namespace grapes::plot
