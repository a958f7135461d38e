#include "grapes/data/idx.h"

#include "grapes/data/open.h"
#include "grapes/data/source.h"
#include "grapes/data/test_files.h"
#include "grapes/data/unpack.h"

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

TEST(Idx, RefusesEveryTruncationAndAnyTrailingByte) {
  const std::string images = idx_images_file(2, 2, 3), labels = idx_labels_file(5);
  for (std::size_t n = 0; n < images.size(); ++n) {
    EXPECT_THAT(refusal([&] { idx_images(images.substr(0, n), "f.idx"); }), HasSubstr("f.idx: ")) << n;
  }
  for (std::size_t n = 0; n < labels.size(); ++n) {
    EXPECT_THAT(refusal([&] { idx_labels(labels.substr(0, n), "f.idx", 10); }), HasSubstr("f.idx: ")) << n;
  }
  EXPECT_THAT(refusal([&] { idx_images(images.substr(0, 20), "f"); }),
              HasSubstr("promises 2 records of 6 bytes, but 4 bytes follow it: cut off"));
  EXPECT_THAT(refusal([&] { idx_images(images + "!", "f"); }), HasSubstr("13 bytes follow it: too many"));
}

TEST(Idx, SaysWhichKindOfFileItIs) {
  EXPECT_THAT(refusal([] { idx_images(idx_labels_file(5), "t10k"); }),
              AllOf(HasSubstr("t10k: magic number 2049 (IDX labels)"), HasSubstr("expected magic number 2051")));
  EXPECT_THAT(refusal([] { idx_labels(idx_images_file(1, 1, 1), "t10k", 10); }), HasSubstr("2051 (IDX images)"));
  EXPECT_THAT(refusal([] { idx_images("<html>...</html>", "page"); }), HasSubstr("page: magic number 1013478509"));
}

TEST(Idx, RefusesHeadersThatCannotBe) {
  const std::string huge = big_endian(2051) + big_endian(0xffffffff) + big_endian(0xffffffff) + big_endian(0xffffffff);
  EXPECT_THAT(refusal([&] { idx_images(huge, "f"); }), HasSubstr("cut off"));
  const std::string empty = big_endian(2051) + big_endian(0) + big_endian(28) + big_endian(28);
  EXPECT_THAT(refusal([&] { idx_images(empty, "f"); }), HasSubstr("0 records"));
  const std::string flat = big_endian(2051) + big_endian(2) + big_endian(0) + big_endian(28);
  EXPECT_THAT(refusal([&] { idx_images(flat, "f"); }), HasSubstr("records of 0 bytes"));
  EXPECT_THAT(refusal([] { idx_labels(idx_labels_file(12), "f", 9); }),
              HasSubstr("label 9 of record 9 (from 0) is out of range, expected 0 ... 8"));
}

TEST(Gzip, UnpacksOneMemberAndSeveral) {
  const std::string content = idx_images_file(60, 28, 28);
  EXPECT_EQ(gunzip(gzip(content), "f"), content);
  EXPECT_EQ(gunzip(gzip("one ") + gzip("two"), "f"), "one two");
  const std::string large(5 << 20, 'a');
  EXPECT_EQ(gunzip(gzip(large), "f"), large);
}

TEST(Gzip, RefusesEveryTruncationAndEveryFlippedByte) {
  const std::string packed = gzip(idx_labels_file(40));
  for (std::size_t n = 0; n < packed.size(); ++n) {
    EXPECT_THAT(refusal([&] { gunzip(packed.substr(0, n), "f.gz"); }), HasSubstr("f.gz: ")) << n;
  }
  for (std::size_t i = 10; i < packed.size(); ++i) {  // after the ten bytes of the header: data, CRC-32, length
    std::string broken = packed;
    broken[i] = static_cast<char>(broken[i] ^ 0x10);
    try {
      EXPECT_EQ(gunzip(broken, "f.gz"), idx_labels_file(40)) << i;  // bits between the data and the CRC are not used
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("f.gz: "));
    }
  }
  EXPECT_THAT(refusal([&] { gunzip(packed.substr(0, packed.size() - 9), "f"); }), HasSubstr("cut off"));
  EXPECT_THAT(refusal([&] { gunzip(packed + "more", "f"); }), HasSubstr("4 bytes follow the end"));
  std::string crc = packed;
  crc[crc.size() - 8] = static_cast<char>(crc[crc.size() - 8] ^ 1);
  EXPECT_THAT(refusal([&] { gunzip(crc, "f"); }), HasSubstr("corrupt (incorrect data check)"));
}

