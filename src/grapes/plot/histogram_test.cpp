#include "grapes/plot/histogram.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace grapes::plot {
namespace {
using testing::HasSubstr;

TEST(HistogramText, IsOneLineWhereOneNumberIsStillSeen) {
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

}  // namespace
}  // namespace grapes::plot
