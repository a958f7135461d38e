#include "grapes/record/histogram.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <cmath>

namespace grapes::record {
namespace {

TEST(Histogram, HasTheSampleStandardDeviation) {
  const Histogram found = histogram({1, 2, 3, 4});
  EXPECT_DOUBLE_EQ(found.mean, 2.5);
  EXPECT_DOUBLE_EQ(found.sd, std::sqrt(5.0 / 3));
  EXPECT_EQ(histogram({7}).sd, 0);
  EXPECT_EQ(found.min, 1);
  EXPECT_EQ(found.max, 4);
}

TEST(Histogram, ABinIncludesItsUpperEnd) {
  const Histogram found = histogram({0.1, 0.3, 0.30000001, 1.9, 2}, 0, 2);
  EXPECT_EQ(found.counts[0], 1);
  EXPECT_EQ(found.counts[2], 1);  // 0.3 = 3 x 0.1 only up to rounding
  EXPECT_EQ(found.counts[3], 1);
  EXPECT_EQ(found.counts[18], 1);
  EXPECT_EQ(found.counts[19], 1);
}

TEST(Histogram, NumbersOutsideTheRangeCountInTheNearestBin) {
  const Histogram found = histogram({-1, 5, 1.5}, 1, 2);
  EXPECT_EQ(found.counts.front(), 1);
  EXPECT_EQ(found.counts.back(), 1);
  EXPECT_EQ(found.counts[9], 1);
}

TEST(Histogram, CoversTheRangeOfTheNumbers) {
  const Histogram found = histogram({3, 4, 5});
  EXPECT_EQ(found.from, 3);
  EXPECT_EQ(found.to, 5);
  EXPECT_EQ(found.counts.front(), 1);
  EXPECT_EQ(found.counts[9], 1);
  EXPECT_EQ(found.counts.back(), 1);
  EXPECT_EQ(histogram({2, 2}).counts.front(), 2);  // no range
  EXPECT_THAT(histogram({}).counts, testing::Each(0));
}

TEST(Histogram, WritesTheFormatOfRecords) {
  const nlohmann::json object = to_json(histogram({1.05, 1.95}, 0, 2));
  EXPECT_EQ(object["histogram"].size(), 20u);
  EXPECT_EQ(object["mean"], 1.5);
  EXPECT_EQ(object["max"], 1.95);
}

}  // namespace
}  // namespace grapes::record
