#include "grapes/data/picture.h"

#include "grapes/data/folder.h"
#include "grapes/data/pictures.h"
#include "grapes/data/summary.h"
#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace grapes::data {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

at::Tensor gray(std::int64_t rows, std::int64_t columns) {
  return at::arange(rows * columns, at::kByte).reshape({1, rows, columns});
}

class PictureFolder : public testing::Test {
 protected:
  void put(const std::string& name, const at::Tensor& image) {
    write_file(folder_.path() / name, image::encode_png(to_raster(image)));
  }
  std::string message() {
    return refusal([&] { read_folder(folder_.path()); });
  }
  TemporaryFolder folder_;
};

TEST_F(PictureFolder, ReadsOneClassPerFolder) {
  put("dog/2.png", gray(2, 3) + 1);
  put("dog/1.PNG", gray(2, 3));
  put("cat/9.png", gray(2, 3) + 2);
  write_file(folder_.path() / "README", "about");
  put("__MACOSX/cat/._9.png", gray(2, 3));
  const Collection c = read_folder(folder_.path());
  EXPECT_THAT(c.train->info().classes, ElementsAre("cat", "dog"));
  EXPECT_EQ(c.train->info().input_shape, (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_TRUE(at::equal(c.train->targets(), at::tensor({0, 1, 1}, at::kLong)));
  EXPECT_TRUE(at::equal(all_inputs(*c.train), at::stack({gray(2, 3) + 2, gray(2, 3), gray(2, 3) + 1}) * (1.0F / 255)));
  EXPECT_THAT(c.notes, ElementsAre(HasSubstr("1 files that are not pictures")));
  put("cat/8.png", gray(2, 3).expand({3, 2, 3}));
  EXPECT_EQ(read_folder(folder_.path()).train->info().input_shape[0], 3);
}

TEST_F(PictureFolder, ErrorsNameTheFile) {
  EXPECT_THAT(message(), HasSubstr("0 folders, expected one folder of pictures per class"));
  put("a/1.png", gray(2, 3));
  fs::create_directory(folder_.path() / "b");
  EXPECT_THAT(message(), HasSubstr("b: expected pictures in this folder of a class (JPEG, PNG"));
  put("b/1.png", gray(3, 3));
  EXPECT_THAT(message(), HasSubstr("b/1.png: 3 x 3 pixels (rows x columns), expected 2 x 3 as in"));
  EXPECT_THAT(message(), HasSubstr("a/1.png; --resize 64 gives all pictures 64 x 64"));
  write_file(folder_.path() / "b" / "1.png", "GIF89a");
  EXPECT_THAT(message(), HasSubstr("b/1.png: not a valid GIF"));
}

TEST_F(PictureFolder, OnePictureIsFittedToTheInputShape) {
  put("p.png", at::full({1, 16, 16}, 51, at::kByte));
  const std::string path = (folder_.path() / "p.png").string();
  std::string note;
  const at::Tensor image = read_picture(path, {1, 8, 8}, {}, &note);
  EXPECT_TRUE(at::allclose(image, at::full({1, 8, 8}, 0.2F)));
  EXPECT_THAT(note, HasSubstr("scaled from 16 x 16 to 8 x 8"));
  note.clear();
  EXPECT_EQ(read_inputs(path, {ProblemKind::classification, {3, 16, 16}, 2, {"a", "b"}}, {}, &note).sizes(),
            (at::IntArrayRef{1, 3, 16, 16}));
  EXPECT_EQ(note, "");
  EXPECT_THAT(refusal([&] { read_picture(path, {13}, {}); }), HasSubstr("was not trained on images"));
}

TEST_F(PictureFolder, IdxImagesAreInputsToo) {
  const std::string path = (folder_.path() / "some.idx.gz").string();
  write_file(path, gzip(idx_images_file(2, 3, 3)));
  const at::Tensor inputs = read_inputs(path, {ProblemKind::classification, {1, 3, 3}, 2, {"a", "b"}}, {});
  EXPECT_TRUE(at::allclose(inputs.flatten() * 255, at::arange(18, at::kFloat)));
  EXPECT_THAT(refusal([&] {
                read_inputs(path, {ProblemKind::classification, {1, 4, 4}, 2, {"a", "b"}}, {});
              }),
              HasSubstr("examples of shape [1, 3, 3], expected [1, 4, 4] as in training"));
}

TEST_F(PictureFolder, ReadsTrainValAndTestFolders) {
  for (const char* name : {"train/a/1.png", "train/b/1.png", "train/b/more/2.png", "val/b/1.png"})
    put(name, gray(2, 3));
  put("Test/a/1.png", gray(2, 3) + 9);
  const Collection c = read_folder(folder_.path());
  EXPECT_THAT(c.train->info().classes, ElementsAre("a", "b"));
  EXPECT_TRUE(at::equal(c.train->targets(), at::tensor({0, 1, 1}, at::kLong)));
  EXPECT_TRUE(at::equal(c.validation->targets(), at::tensor({1}, at::kLong)));
  EXPECT_TRUE(at::equal(all_inputs(*c.test)[0], (gray(2, 3) + 9) * (1.0F / 255)));
  fs::remove_all(folder_.path() / "Test");
  const Collection without = read_folder(folder_.path());
  EXPECT_FALSE(without.validation);
  EXPECT_TRUE(at::equal(without.test->targets(), at::tensor({1}, at::kLong)));
  EXPECT_THAT(without.notes, ElementsAre("there is no test set, so val is the test set"));
  EXPECT_NE(without.fingerprint, c.fingerprint);
  put("test/1.png", gray(2, 3));
  EXPECT_THAT(read_folder(folder_.path()).notes, Contains(HasSubstr("test has no folders of classes")));
  put("val/d/1.png", gray(2, 3));
  EXPECT_THAT(message(), HasSubstr("val/d: no class of the training pictures has this name, expected a, b"));
}

TEST_F(PictureFolder, TrainCanBeAClass) {
  put("train/1.png", gray(2, 3));
  put("test/1.png", gray(2, 3));
  EXPECT_THAT(read_folder(folder_.path()).train->info().classes, ElementsAre("test", "train"));
}

TEST_F(PictureFolder, IsScaledAndCroppedToOneSize) {
  put("a/1.png", gray(4, 8));
  put("b/1.png", gray(6, 3));
  const auto example = [&](const PictureOptions& options, std::int64_t row) {
    return all_inputs(*read_folder(folder_.path(), options).train)[row].mul(255).round().to(at::kByte);
  };
  EXPECT_TRUE(at::equal(example({.resize = {2, 3}}, 0), to_tensor(image::resized(to_raster(gray(4, 8)), 2, 3))));
  // The smaller side becomes 4, the middle of the other is kept.
  const Crop center = {Crop::Kind::center};
  EXPECT_TRUE(at::equal(example({.resize = {4, 4}, .crop = center}, 0), gray(4, 8).narrow(2, 2, 4)));
  EXPECT_TRUE(at::equal(example({.resize = {4, 4}, .crop = center}, 1),
                        to_tensor(image::resized(to_raster(gray(6, 3)), 8, 4)).narrow(1, 2, 4)));
  EXPECT_TRUE(at::equal(example({.crop = {Crop::Kind::center, 2}}, 0), gray(4, 8).narrow(1, 1, 2).narrow(2, 3, 2)));
  EXPECT_THAT(refusal([&] {
                example({.crop = {Crop::Kind::center, 5}}, 0);
              }),
              HasSubstr("a/1.png: 4 x 8 pixels (rows x columns), expected at least the 5 x 5 of the crop"));
  EXPECT_THAT(refusal<UsageError>([&] { example({.crop = center}, 0); }), HasSubstr("crop center needs a size"));
}

TEST_F(PictureFolder, DrawsRandomCropsForTrainingOnly) {
  put("a/1.png", gray(9, 9));
  put("b/1.png", gray(9, 12));
  for (const std::uint64_t memory : {0U, 1U << 20}) {
    const Collection c = read_folder(folder_.path(), {.crop = {Crop::Kind::random, 4}}, memory);
    std::set<float> corners;  // the value of a pixel of gray() tells its place
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      const at::Tensor drawn = (all_inputs(*c.train_drawn, seed)[0][0] * 255).round();
      EXPECT_EQ(drawn[3][3].item<float>() - drawn[0][0].item<float>(), 30);
      corners.insert(drawn[0][0].item<float>());
    }
    EXPECT_EQ(corners.size(), 36U);  // 6 rows and 6 columns
    EXPECT_TRUE(at::equal(all_inputs(*c.train_drawn, 7), all_inputs(*c.train_drawn, 7)));
    EXPECT_EQ((all_inputs(*c.train, 7)[0][0][0][0] * 255).round().item<float>(),
              2 * 9 + 2);  // (9 - 4) / 2, halves to even
  }
  Options options;
  options.data = folder_.path().string();
  options.pictures.crop = {Crop::Kind::random, 4};
  options.validation_split = 0;
  options.test_split = 1;
  const Splits splits = open(options, 1);
  EXPECT_NE(splits.train, splits.train_plain);
  EXPECT_FALSE(at::equal(all_inputs(*splits.train, 1), all_inputs(*splits.train, 2)));
  EXPECT_TRUE(at::equal(all_inputs(*splits.train_plain, 1), all_inputs(*splits.train_plain, 2)));
}

TEST_F(PictureFolder, DecodesOnUseIfTooLargeForMemory) {
  for (int i = 0; i < 20; ++i) put(fmt::format("{}/{}.png", i % 2, i), gray(5, 7) + i);
  const Collection held = read_folder(folder_.path()), read = read_folder(folder_.path(), {}, 20 * 35 - 1);
  EXPECT_TRUE(held.notes.empty());
  EXPECT_THAT(read.notes, ElementsAre(HasSubstr("each is decoded whenever it is used")));
  EXPECT_TRUE(at::equal(all_inputs(*held.train), all_inputs(*read.train)));
  EXPECT_EQ(held.fingerprint, read.fingerprint);
  write_file(folder_.path() / "1" / "9.png", "broken");
  EXPECT_THAT(refusal([&] { all_inputs(*read.train); }), HasSubstr("1/9.png: not a picture"));
}

TEST_F(PictureFolder, SkipsDamagedFilesOnRequest) {
  for (const char* name : {"a/1.png", "a/2.png", "b/1.png"}) put(name, gray(2, 3));
  const std::string whole = read_file(folder_.path() / "a" / "1.png");
  write_file(folder_.path() / "a" / "1.png", whole.substr(0, whole.size() - 20));
  write_file(folder_.path() / "b" / "2.png", "");
  EXPECT_THAT(message(), HasSubstr("b/2.png: an empty file"));  // a header is wrong
  fs::remove(folder_.path() / "b" / "2.png");
  EXPECT_THAT(message(), HasSubstr("a/1.png: not a valid PNG"));
  write_file(folder_.path() / "b" / "2.png", "");
  const Collection c = read_folder(folder_.path(), {.skip_damaged = true});
  EXPECT_EQ(c.train->size(), 2);
  EXPECT_THAT(c.notes,
              ElementsAre(AllOf(HasSubstr("skipped 2 damaged pictures"), HasSubstr("a/1.png: not a valid PNG"))));
}

TEST_F(PictureFolder, ConvertsToGrayOnRequest) {
  put("a/1.png", at::tensor({255, 0, 0}, at::kByte).reshape({3, 1, 1}));
  put("b/1.png", gray(1, 1));
  EXPECT_EQ(all_inputs(*read_folder(folder_.path(), {.gray = true}).train)[0].item<float>(), 76 * (1.0F / 255));
  Options options;
  options.pictures.gray = true;
  EXPECT_THAT(refusal<UsageError>([&] { open(options, 1); }), HasSubstr("gray true: only for a folder of pictures"));
}

TEST(PictureOptions, RoundTripAsText) {
  for (const std::string text : {"none", "32", "24x32"}) EXPECT_EQ(to_string(parse_picture_size(text)), text);
  for (const std::string text : {"none", "center", "random", "center:8", "random:224"})
    EXPECT_EQ(to_string(parse_crop(text)), text);
  for (const std::string text : {"", "0", "-1", "3x", "x3", "1x2x3", "99999"})
    EXPECT_THROW(parse_picture_size(text), UsageError) << text;
  for (const std::string text : {"", "middle", "none:3", "center:", "center:0", "random:1:2"})
    EXPECT_THROW(parse_crop(text), UsageError) << text;
}

TEST_F(PictureFolder, TheImageOfExamplesShowsThem) {
  Options options;
  options.normalize = "standard";  // must be undone in the sheet
  const Splits splits = open(options, 1);
  const std::string path = (folder_.path() / "sheet.png").string();
  contact_sheet(splits, 2, 3, 7, path);
  const at::Tensor sheet = to_tensor(image::decode(read_file(path), false, path));
  EXPECT_EQ(sheet.sizes(), (at::IntArrayRef{1, 2 * 68 + 4, 3 * 68 + 4}));
  options.normalize = "unit";
  contact_sheet(open(options, 1), 2, 3, 7, path);
  EXPECT_TRUE(at::equal(to_tensor(image::decode(read_file(path), false, path)), sheet));

  options.augment = parse_augmentation("rotate=30");
  contact_sheet(open(options, 1), 1, 3, 7, path);
  const at::Tensor draws = to_tensor(image::decode(read_file(path), false, path));
  const auto picture = [&](std::int64_t i) { return draws.narrow(2, 4 + i * 68, 64); };
  EXPECT_TRUE(at::equal(picture(0).narrow(1, 4, 64), sheet.narrow(2, 4, 64).narrow(1, 4, 64)));
  EXPECT_FALSE(at::equal(picture(0), picture(1)));
  EXPECT_FALSE(at::equal(picture(1), picture(2)));
}

TEST_F(PictureFolder, ClassNamesOfAnyLanguageAreAligned) {
  for (const char* name : {"Zürich", "日本", "x"})
    for (int i = 0; i < 5; ++i) put(fmt::format("{}/{}.png", name, i), gray(2, 2));
  Options options;
  options.data = folder_.path().string();
  options.validation_split = 0;
  EXPECT_THAT(summary(open(options, 1)), HasSubstr("  class   train  validation  test\n"
                                                   "  Zürich      4           0     1\n"
                                                   "  x           4           0     1\n"
                                                   "  日本        4           0     1\n"));
}

TEST(Summary, CountsTheClassesOfEachPart) {
  Options options;
  options.validation_split = 0;
  const std::string text = summary(open(options, 1));
  EXPECT_THAT(text, HasSubstr("digits: classification, inputs 1 x 8 x 8 from 0 to 1, 10 classes\n"));
  EXPECT_THAT(text, HasSubstr("  all     1437           0   360\n"));
  EXPECT_THAT(
      text, HasSubstr("note: no split of its own: the first 1437 examples are for training, the last 360 for testing"));
}

}  // namespace
}  // namespace grapes::data
