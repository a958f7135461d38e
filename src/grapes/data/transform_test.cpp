#include "grapes/data/transform.h"

#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>

namespace grapes::data {
namespace {

using testing::HasSubstr;

/// Images [n, channels, side, side] of random gray values, of three classes in turn.
DatasetPtr pictures(std::int64_t n, std::int64_t channels, std::int64_t side) {
  const at::Tensor x = at::arange(n * channels * side * side, at::kFloat).mul(12.9898).sin().mul(43758.5453);
  return memory((x - x.floor()).reshape({n, channels, side, side}), at::arange(n, at::kLong).remainder(3),
                {ProblemKind::classification, {channels, side, side}, 3, {"a", "b", "c"}});
}

Normalization as_is() { return {}; }

TEST(Transform, PermutationFollowsTheGivenOrder) {
  const DatasetPtr source = pictures(4, 1, 3);
  const at::Tensor order = at::tensor({3, 1, 2, 0, 8, 7, 6, 5, 4}, at::kLong);
  const at::Tensor x = all_inputs(*source).flatten(1), y = all_inputs(*permuted(source, order)).flatten(1);
  for (std::int64_t i = 0; i < 9; ++i)
    EXPECT_TRUE(y.select(1, i).equal(x.select(1, order[i].item<std::int64_t>()))) << i;
  EXPECT_TRUE(permuted(source, order)->targets().equal(source->targets()));
  EXPECT_THROW(permuted(source, at::tensor({0, 0, 2, 3, 4, 5, 6, 7, 8}, at::kLong)), c10::Error);
  EXPECT_THROW(permuted(source, at::arange(8, at::kLong)), c10::Error);
}

TEST(Transform, WholePositionsAreSampledBitForBit) {
  const at::Tensor images = all_inputs(*pictures(3, 2, 9));
  const at::Tensor x = at::arange(9, at::kFloat).expand({9, 9}), y = x.t();
  const auto at_positions = [&](const at::Tensor& x, const at::Tensor& y) {
    return sampled(images, at::stack({x, y}, -1).unsqueeze(0));
  };
  EXPECT_TRUE(at::equal(at_positions(x, y), images));
  EXPECT_TRUE(at::equal(at_positions(8 - x, y), images.flip(3)));
  EXPECT_TRUE(at::equal(at_positions(x + 1, y).narrow(3, 0, 8), images.narrow(3, 1, 8)));
  EXPECT_TRUE(at_positions(x + 1, y).select(3, 8).eq(0).all().item<bool>());
  EXPECT_TRUE(at::allclose(at_positions(x + 0.5, y).narrow(3, 0, 8),
                           (images.narrow(3, 0, 8) + images.narrow(3, 1, 8)) / 2, 0, 1e-6));
}

TEST(Transform, QuarterTurnsEqualThoseOfTheArray) {
  const DatasetPtr source = pictures(3, 2, 5);
  for (int quarters = 0; quarters < 5; ++quarters)
    EXPECT_TRUE(at::allclose(all_inputs(*rotated(source, 90.0 * quarters, as_is())),
                             at::rot90(all_inputs(*source), quarters, {2, 3}), 0, 1e-6))
        << quarters;
}

TEST(Transform, RotationByAnAngleFollowsTheEquation) {
  // A bright pixel to the right of the center moves up when the image is rotated counterclockwise.
  at::Tensor x = at::zeros({1, 1, 9, 9});
  x[0][0][4][7] = 1;
  const DatasetPtr source = memory(x, at::zeros({1}, at::kLong), {ProblemKind::classification, {1, 9, 9}, 1, {"a"}});
  const double a = 30, c = std::cos(a * std::acos(-1.0) / 180), s = std::sin(a * std::acos(-1.0) / 180);
  const at::Tensor y = all_inputs(*rotated(source, a, as_is()))[0][0];
  double total = 0;
  for (int row = 0; row < 9; ++row)
    for (int column = 0; column < 9; ++column) {
      const double from_x = 4 + (column - 4) * c - (row - 4) * s, from_y = 4 + (column - 4) * s + (row - 4) * c;
      const double expected = std::max(0.0, 1 - std::abs(from_x - 7)) * std::max(0.0, 1 - std::abs(from_y - 4));
      EXPECT_NEAR(y[row][column].item<float>(), expected, 1e-6) << row << " " << column;
      total += expected;
    }
  EXPECT_GT(total, 0.5);
  EXPECT_GT(y[2][7].item<float>() + y[3][7].item<float>() + y[2][6].item<float>() + y[3][6].item<float>(), 0.5);
}

TEST(Transform, PixelsFromOutsideAreBackground) {
  const DatasetPtr source = pictures(2, 2, 8);
  const Normalization shifted{at::tensor({0.5F, 0.25F}).view({2, 1, 1}), at::full({2, 1, 1}, 2.0)};
  const at::Tensor y = all_inputs(*rotated(normalized(source, shifted), 45, shifted));
  // The corners of an image rotated by 45 degrees come from outside the image.
  EXPECT_TRUE(y.select(1, 0).select(1, 0).select(1, 0).eq(-1).all().item<bool>());
  EXPECT_TRUE(y.select(1, 1).select(1, 0).select(1, 0).eq(-0.5).all().item<bool>());
  const Normalization uneven{at::arange(128, at::kFloat).view({2, 8, 8}), at::ones({1})};
  try {
    rotated(source, 45, uneven);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("background"));
  }
  const DatasetPtr table =
      memory(at::rand({3, 4}), at::zeros({3}, at::kLong), {ProblemKind::classification, {4}, 1, {"a"}});
  EXPECT_THROW(rotated(table, 45, as_is()), UsageError);
}

TEST(Transform, SelectedClassesAreNumberedByTheirAnswers) {
  const DatasetPtr source = pictures(9, 1, 2);
  const DatasetPtr some = of_classes(source, {2, 0}, {2, 0});
  EXPECT_EQ(some->size(), 6);
  EXPECT_EQ(some->info().classes, (std::vector<std::string>{"c", "a"}));
  EXPECT_TRUE(some->targets().equal(at::tensor({1, 0, 1, 0, 1, 0}, at::kLong)));
  const Batch batch = some->get(at::tensor({1, 2}, at::kLong));
  EXPECT_TRUE(batch.targets.equal(at::tensor({0, 1}, at::kLong)));
  EXPECT_TRUE(batch.inputs.equal(source->get(at::tensor({2, 3}, at::kLong)).inputs));
  // One class, with the answers of all three.
  const DatasetPtr one = of_classes(source, {1}, {2, 0, 1});
  EXPECT_EQ(one->size(), 3);
  EXPECT_EQ(one->info().outputs, 3);
  EXPECT_TRUE(one->targets().equal(at::tensor({2, 2, 2}, at::kLong)));
}

}  // namespace
}  // namespace grapes::data
