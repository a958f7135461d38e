#include "grapes/data/augment.h"

#include "grapes/data/open.h"
#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace grapes::data {
namespace {

using testing::HasSubstr;

/// Images [n, channels, size, size] of random grey values, the same ones on each call.
DatasetPtr noise(std::int64_t n, std::int64_t channels, std::int64_t size) {
  const at::Tensor x = at::arange(n * channels * size * size, at::kFloat).mul(12.9898).sin().mul(43758.5453);
  return memory((x - x.floor()).reshape({n, channels, size, size}), at::zeros({n}, at::kLong),
                {Task::classification, {channels, size, size}, 1, {"all"}});
}

at::Tensor all(const Dataset& set, std::uint64_t seed) {
  return set.get(at::arange(set.size(), at::kLong), seed).inputs;
}

TEST(Augment, IsParsedAndRefusedByPart) {
  const Augmentation a = parse_augmentation("rotate=10, shift=0.15,elastic=34:5");
  EXPECT_EQ(a.rotate, 10);
  EXPECT_EQ(a.shift, 0.15);
  EXPECT_EQ(a.zoom, 0);
  EXPECT_EQ(a.elastic, 34);
  EXPECT_EQ(a.elastic_width, 5);
  EXPECT_EQ(parse_augmentation("elastic=8").elastic_width, 6);
  EXPECT_TRUE(parse_augmentation("").none());
  const auto message = [](const std::string& text) { return refusal<UsageError>([&] { parse_augmentation(text); }); };
  EXPECT_THAT(message("rotat=10"), HasSubstr("did you mean 'rotate'"));
  EXPECT_THAT(message("zoom=2"), HasSubstr("--augment zoom: '2', expected a number from 0 to 0.9"));
  EXPECT_THAT(message("shift=x"), HasSubstr("--augment shift: 'x'"));
  EXPECT_THAT(message("shift=nan"), HasSubstr("--augment shift: 'nan'"));
  EXPECT_THAT(message("shift"), HasSubstr("expected shift=AMPLITUDE"));
  EXPECT_THAT(message("elastic=3:0"), HasSubstr("elastic width"));
  EXPECT_THAT(message("rotate=3:4"), HasSubstr("too many colons"));
}

TEST(Augment, TinyAmplitudesChangeNextToNothingAndNoneChangesNothing) {
  const DatasetPtr source = noise(5, 2, 9);
  EXPECT_EQ(augmented(source, {}), source);
  // The sampling itself is exact: a turn by 0 about the middle, drawn through the whole path.
  Augmentation tiny;
  tiny.rotate = 1e-30;
  EXPECT_TRUE(at::equal(all(*augmented(source, tiny), 1), all(*source, 1)));
  Augmentation small;
  small.rotate = small.shift = small.shear = small.zoom = 1e-6;
  small.elastic = 1e-5;
  EXPECT_TRUE(at::allclose(all(*augmented(source, small), 1), all(*source, 1), 0, 1e-4));
}

TEST(Augment, IsAFunctionOfSeedAndRowAlone) {
  const DatasetPtr set =
      augmented(noise(12, 1, 10), parse_augmentation("rotate=10,shift=.15,shear=.15,zoom=.15,elastic=34:6"));
  const at::Tensor one = all(*set, 1);
  EXPECT_TRUE(at::equal(all(*set, 1), one));
  EXPECT_FALSE(at::equal(all(*set, 2), one));
  const at::Tensor rows = at::tensor({7, 3}, at::kLong);
  EXPECT_TRUE(at::equal(set->get(rows, 1).inputs, one.index_select(0, rows)));
  EXPECT_EQ(set->get(at::empty({0}, at::kLong), 1).inputs.size(0), 0);
}

TEST(Augment, LeavesTheGlobalGeneratorAlone) {
  at::manual_seed(4);
  const at::Tensor before = at::rand({3});
  at::manual_seed(4);
  all(*augmented(noise(3, 1, 8), parse_augmentation("rotate=10,elastic=34:6")), 1);
  EXPECT_TRUE(at::equal(at::rand({3}), before));
}

TEST(Augment, ShiftMovesAndFillsWithZero) {
  // A constant picture shifted by (x, y) keeps 1 where the source lies inside: its sum is the overlap of two squares.
  const DatasetPtr ones =
      memory(at::ones({200, 1, 20, 20}), at::zeros({200}, at::kLong), {Task::classification, {1, 20, 20}, 1, {"all"}});
  Augmentation a;
  a.shift = 0.5;
  const at::Tensor moved = all(*augmented(ones, a), 3);
  EXPECT_GE(moved.min().item<float>(), 0);
  EXPECT_LE(moved.max().item<float>(), 1 + 1e-6);
  // Mean overlap per axis: 1 - E|s| = 1 - 0.25; both axes are independent: 0.5625, sd of the mean about 0.012.
  EXPECT_NEAR(moved.mean().item<double>(), 0.5625, 0.05);
}

TEST(Augment, RotationTurnsAboutTheMiddle) {
  // A radially symmetric picture does not change under rotation, except for the interpolation; zoom does change it.
  const at::Tensor axis = at::arange(21, at::kFloat) - 10;
  const at::Tensor bell = at::exp(-(axis.square().unsqueeze(0) + axis.square().unsqueeze(1)) / 18);
  const DatasetPtr set = memory(bell.expand({30, 1, 21, 21}).contiguous(), at::zeros({30}, at::kLong),
                                {Task::classification, {1, 21, 21}, 1, {"all"}});
  const at::Tensor turned = all(*augmented(set, parse_augmentation("rotate=180")), 5);
  EXPECT_LT((turned - all(*set, 0)).abs().max().item<float>(), 0.03);
  const at::Tensor zoomed = all(*augmented(set, parse_augmentation("zoom=.5")), 5);
  EXPECT_GT((zoomed - all(*set, 0)).abs().max().item<float>(), 0.1);
}

TEST(Augment, ElasticDisplacementsHaveTheSizeTheyShould) {
  // A ramp shows its displacement directly. Uniform noise has variance 1/3; smoothing in two dimensions with
  // σ divides it by 4 π σ², so far from the edges sd = α / sqrt(12 π) / σ.
  constexpr std::int64_t n = 41;
  const at::Tensor ramp = at::arange(n, at::kFloat).expand({60, 1, n, n}).contiguous();
  const DatasetPtr set = memory(ramp, at::zeros({60}, at::kLong), {Task::classification, {1, n, n}, 1, {"all"}});
  const at::Tensor moved = all(*augmented(set, parse_augmentation("elastic=20:3")), 2) - ramp;
  const at::Tensor middle = moved.narrow(2, 13, 15).narrow(3, 13, 15);
  EXPECT_NEAR(middle.std().item<double>(), 20 / std::sqrt(12 * M_PI) / 3, 0.1);
  EXPECT_NEAR(middle.mean().item<double>(), 0, 0.1);
  EXPECT_LT((middle.narrow(3, 1, 14) - middle.narrow(3, 0, 14)).std().item<double>(), 0.5);  // smooth
}

TEST(Augment, OnlyTheTrainingPartIsAugmented) {
  Options options;
  options.augment = "rotate=20";
  const Splits splits = open(options, 1);
  const at::Tensor rows = at::arange(5, at::kLong);
  EXPECT_FALSE(at::equal(splits.train->get(rows, 1).inputs, splits.train->get(rows, 2).inputs));
  EXPECT_TRUE(at::equal(splits.train_plain->get(rows, 1).inputs, splits.train_plain->get(rows, 2).inputs));
  EXPECT_TRUE(at::equal(splits.test->get(rows, 1).inputs, splits.test->get(rows, 2).inputs));
}

}  // namespace
}  // namespace grapes::data