/// A small, right MNIST in a folder, to be spoilt.
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

TEST_F(SpoiltSource, IsReadWhileItIsRightPlainAndPacked) {
  const Splits splits = open(options_, 1);
  EXPECT_EQ(splits.train->size(), 18);
  EXPECT_EQ(splits.test->size(), 10);
  EXPECT_EQ(splits.info.input_shape, (std::vector<std::int64_t>{1, 4, 4}));
  EXPECT_THAT(splits.notes, testing::ElementsAre(HasSubstr("not byte for byte")));
  fs::create_directory(folder_.path() / "mnist");
  for (const SourceFile& file : source_table()[1].files) {
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
  EXPECT_THAT(message(), AllOf(HasSubstr("--data-dir"), HasSubstr("no such folder")));
}

TEST_F(SpoiltSource, NothingIsThereAndNoDownload) {
  const TemporaryFolder empty;
  const Variable cache("XDG_CACHE_HOME", empty.path().string());
  const Variable data("GRAPES_DATA", "");
  options_.data_dir = empty.path().string();
  EXPECT_THAT(message(),
              AllOf(HasSubstr("mnist is not in " + empty.path().string()), HasSubstr("grapes data get mnist")));
  options_.data = "emnist47";
  EXPECT_THAT(message(), HasSubstr("no public mirror"));
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
  EXPECT_THAT(message(), AllOf(HasSubstr("this is the file of fashion-mnist"), HasSubstr("expected that of mnist")));
}

TEST(Emnist, IsUprightInBothLayouts) {
  // The official files hold every image transposed; emnist47 does not. The same picture must come out of both.
  const TemporaryFolder folder;
  const auto put = [&](const std::string& prefix) {
    for (const std::string part : {"train", "test"}) {
      write_file(folder.path() / (prefix + part + "-images-idx3-ubyte"), idx_images_file(10, 2, 2));
      write_file(folder.path() / (prefix + part + "-labels-idx1-ubyte"), idx_labels_file(10));
    }
  };
  Options options;
  options.data = "emnist";
  options.data_dir = folder.path().string();
  options.download = false;
  options.validation = 0;
  const auto first = [&](const Splits& splits) {
    return splits.train->get(at::zeros({1}, at::kLong)).inputs[0][0] * 255;
  };

  put("emnist47-");
  const Splits stand_in = open(options, 1);
  EXPECT_EQ(stand_in.name, "emnist47");
  EXPECT_THAT(stand_in.notes, testing::Contains(HasSubstr("not the official EMNIST Balanced")));
  EXPECT_TRUE(at::allclose(first(stand_in), at::tensor({0.F, 1.F, 2.F, 3.F}).reshape({2, 2})));
  put("emnist-balanced-");
  const Splits official = open(options, 1);
  EXPECT_EQ(official.name, "emnist");
  EXPECT_TRUE(at::allclose(first(official), at::tensor({0.F, 2.F, 1.F, 3.F}).reshape({2, 2})));
}

TEST(Emnist, TheRepackedSetIsTheDescribedOne) {
  const fs::path folder = shared_data("emnist47");
  if (!fs::exists(folder)) GTEST_SKIP() << "the emnist47 files are not there";
  Options options;
  options.data = "emnist47";
  options.data_dir = folder.string();
  options.validation = 0;
  const Splits splits = open(options, 1);
  EXPECT_EQ(splits.train->size(), 97611);
  EXPECT_TRUE(at::equal(at::bincount(splits.test->targets()), at::full({47}, 100, at::kLong)));
  EXPECT_TRUE(splits.notes.empty());
  EXPECT_TRUE(verify("emnist47", folder.string(), [](const std::string&) {}));
}

}  // namespace
}  // namespace grapes::data
