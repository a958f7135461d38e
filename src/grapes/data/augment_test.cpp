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

/// Images [n, channels, size, size] of random gray values, the same in each call.
DatasetPtr noise(std::int64_t n, std::int64_t channels, std::int64_t size) {
  // In float64, so that the noise does not depend on the last bit of LibTorch's sine.
  const at::Tensor x = at::arange(n * channels * size * size, at::kDouble).mul(12.9898).sin().mul(43758.5453);
  return memory((x - x.floor()).to(at::kFloat).reshape({n, channels, size, size}), at::zeros({n}, at::kLong),
                {ProblemKind::classification, {channels, size, size}, 1, {"all"}});
}

TEST(Augment, ParsesTextAndNamesTheInvalidPart) {
  const Augmentation a = parse_augmentation("rotate=10, shift=0.15,elastic=34:5");
  EXPECT_EQ(a.rotate, 10);
  EXPECT_EQ(a.shift, 0.15);
  EXPECT_EQ(a.zoom, 0);
  EXPECT_EQ(a.elastic, 34);
  EXPECT_EQ(a.elastic_width, 5);
  EXPECT_EQ(parse_augmentation("elastic=8").elastic_width, 6);
  EXPECT_TRUE(parse_augmentation("").none());
  const Augmentation whole = parse_augmentation("crop=4,flip=0.5,cutout=8");
  EXPECT_EQ(whole.crop, 4);
  EXPECT_EQ(whole.flip, 0.5);
  EXPECT_EQ(whole.cutout, 8);
  EXPECT_FALSE(whole.bilinear());
  EXPECT_FALSE(whole.none());
  for (const char* text :
       {"", "rotate=10,shift=0.15,elastic=34:5", "elastic=8", "shear=0.1,zoom=0.2,crop=4,flip=0.5,cutout=8"})
    EXPECT_EQ(to_text(parse_augmentation(text)), text);
  const auto message = [](const std::string& text) { return refusal<UsageError>([&] { parse_augmentation(text); }); };
  EXPECT_THAT(message("rotat=10"), HasSubstr("did you mean 'rotate'"));
  EXPECT_THAT(message("zoom=2"), HasSubstr("zoom=2: expected a number from 0 to 0.9"));
  EXPECT_THAT(message("shift=x"), HasSubstr("shift=x"));
  EXPECT_THAT(message("shift=nan"), HasSubstr("shift=nan"));
  EXPECT_THAT(message("shift"), HasSubstr("expected shift=AMPLITUDE"));
  EXPECT_THAT(message("elastic=3:0"), HasSubstr("elastic width"));
  EXPECT_THAT(message("crop=1.5"), HasSubstr("crop=1.5: expected a whole number of pixels"));
  EXPECT_THAT(message("flip=1.1"), HasSubstr("flip=1.1: expected a number from 0 to 1"));
  EXPECT_THAT(message("rotate=3:4"), HasSubstr("too many colons"));
}

TEST(Augment, SmallAmplitudesChangeLittleAndZeroChangesNothing) {
  const DatasetPtr source = noise(5, 2, 9);
  EXPECT_EQ(augmented(source, {}), source);
  // The interpolation is exact: a rotation by 0, drawn through the whole code path.
  Augmentation tiny;
  tiny.rotate = 1e-30;
  EXPECT_TRUE(at::equal(all_inputs(*augmented(source, tiny), 1), all_inputs(*source, 1)));
  Augmentation small;
  small.rotate = small.shift = small.shear = small.zoom = 1e-6;
  small.elastic = 1e-5;
  EXPECT_TRUE(at::allclose(all_inputs(*augmented(source, small), 1), all_inputs(*source, 1), 0, 1e-4));
}

TEST(Augment, DependsOnlyOnSeedAndExample) {
  const DatasetPtr set =
      augmented(noise(12, 1, 10), parse_augmentation("rotate=10,shift=.15,shear=.15,zoom=.15,elastic=34:6"));
  const at::Tensor one = all_inputs(*set, 1);
  EXPECT_TRUE(at::equal(all_inputs(*set, 1), one));
  EXPECT_FALSE(at::equal(all_inputs(*set, 2), one));
  const at::Tensor rows = at::tensor({7, 3}, at::kLong);
  EXPECT_TRUE(at::equal(set->get(rows, 1).inputs, one.index_select(0, rows)));
  EXPECT_EQ(set->get(at::empty({0}, at::kLong), 1).inputs.size(0), 0);
}

