#include "grapes/data/idx.h"

#include "grapes/data/open.h"
#include "grapes/data/source.h"
#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::data {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

TEST(Idx, ReadsImagesAndLabels) {
  const at::Tensor images = idx_images(idx_images_file(3, 2, 5), "x");
  EXPECT_EQ(images.sizes(), (at::IntArrayRef{3, 1, 2, 5}));
  EXPECT_TRUE(at::equal(images.flatten(), at::arange(30, at::kByte)));
  EXPECT_TRUE(at::equal(idx_labels(idx_labels_file(4), "x", 10), at::arange(4, at::kLong)));
}

TEST(Idx, RejectsEveryTruncationAndTrailingBytes) {
  const std::string images = idx_images_file(2, 2, 3), labels = idx_labels_file(5);
  for (std::size_t n = 0; n < images.size(); ++n) {
    EXPECT_THAT(refusal([&] { idx_images(images.substr(0, n), "f.idx"); }), HasSubstr("f.idx: ")) << n;
  }
  for (std::size_t n = 0; n < labels.size(); ++n) {
    EXPECT_THAT(refusal([&] { idx_labels(labels.substr(0, n), "f.idx", 10); }), HasSubstr("f.idx: ")) << n;
  }
  EXPECT_THAT(refusal([&] { idx_images(images.substr(0, 20), "f"); }),
              HasSubstr("says 2 records of 6 bytes, but 4 bytes follow it: truncated"));
  EXPECT_THAT(refusal([&] { idx_images(images + "!", "f"); }), HasSubstr("13 bytes follow it: too many"));
}

TEST(Idx, ErrorsNameTheKindOfFile) {
  EXPECT_THAT(refusal([] { idx_images(idx_labels_file(5), "t10k"); }),
              AllOf(HasSubstr("t10k: magic number 2049 (IDX labels)"), HasSubstr("expected magic number 2051")));
  EXPECT_THAT(refusal([] { idx_labels(idx_images_file(1, 1, 1), "t10k", 10); }), HasSubstr("2051 (IDX images)"));
  EXPECT_THAT(refusal([] { idx_images("<html>...</html>", "page"); }), HasSubstr("page: magic number 1013478509"));
}

TEST(Idx, RejectsInvalidHeaders) {
  const std::string huge = big_endian(2051) + big_endian(0xffffffff) + big_endian(0xffffffff) + big_endian(0xffffffff);
  EXPECT_THAT(refusal([&] { idx_images(huge, "f"); }), HasSubstr("truncated"));
  const std::string empty = big_endian(2051) + big_endian(0) + big_endian(28) + big_endian(28);
  EXPECT_THAT(refusal([&] { idx_images(empty, "f"); }), HasSubstr("0 records"));
  const std::string flat = big_endian(2051) + big_endian(2) + big_endian(0) + big_endian(28);
  EXPECT_THAT(refusal([&] { idx_images(flat, "f"); }), HasSubstr("records of 0 bytes"));
  EXPECT_THAT(refusal([] { idx_labels(idx_labels_file(12), "f", 9); }),
              HasSubstr("label 9 of record 9 (from 0) is out of range, expected 0 ... 8"));
}

/// A small valid MNIST in a folder, which the tests corrupt.
class SpoiltSource : public testing::Test {
 protected:
  void SetUp() override {
    put("train-images-idx3-ubyte", idx_images_file(20, 4, 4));
    put("train-labels-idx1-ubyte", idx_labels_file(20));
    put("t10k-images-idx3-ubyte.gz", gzip(idx_images_file(10, 4, 4)));
    put("t10k-labels-idx1-ubyte.gz", gzip(idx_labels_file(10)));
    options_.data = "mnist";
    options_.data_dir = folder_.path().string();
    options_.download = false;
  }
  void put(const std::string& name, const std::string& bytes) { write_file(folder_.path() / name, bytes); }
  std::string message() {
    return refusal([&] { open(options_, 1); });
  }

  TemporaryFolder folder_;
  Options options_;
};

TEST_F(SpoiltSource, AnIntactSourceIsReadPlainAndPacked) {
  const Splits splits = open(options_, 1);
  EXPECT_EQ(splits.train->size(), 18);
  EXPECT_EQ(splits.test->size(), 10);
  EXPECT_EQ(splits.info.input_shape, (std::vector<std::int64_t>{1, 4, 4}));
  EXPECT_THAT(splits.notes, testing::ElementsAre(HasSubstr("the files differ from the known files of")));
  fs::create_directory(folder_.path() / "mnist");
  for (const SourceFile& file : sources()[1].files) {
    const fs::path from = file_in(folder_.path(), file).value();
    fs::rename(from, folder_.path() / "mnist" / from.filename());
  }
  EXPECT_EQ(open(options_, 1).fingerprint, splits.fingerprint);
}

