#include "grapes/data/picture.h"

#include "grapes/data/folder.h"
#include "grapes/data/png.h"
#include "grapes/data/summary.h"
#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::data {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

at::Tensor gray(std::int64_t rows, std::int64_t columns) {
  return at::arange(rows * columns, at::kByte).reshape({1, rows, columns});
}

TEST(Png, ComesBackAsItWasWritten) {
  EXPECT_TRUE(at::equal(decode_png(encode_png(gray(3, 5)), false, "f"), gray(3, 5)));
  const at::Tensor color = at::arange(3 * 2 * 4, at::kByte).reshape({3, 2, 4});
  EXPECT_TRUE(at::equal(decode_png(encode_png(color), true, "f"), color));
  EXPECT_TRUE(png_header(encode_png(color), "f").color);
  EXPECT_FALSE(png_header(encode_png(gray(3, 5)), "f").color);
}

TEST(Png, RefusesEveryTruncationThatLosesPixels) {
  const std::string bytes = encode_png(gray(9, 9));
  const std::size_t end_chunk = 12;  // an IEND chunk without further information
  for (std::size_t n = 0; n < bytes.size() - end_chunk - 4; ++n) {
    EXPECT_THAT(refusal([&] { decode_png(bytes.substr(0, n), false, "f.png"); }), HasSubstr("f.png: ")) << n;
  }
}

class PngFolder : public testing::Test {
 protected:
  void put(const std::string& name, const at::Tensor& image) { write_file(folder_.path() / name, encode_png(image)); }
  std::string message() {
    return refusal([&] { read_folder(folder_.path()); });
  }
  TemporaryFolder folder_;
};

TEST_F(PngFolder, IsOneClassPerFolder) {
  put("dog/2.png", gray(2, 3) + 1);
  put("dog/1.PNG", gray(2, 3));
  put("cat/9.png", gray(2, 3) + 2);
  write_file(folder_.path() / "README", "about");
  const Collection c = read_folder(folder_.path());
  EXPECT_THAT(c.train->info().classes, ElementsAre("cat", "dog"));
  EXPECT_EQ(c.train->info().input_shape, (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_TRUE(at::equal(c.train->targets(), at::tensor({0, 1, 1}, at::kLong)));
  EXPECT_TRUE(at::equal(all_inputs(*c.train), at::stack({gray(2, 3) + 2, gray(2, 3), gray(2, 3) + 1}) * (1.0F / 255)));
  EXPECT_THAT(c.notes, ElementsAre(HasSubstr("1 files that are not PNGs")));
  put("cat/8.png", gray(2, 3).expand({3, 2, 3}));
  EXPECT_EQ(read_folder(folder_.path()).train->info().input_shape[0], 3);
}

TEST_F(PngFolder, RefusesByFile) {
  EXPECT_THAT(message(), HasSubstr("0 folders, expected one folder of PNGs per class"));
  put("a/1.png", gray(2, 3));
  fs::create_directory(folder_.path() / "b");
  EXPECT_THAT(message(), HasSubstr("b: expected PNG files"));
  put("b/1.png", gray(3, 3));
  EXPECT_THAT(message(), HasSubstr("b/1.png: 3 x 3 pixels (rows x columns), expected 2 x 3 as in"));
  write_file(folder_.path() / "b" / "1.png", "GIF89a");
  EXPECT_THAT(message(), HasSubstr("b/1.png: not a valid PNG"));
}

TEST_F(PngFolder, OnePictureIsFittedToTheInputShape) {
  put("p.png", at::full({1, 16, 16}, 51, at::kByte));
  const std::string path = (folder_.path() / "p.png").string();
  std::string note;
  const at::Tensor image = read_png(path, {1, 8, 8}, &note);
  EXPECT_TRUE(at::allclose(image, at::full({1, 8, 8}, 0.2F)));
  EXPECT_THAT(note, HasSubstr("scaled from 16 x 16 to 8 x 8"));
  note.clear();
  EXPECT_EQ(read_inputs(path, {ProblemKind::classification, {3, 16, 16}, 2, {"a", "b"}}, {}, &note).sizes(),
            (at::IntArrayRef{1, 3, 16, 16}));
  EXPECT_EQ(note, "");
  EXPECT_THAT(refusal([&] { read_png(path, {13}); }), HasSubstr("was not trained on images"));
}

TEST_F(PngFolder, IdxImagesAreInputsToo) {
  const std::string path = (folder_.path() / "some.idx.gz").string();
  write_file(path, gzip(idx_images_file(2, 3, 3)));
  const at::Tensor inputs = read_inputs(path, {ProblemKind::classification, {1, 3, 3}, 2, {"a", "b"}}, {});
  EXPECT_TRUE(at::allclose(inputs.flatten() * 255, at::arange(18, at::kFloat)));
  EXPECT_THAT(refusal([&] {
                read_inputs(path, {ProblemKind::classification, {1, 4, 4}, 2, {"a", "b"}}, {});
              }),
              HasSubstr("images of 3 x 3 pixels"));
}

TEST_F(PngFolder, AContactSheetShowsTheExamples) {
  Options options;
  options.normalize = "standard";  // must be undone in the sheet
  const Splits splits = open(options, 1);
  const std::string path = (folder_.path() / "sheet.png").string();
  contact_sheet(splits, options, 2, 3, 7, path);
  const at::Tensor sheet = decode_png(read_file(path), false, path);
  EXPECT_EQ(sheet.sizes(), (at::IntArrayRef{1, 2 * 68 + 4, 3 * 68 + 4}));
  options.normalize = "unit";
  contact_sheet(open(options, 1), options, 2, 3, 7, path);
  EXPECT_TRUE(at::equal(decode_png(read_file(path), false, path), sheet));

  options.augment = parse_augmentation("rotate=30");
  contact_sheet(open(options, 1), options, 1, 3, 7, path);
  const at::Tensor draws = decode_png(read_file(path), false, path);
  const auto picture = [&](std::int64_t i) { return draws.narrow(2, 4 + i * 68, 64); };
  EXPECT_TRUE(at::equal(picture(0).narrow(1, 4, 64), sheet.narrow(2, 4, 64).narrow(1, 4, 64)));
  EXPECT_FALSE(at::equal(picture(0), picture(1)));
  EXPECT_FALSE(at::equal(picture(1), picture(2)));
}

TEST_F(PngFolder, ClassesOfAnyLanguageStayInLine) {
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