TEST(Augment, AnExampleDoesNotDependOnItsBatch) {
  // For images whose sides are not powers of two, in batches of 1 and of 7, bit for bit.
  for (const char* what : {"rotate=10,shift=.15,shear=.15,zoom=.15", "elastic=34:6", "crop=3,flip=.5,cutout=4",
                           "rotate=10,shift=.15,shear=.15,zoom=.15,elastic=34:6,crop=3,flip=.5,cutout=4"}) {
    const DatasetPtr set = augmented(noise(7, 3, 28), parse_augmentation(what));
    const at::Tensor seven = all_inputs(*set, 5);
    for (std::int64_t row = 0; row < 7; ++row)
      EXPECT_TRUE(at::equal(set->get(at::tensor({row}, at::kLong), 5).inputs[0], seven[row])) << what << " " << row;
  }
}

TEST(Augment, DoesNotUseTheGlobalGenerator) {
  at::manual_seed(4);
  const at::Tensor before = at::rand({3});
  at::manual_seed(4);
  all_inputs(*augmented(noise(3, 1, 8), parse_augmentation("rotate=10,elastic=34:6")), 1);
  EXPECT_TRUE(at::equal(at::rand({3}), before));
}

TEST(Augment, ShiftMovesAndFillsWithZero) {
  // A constant image shifted by (x, y) stays 1 where the source lies inside. Its sum is the overlap of two squares.
  const DatasetPtr ones = memory(at::ones({200, 1, 20, 20}), at::zeros({200}, at::kLong),
                                 {ProblemKind::classification, {1, 20, 20}, 1, {"all"}});
  Augmentation a;
  a.shift = 0.5;
  const at::Tensor moved = all_inputs(*augmented(ones, a), 3);
  EXPECT_GE(moved.min().item<float>(), 0);
  EXPECT_LE(moved.max().item<float>(), 1 + 1e-6);
  // Mean overlap per axis: 1 - E|s| = 1 - 0.25; both axes are independent: 0.5625, sd of the mean about 0.012.
  EXPECT_NEAR(moved.mean().item<double>(), 0.5625, 0.05);
}

TEST(Augment, RotationIsAroundTheCenter) {
  // A rotation does not change a radially symmetric image, except for the interpolation; zoom changes it.
  const at::Tensor axis = at::arange(21, at::kFloat) - 10;
  const at::Tensor bell = at::exp(-(axis.square().unsqueeze(0) + axis.square().unsqueeze(1)) / 18);
  const DatasetPtr set = memory(bell.expand({30, 1, 21, 21}).contiguous(), at::zeros({30}, at::kLong),
                                {ProblemKind::classification, {1, 21, 21}, 1, {"all"}});
  const at::Tensor turned = all_inputs(*augmented(set, parse_augmentation("rotate=180")), 5);
  EXPECT_LT((turned - all_inputs(*set, 0)).abs().max().item<float>(), 0.03);
  const at::Tensor zoomed = all_inputs(*augmented(set, parse_augmentation("zoom=.5")), 5);
  EXPECT_GT((zoomed - all_inputs(*set, 0)).abs().max().item<float>(), 0.1);
}

TEST(Augment, ElasticDisplacementsHaveTheExpectedStandardDeviation) {
  // A ramp image shows its displacement directly. Uniform noise has variance 1/3; smoothing in two dimensions with
  // σ divides it by 4 π σ², so far from the edges sd = α / sqrt(12 π) / σ.
  constexpr std::int64_t n = 41;
  const at::Tensor ramp = at::arange(n, at::kFloat).expand({60, 1, n, n}).contiguous();
  const DatasetPtr set = memory(ramp, at::zeros({60}, at::kLong), {ProblemKind::classification, {1, n, n}, 1, {"all"}});
  const at::Tensor moved = all_inputs(*augmented(set, parse_augmentation("elastic=20:3")), 2) - ramp;
  const at::Tensor middle = moved.narrow(2, 13, 15).narrow(3, 13, 15);
  EXPECT_NEAR(middle.std().item<double>(), 20 / std::sqrt(12 * M_PI) / 3, 0.1);
  EXPECT_NEAR(middle.mean().item<double>(), 0, 0.1);
  EXPECT_LT((middle.narrow(3, 1, 14) - middle.narrow(3, 0, 14)).std().item<double>(), 0.5);  // smooth
}