TEST_F(SpoiltSource, OneFileIsMissing) {
  fs::remove(folder_.path() / "t10k-labels-idx1-ubyte.gz");
  EXPECT_THAT(message(),
              AllOf(HasSubstr(folder_.path().string()), HasSubstr("missing: t10k-labels-idx1-ubyte (or .gz, .xz)")));
}

TEST_F(SpoiltSource, NoSuchFolder) {
  options_.data_dir = (folder_.path() / "nothing").string();
  EXPECT_THAT(message(), AllOf(HasSubstr("data_dir"), HasSubstr("no such folder")));
}

TEST_F(SpoiltSource, NothingIsThereAndNoDownload) {
  const TemporaryFolder empty;
  const Variable cache("XDG_CACHE_HOME", empty.path().string());
  const Variable data("GRAPES_DATA", "");
  options_.data_dir = empty.path().string();
  EXPECT_THAT(message(),
              AllOf(HasSubstr("mnist was not found in " + empty.path().string()), HasSubstr("download is off")));
  options_.data = "emnist";
  EXPECT_THAT(message(), HasSubstr("https://www.nist.gov"));
}

TEST_F(SpoiltSource, LabelsAndImagesAreExchanged) {
  put("train-images-idx3-ubyte", idx_labels_file(20));
  EXPECT_THAT(message(), AllOf(HasSubstr("train-images-idx3-ubyte"), HasSubstr("(IDX labels), expected")));
}

TEST_F(SpoiltSource, CountsDiffer) {
  put("train-labels-idx1-ubyte", idx_labels_file(19));
  EXPECT_THAT(message(), AllOf(HasSubstr("train-labels-idx1-ubyte: 19 labels, expected 20"),
                               HasSubstr("train-images-idx3-ubyte")));
}

TEST_F(SpoiltSource, SizesOfTrainAndTestDiffer) {
  put("t10k-images-idx3-ubyte.gz", gzip(idx_images_file(10, 5, 4)));
  EXPECT_THAT(message(), HasSubstr("t10k-images-idx3-ubyte.gz: test images of 5 x 4 pixels, expected the size of the "
                                   "training images, 4 x 4"));
}

TEST_F(SpoiltSource, AGzipNameWithoutGzipBytes) {
  put("t10k-labels-idx1-ubyte.gz", idx_labels_file(10));
  EXPECT_THAT(message(), AllOf(HasSubstr("t10k-labels-idx1-ubyte.gz"), HasSubstr("not a gzip file")));
}

TEST_F(SpoiltSource, AnotherSourcesFiles) {
  const fs::path fashion = "/usr/share/datasets/fashion-mnist";
  if (!fs::exists(fashion)) GTEST_SKIP() << "dataset-fashion-mnist is missing";
  options_.data_dir = fashion.string();
  EXPECT_THAT(message(), AllOf(HasSubstr("this file belongs to fashion-mnist"), HasSubstr("expected that of mnist")));
}

TEST(Emnist, IsReadUpright) {
  // The official files store every image transposed.
  const TemporaryFolder folder;
  for (const std::string part : {"train", "test"}) {
    write_file(folder.path() / ("emnist-balanced-" + part + "-images-idx3-ubyte"), idx_images_file(10, 2, 3));
    write_file(folder.path() / ("emnist-balanced-" + part + "-labels-idx1-ubyte"), idx_labels_file(10));
  }
  Options options;
  options.data = "emnist";
  options.data_dir = folder.path().string();
  options.validation_split = 0;
  options.order = Order::file;
  const Splits splits = open(options, 1);
  EXPECT_EQ(splits.name, "emnist");
  EXPECT_EQ(splits.info.input_shape, (std::vector<std::int64_t>{1, 3, 2}));
  EXPECT_TRUE(at::allclose(splits.train->get(at::zeros({1}, at::kLong)).inputs[0][0] * 255,
                           at::tensor({0.F, 3.F, 1.F, 4.F, 2.F, 5.F}).reshape({3, 2})));
}

}  // namespace
}  // namespace grapes::data
