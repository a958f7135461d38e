#include "grapes/report/report.h"
#include "grapes/report/synthetic_test.h"

#include <gmock/gmock.h>

namespace grapes::report {
namespace {
using record::Json;
using testing::HasSubstr;

TEST(Tuning, CountsTheUsableRatesOfEachArm) {
  Json tuning = synthetic::tuning();  // 0.88 - 0.01 (log(rate / 0.15) + shift)^2, five rates
  const auto arm_of = [&] {
    return *summarize(synthetic::records(synthetic::runs(), tuning)).conditions[0].find("bp");
  };
  Json& tried = tuning["arms"]["bp"]["tried"];
  const std::vector<double> scores = {0.87, 0.8799, 0.89, 0.885, 0.88};
  for (std::size_t i = 0; i < scores.size(); ++i) tried[i]["validation_mean"] = scores[i];
  EXPECT_EQ(arm_of().tried, 5u);
  EXPECT_EQ(arm_of().usable, 3u);         // 0.88 is within 1 point of 0.89, and 0.8799 is not
  tried[2]["validation_mean"] = nullptr;  // diverged
  EXPECT_EQ(arm_of().usable, 3u);         // of 0.885
  EXPECT_THAT(
      html(summarize(synthetic::records(synthetic::runs(), tuning))),
      HasSubstr("<td data-label=\"rates tried\"><span>5</span></td><td data-label=\"usable rates\"><span>3</span>"));
}

TEST(Tuning, ARateIsAtTheEdgeOfTheRatesThatItsArmTried) {
  Json tuning = synthetic::tuning();
  tuning["arms"]["bp"]["chosen"] = 0.4;
  const auto at_edge = [&] {
    return summarize(synthetic::records(synthetic::runs(), tuning)).conditions[0].find("bp")->at_edge;
  };
  EXPECT_TRUE(at_edge());
  tuning["arms"]["bp"]["tried"].push_back({{"learning_rate", 0.8}, {"validation_mean", 0.5}});  // the grid was extended
  EXPECT_FALSE(at_edge());
}

}  // namespace
}  // namespace grapes::report