TEST(Augment, NewerChangesDoNotAffectTheDrawsOfOlderOnes) {
  // The draws of the first group did not change when the second group was added.
  const DatasetPtr set = noise(3, 2, 9);
  const at::Tensor one =
      all_inputs(*augmented(set, parse_augmentation("rotate=10,shift=.15,shear=.15,zoom=.15,elastic=34:6")), 7);
  const at::Tensor sums = one.sum(at::IntArrayRef{1, 2, 3});
  EXPECT_TRUE(at::allclose(sums, at::tensor({45.43138F, 59.23894F, 83.74299F}))) << sums.mul(1e5);
  const at::Tensor both =
      all_inputs(*augmented(set, parse_augmentation("rotate=10,shift=.15,shear=.15,zoom=.15,elastic=34:6,flip=1")), 7);
  EXPECT_TRUE(at::equal(both, one.flip(3)));
}

/// Whether `out` is the crop of the padded image at (down, right).
bool is_crop(const at::Tensor& out, const at::Tensor& image, std::int64_t pad, std::int64_t down, std::int64_t right) {
  const at::Tensor large = at::constant_pad_nd(image, {pad, pad, pad, pad});
  return at::equal(out, large.narrow(1, down, image.size(1)).narrow(2, right, image.size(2)));
}

TEST(Augment, CropsMovePixelsExactlyAndUniformly) {
  constexpr std::int64_t n = 3000, pad = 2, places = 2 * pad + 1;
  const at::Tensor image = noise(1, 2, 6)->get(at::zeros({1}, at::kLong)).inputs;
  const DatasetPtr set = memory(image.expand({n, 2, 6, 6}).contiguous(), at::zeros({n}, at::kLong),
                                {ProblemKind::classification, {2, 6, 6}, 1, {"all"}});
  const at::Tensor cropped = all_inputs(*augmented(set, parse_augmentation("crop=2")), 3);
  std::vector<int> count(places * places);
  for (std::int64_t i = 0; i < n; ++i) {
    std::int64_t found = 0;
    for (std::int64_t place = 0; place < places * places; ++place) {
      if (!is_crop(cropped[i], image[0], pad, place / places, place % places)) continue;
      ++count[static_cast<std::size_t>(place)];
      ++found;
    }
    ASSERT_EQ(found, 1) << i;
  }
  for (const int c : count) EXPECT_NEAR(c, n / (places * places), 50);  // 120 each, sd 11
}

TEST(Augment, FlipsMirrorWithTheirProbability) {
  const DatasetPtr set = noise(1000, 1, 4);
  const at::Tensor plain = all_inputs(*set, 0);
  EXPECT_TRUE(at::equal(all_inputs(*augmented(set, parse_augmentation("flip=1")), 1), plain.flip(3)));
  const at::Tensor some = all_inputs(*augmented(set, parse_augmentation("flip=0.3")), 1);
  const at::Tensor mirrored = (some == plain.flip(3)).flatten(1).all(1), left = (some == plain).flatten(1).all(1);
  EXPECT_TRUE(mirrored.logical_xor(left).all().item<bool>());
  EXPECT_NEAR(mirrored.sum().item<int>(), 300, 60);  // sd 14.5
}

