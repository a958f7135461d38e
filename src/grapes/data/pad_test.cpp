// Padding of images in data sets and in inputs of trained models.
#include "grapes/data/open.h"
#include "grapes/data/picture.h"
#include "grapes/data/pictures.h"
#include "grapes/data/sampler.h"
#include "grapes/data/test_files.h"
#include "grapes/data/transform.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::data {
namespace {

using testing::HasSubstr;

TEST(Pad, CentersPictures) {
  const at::Tensor picture = at::tensor({1, 2, 3, 4, 5, 6}, at::kByte).reshape({1, 1, 2, 3});
  const at::Tensor expected =
      at::tensor({0, 0, 0, 0, 0, 0, 1, 2, 3, 0, 0, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, at::kByte);
  EXPECT_TRUE(at::equal(padded(picture, 5, "x").flatten(), expected));  // 3 rows: one above, two below
  EXPECT_TRUE(at::equal(padded(picture, 3, "x").flatten(), at::tensor({1, 2, 3, 4, 5, 6, 0, 0, 0}, at::kByte)));
  EXPECT_THAT(refusal<UsageError>([&] { padded(picture, 2, "x"); }),
              HasSubstr("pad 2: the images of x are larger, 2 x 3"));
}

TEST(Pad, AppliesToEveryPart) {
  Options options;
  const Splits plain = open(options, 1);
  options.pad = 12;
  const Splits large = open(options, 1);
  EXPECT_EQ(large.info.input_shape, (std::vector<std::int64_t>{1, 12, 12}));
  for (const auto& [with, without] :
       {std::pair(large.train, plain.train), std::pair(large.train_plain, plain.train),
        std::pair(large.validation, plain.validation), std::pair(large.test, plain.test)}) {
    EXPECT_EQ(with->info().input_shape, large.info.input_shape);
    const at::Tensor rows = file_order(with->size());
    const at::Tensor x = with->get(rows).inputs, inner = without->get(rows).inputs;
    EXPECT_TRUE(at::equal(x.narrow(2, 2, 8).narrow(3, 2, 8), inner));
    EXPECT_EQ(x.sum(at::kDouble).item<double>(), inner.sum(at::kDouble).item<double>());
  }
  EXPECT_EQ(large.fingerprint, plain.fingerprint);
}

TEST(Pad, RejectsVectorsAndLargerImages) {
  const TemporaryFolder folder;
  write_file(folder.path() / "t.csv", "a,b,label\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n");
  const auto message = [](const std::string& data, std::int64_t pad) {
    Options options;
    options.data = data;
    options.pad = pad;
    return refusal<UsageError>([&] { open(options, 1); });
  };
  EXPECT_THAT(message("digits", 7), HasSubstr("pad 7: the images of digits are larger, 8 x 8"));
  EXPECT_THAT(message("digits", -1), HasSubstr("pad must be at least 0"));
  EXPECT_THAT(message((folder.path() / "t.csv").string(), 8), HasSubstr("t.csv are not images"));
  EXPECT_THAT(message("delayed-xor", 8), HasSubstr("pad 8: delayed-xor has sequences"));
}

TEST(Pad, PadsPicturesForPredictionInsteadOfScalingThem) {
  const TemporaryFolder folder;
  const std::string png = (folder.path() / "p.png").string(), idx = (folder.path() / "p.idx").string();
  const at::Tensor picture = at::arange(16, at::kByte).reshape({1, 4, 4});
  write_file(png, image::encode_png(to_raster(picture)));
  write_file(idx, idx_images_file(1, 4, 4));
  const DatasetInfo info{ProblemKind::classification, {1, 8, 8}, 2, {"a", "b"}};
  Options options;
  options.pad = 8;
  for (const std::string& file : {png, idx}) {
    std::string note;
    const at::Tensor inputs = read_inputs(file, info, options, &note);
    EXPECT_TRUE(at::equal(inputs[0] * 255, padded(picture, 8, "").to(at::kFloat))) << file;
    EXPECT_EQ(note, "");
  }
  std::string note;
  options.pad = 3;
  EXPECT_EQ(read_inputs(png, {ProblemKind::classification, {1, 3, 3}, 2, {"a", "b"}}, options, &note).sizes(),
            (at::IntArrayRef{1, 1, 3, 3}));
  EXPECT_THAT(note, HasSubstr("scaled from 4 x 4 to 3 x 3"));
}

}  // namespace
}  // namespace grapes::data
