#include "grapes/plot/cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace grapes::plot {
namespace {

using testing::HasSubstr;

TEST(CostPicture, PartsStandSideBySideAndAsWideAsTheirNumbers) {
  const std::string picture = cost_picture("a step", "µJ", {"there", "back"}, {{"bp", {1, 3}}, {"dfa", {2, 0}}});
  // 460 wide for the most, which is 4; left of it 16 and three characters of 7.2: from 37.6.
  EXPECT_THAT(picture, HasSubstr("x=\"37.6\" y=\"63\" width=\"115\""));
  EXPECT_THAT(picture, HasSubstr("x=\"152.6\" y=\"63\" width=\"345\""));
  EXPECT_THAT(picture, HasSubstr("x=\"37.6\" y=\"85\" width=\"230\""));
  EXPECT_THAT(picture, HasSubstr("bp, back: 3.00 µJ"));
  EXPECT_THAT(picture, HasSubstr(">4.00<"));
}

TEST(CostPicture, RefusesWhatItCannotDraw) {
  EXPECT_THROW(cost_picture("", "", {"a", "b"}, {{"x", {1}}}), std::invalid_argument);
  EXPECT_THROW(cost_picture("", "", {"a"}, {{"x", {-1}}}), std::invalid_argument);
}

}  // namespace
}  // namespace grapes::plot