TEST(Augment, CutoutsHideASquareThatMayCrossTheEdge) {
  constexpr std::int64_t n = 4000, size = 6;
  const DatasetPtr ones = memory(at::ones({n, 2, size, size}), at::zeros({n}, at::kLong),
                                 {ProblemKind::classification, {2, size, size}, 1, {"a"}});
  const at::Tensor holes = 1 - all_inputs(*augmented(ones, parse_augmentation("cutout=4")), 5);
  EXPECT_TRUE(at::equal(holes.select(1, 0), holes.select(1, 1)));
  // Each hole is the product of an interval of rows and one of columns. A center at 0 ... 5 hides from two pixels
  // before it to one after it: 2 3 4 4 4 3 rows.
  const at::Tensor rows = std::get<0>(holes.select(1, 0).max(2)), columns = std::get<0>(holes.select(1, 0).max(1));
  EXPECT_TRUE(at::equal(holes.select(1, 0), rows.unsqueeze(2) * columns.unsqueeze(1)));
  for (const at::Tensor& side : {rows, columns}) {
    const at::Tensor lengths = at::bincount(side.sum(1).to(at::kLong), {}, 5);
    for (const auto& [length, of_six] :
         {std::pair(0, 0), std::pair(1, 0), std::pair(2, 1), std::pair(3, 2), std::pair(4, 3)})
      EXPECT_NEAR(lengths[length].item<double>(), n * of_six / 6.0, of_six == 0 ? 0 : 120) << length;  // sd 32 at most
  }
  // The mean number of hidden pixels: (20 / 6)².
  EXPECT_NEAR(holes.select(1, 0).sum().item<double>() / n, 400.0 / 36, 0.3);
}

TEST(Augment, CutoutsFillWithTheMeanAfterNormalization) {
  Options options;
  options.augment = parse_augmentation("cutout=8");  // some draws hide most of a digit
  for (const char* normalize : {"channel", "standard", "unit"}) {
    options.normalize = normalize;
    const Splits splits = open(options, 1);
    const at::Tensor rows = at::arange(200, at::kLong);
    const at::Tensor plain = splits.train_plain->get(rows).inputs, cut = splits.train->get(rows, 4).inputs;
    EXPECT_TRUE((cut == plain).logical_or(cut == 0).all().item<bool>()) << normalize;
    EXPECT_GT((cut == 0).sum().item<int>(), (plain == 0).sum().item<int>()) << normalize;
  }
}

TEST(Augment, EachKindOfChangeDrawsIndependently) {
  const DatasetPtr set = noise(50, 3, 8);
  const auto with = [&](const std::string& text) { return all_inputs(*augmented(set, parse_augmentation(text)), 9); };
  const at::Tensor cropped = with("crop=3"), both = with("crop=3,flip=0.5"), flipped = with("flip=0.5");
  const at::Tensor mirrored = (flipped != all_inputs(*set, 0)).flatten(1).any(1).reshape({50, 1, 1, 1});
  EXPECT_TRUE(at::equal(both, at::where(mirrored, cropped.flip(3), cropped)));
  const DatasetPtr three = augmented(set, parse_augmentation("crop=3,flip=0.5,cutout=3"));
  const at::Tensor rows = at::tensor({17, 4}, at::kLong);
  EXPECT_TRUE(at::equal(three->get(rows, 9).inputs, all_inputs(*three, 9).index_select(0, rows)));
  EXPECT_FALSE(at::equal(three->get(rows, 8).inputs, three->get(rows, 9).inputs));
}

TEST(Augment, RejectsCropsAndCutoutsLargerThanTheImages) {
  EXPECT_THAT(refusal<UsageError>([] { augmented(noise(2, 1, 8), parse_augmentation("crop=9")); }),
              HasSubstr("augment crop=9: the images are only 8 x 8 pixels"));
  EXPECT_THAT(refusal<UsageError>([] { augmented(noise(2, 1, 8), parse_augmentation("cutout=9")); }),
              HasSubstr("augment cutout=9"));
}

TEST(Augment, OnlyTheTrainingPartIsAugmented) {
  Options options;
  options.augment = parse_augmentation("rotate=20");
  const Splits splits = open(options, 1);
  const at::Tensor rows = at::arange(5, at::kLong);
  EXPECT_FALSE(at::equal(splits.train->get(rows, 1).inputs, splits.train->get(rows, 2).inputs));
  EXPECT_TRUE(at::equal(splits.train_plain->get(rows, 1).inputs, splits.train_plain->get(rows, 2).inputs));
  EXPECT_TRUE(at::equal(splits.test->get(rows, 1).inputs, splits.test->get(rows, 2).inputs));
}

}  // namespace
}  // namespace grapes::data
