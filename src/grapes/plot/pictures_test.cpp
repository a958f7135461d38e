#include "grapes/plot/pictures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace grapes::plot {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(CostPicture, DrawsAdjacentBarsAsWideAsTheirNumbers) {
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

TEST(HistogramText, IsOneLineInWhichASingleNumberIsVisible) {
  std::vector<double> values(100, 1.025);
  values.push_back(1.975);
  EXPECT_EQ(histogram_text(record::histogram(values, 1, 2)),
            "1 █" + std::string(18, ' ') + "▁ 2  mean 1.034, sd 0.0945, 1.025 to 1.975");
}

TEST(HistogramPicture, HasAPanelForEachLayerWhoseTallestBarIsAsHighAsThePanel) {
  const std::string picture = histogram_picture(
      {{"layers.0", record::histogram({1.02, 1.03, 1.5}, 1, 2)}, {"a < b", record::histogram({1, 2}, 1, 2)}}, "factor");
  EXPECT_THAT(picture, HasSubstr("layers.0: mean 1.183, sd 0.274"));
  EXPECT_THAT(picture, HasSubstr("a &lt; b"));
  // 448 wide for 20 bins from 16 on; the bars stand on 106.
  EXPECT_THAT(picture, HasSubstr("<rect x=\"16\" y=\"36\" width=\"21.4\" height=\"70\" class=\"cell a1\""));
  EXPECT_THAT(picture, HasSubstr("<rect x=\"217.6\" y=\"71\" width=\"21.4\" height=\"35\" class=\"cell a1\""));
  EXPECT_EQ(picture, histogram_picture({{"layers.0", record::histogram({1.02, 1.03, 1.5}, 1, 2)},
                                        {"a < b", record::histogram({1, 2}, 1, 2)}},
                                       "factor"));
}

DeviceResponse triangle(const std::string& name) { return {name, "a < b", {0, 1, 0}, {0, 0.5, 0}, {0, 1.25, 0}, 1}; }

TEST(ResponsePicture, DrawsLineBandAndClosedForm) {
  const std::string text = response_picture({triangle("one")});
  // The y axis holds 0 to mean + s.d. = 1.5, with a margin of 5 %: -0.075 to 1.575 on 190 to 28; x holds 0 to 2 on 56
  // to 296.
  EXPECT_THAT(text, HasSubstr("<polyline points=\"56,182.64 176,84.45 296,182.64\" class=\"line a2\"/>"));
  EXPECT_THAT(text, HasSubstr("<polygon points=\"56,182.64 176,35.36 296,182.64 296,182.64 176,133.55 56,182.64\""));
  EXPECT_THAT(text, HasSubstr("<polyline points=\"56,182.64 176,59.91 296,182.64\" class=\"line over broken\""));
  EXPECT_THAT(text, HasSubstr("a &lt; b"));
}

TEST(ResponsePicture, HasThreePanelsPerRow) {
  EXPECT_THAT(response_picture({triangle("one")}), HasSubstr("viewBox=\"0 0 656 340\""));
  const std::string four = response_picture({triangle("one"), triangle("two"), triangle("three"), triangle("four")});
  EXPECT_THAT(four, HasSubstr("viewBox=\"0 0 968 588\""));
  EXPECT_THAT(four, HasSubstr("translate(16 332)"));
}

TEST(ResponsePicture, LongResponsesHaveFewerPointsButKeepTheTurningPoint) {
  DeviceResponse device{"long", "", {}, {}, {}, 1001};
  for (int n = 0; n <= 2002; ++n) {
    device.mean.push_back(n == 1001 ? 10 : 0);
    device.sd.push_back(0);
    device.expected.push_back(0);
  }
  const std::string text = response_picture({device});
  EXPECT_LT(text.size(), 30'000U);
  EXPECT_THAT(text, HasSubstr(" 176,35.36 "));  // the peak, at the turn
}

}  // namespace
}  // namespace grapes::plot
