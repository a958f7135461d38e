#include "grapes/plot/responses.h"

#include <gmock/gmock.h>

namespace grapes::plot {
namespace {
using testing::HasSubstr;
using testing::Not;

DeviceResponse triangle(const std::string& name) { return {name, "a < b", {0, 1, 0}, {0, 0.5, 0}, {0, 1.25, 0}, 1}; }

TEST(ResponsePicture, DrawsLineBandAndClosedForm) {
  const std::string text = response_picture({triangle("one")});
  // The y axis holds 0 to mean + s.d. = 1.5, with 4 % of air: -0.06 to 1.56 on 206 to 44; x holds 0 to 2 on 48 to 302.
  EXPECT_THAT(text, HasSubstr("<polyline points=\"48,200 175,100 302,200\" class=\"line a2\"/>"));
  EXPECT_THAT(text, HasSubstr("<polygon points=\"48,200 175,50 302,200 302,200 175,150 48,200\""));
  EXPECT_THAT(text, HasSubstr("<polyline points=\"48,200 175,75 302,200\" class=\"over broken\""));
  EXPECT_THAT(text, HasSubstr("a &lt; b"));
}

TEST(ResponsePicture, ThreePanelsARow) {
  EXPECT_THAT(response_picture({triangle("one")}), HasSubstr("viewBox=\"0 0 656 340\""));
  const std::string four = response_picture({triangle("one"), triangle("two"), triangle("three"), triangle("four")});
  EXPECT_THAT(four, HasSubstr("viewBox=\"0 0 968 588\""));
  EXPECT_THAT(four, HasSubstr("translate(16 332)"));
}

TEST(ResponsePicture, LongResponsesAreThinnedButKeepTheTurn) {
  DeviceResponse device{"long", "", {}, {}, {}, 1001};
  for (int n = 0; n <= 2002; ++n) {
    device.mean.push_back(n == 1001 ? 10 : 0);
    device.sd.push_back(0);
    device.expected.push_back(0);
  }
  const std::string text = response_picture({device});
  EXPECT_LT(text.size(), 30'000U);
  EXPECT_THAT(text, HasSubstr(" 175,50 "));  // the peak, at the turn
}

}  // namespace
}  // namespace grapes::plot
