#include "grapes/data/cifar.h"

#include "grapes/data/fetch.h"
#include "grapes/data/open.h"
#include "grapes/data/sampler.h"
#include "grapes/data/source.h"
#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lzma.h>

#include <algorithm>

namespace grapes::data {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

/// One record: its labels, then an image with one gray value per channel.
std::string record(const std::vector<int>& labels, int red, int green, int blue) {
  std::string bytes;
  for (const int label : labels) bytes += static_cast<char>(label);
  for (const int gray : {red, green, blue}) bytes += std::string(1024, static_cast<char>(gray));
  return bytes;
}

std::string xz(const std::string& content) {
  std::string packed(lzma_stream_buffer_bound(content.size()), '\0');
  std::size_t size = 0;
  EXPECT_EQ(
      lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const std::uint8_t*>(content.data()),
                              content.size(), reinterpret_cast<std::uint8_t*>(packed.data()), &size, packed.size()),
      LZMA_OK);
  packed.resize(size);
  return packed;
}

TEST(Cifar, ReadsRecordsChannelAfterChannel) {
  std::string second = record({7}, 0, 0, 0);
  second[1 + 2 * 1024 + 3 * 32 + 4] = static_cast<char>(250);  // blue, row 3, column 4
  const auto [inputs, targets] = cifar_records(record({3}, 1, 2, 255) + second, "f", {10});
  EXPECT_EQ(inputs.sizes(), (at::IntArrayRef{2, 3, 32, 32}));
  EXPECT_EQ(inputs.scalar_type(), at::kByte);
  EXPECT_TRUE(at::equal(targets, at::tensor({3, 7}, at::kLong)));
  for (const auto& [channel, gray] : {std::pair(0, 1), std::pair(1, 2), std::pair(2, 255)})
    EXPECT_TRUE(inputs[0][channel].eq(gray).all().item<bool>()) << channel;
  EXPECT_EQ(inputs[1][2][3][4].item<int>(), 250);
  EXPECT_EQ(inputs[1].sum().item<int>(), 250);
}

TEST(Cifar, TheFineLabelIsTheClass) {
  const auto [inputs, targets] = cifar_records(record({19, 99}, 5, 6, 7), "f", {20, 100});
  EXPECT_TRUE(at::equal(targets, at::tensor({99}, at::kLong)));
  EXPECT_EQ(inputs[0][0][0][0].item<int>(), 5);
}

TEST(Cifar, ErrorsNameTheFileAndTheRecord) {
  const std::string two = record({3}, 1, 2, 3) + record({9}, 1, 2, 3);
  const auto message = [](const std::string& bytes, at::IntArrayRef labels) {
    return refusal([&] { cifar_records(bytes, "b.bin", labels); });
  };
  EXPECT_THAT(message("", {10}), HasSubstr("b.bin: empty, expected records of 3073 bytes"));
  EXPECT_THAT(message(two.substr(0, 3073 + 10), {10}),
              HasSubstr("b.bin: 3083 bytes, expected whole records of 3073 bytes: record 1 (from 0) ends after 10"));
  EXPECT_THAT(message(two + "!", {10}), HasSubstr("record 2 (from 0) ends after 1"));
  EXPECT_THAT(message(two, {20, 100}), HasSubstr("whole records of 3074 bytes"));
  EXPECT_THAT(message(two, {9}), HasSubstr("b.bin: label 9 of record 1 (from 0) is out of range, expected 0 ... 8"));
  EXPECT_THAT(message(record({20, 5}, 0, 0, 0), {20, 100}), HasSubstr("label 20 of record 0"));
  EXPECT_THAT(message(record({5, 100}, 0, 0, 0), {20, 100}), HasSubstr("label 100 of record 0"));
}

/// A small CIFAR-10 in a folder, with files of each packing. The class and the gray value identify the record.
class SmallCifar : public testing::Test {
 protected:
  void SetUp() override {
    for (int batch = 1; batch <= 5; ++batch) {
      const std::string bytes = record({batch}, batch, 0, 0) + record({batch + 4}, batch, 1, 0);
      const std::string name = "data_batch_" + std::to_string(batch) + ".bin";
      if (batch == 2)
        put(name + ".gz", gzip(bytes));
      else if (batch == 3)
        put(name + ".xz", xz(bytes));
      else
        put(name, bytes);
    }
    put("test_batch.bin.xz", xz(record({0}, 9, 9, 9)));
    options_.data = "cifar10";
    options_.data_dir = folder_.path().string();
    options_.validation_split = 0;
    options_.order = Order::file;
  }
  void put(const std::string& name, const std::string& bytes) { write_file(folder_.path() / name, bytes); }
  std::string message() {
    return refusal([&] { open(options_, 1); });
  }
  TemporaryFolder folder_;
  Options options_;
};

TEST_F(SmallCifar, IsReadInTheOrderOfItsFilesInAnyPacking) {
  const Splits splits = open(options_, 1);
  EXPECT_EQ(splits.name, "cifar10");
  EXPECT_EQ(splits.info.input_shape, (std::vector<std::int64_t>{3, 32, 32}));
  EXPECT_TRUE(at::equal(splits.train->targets(), at::tensor({1, 5, 2, 6, 3, 7, 4, 8, 5, 9}, at::kLong)));
  const at::Tensor red = splits.train->get(file_order(10)).inputs.select(1, 0).select(1, 0).select(1, 0) * 255;
  EXPECT_TRUE(at::allclose(red, at::tensor({1.F, 1.F, 2.F, 2.F, 3.F, 3.F, 4.F, 4.F, 5.F, 5.F})));
  EXPECT_EQ(splits.test->size(), 1);
  EXPECT_THAT(splits.notes, testing::ElementsAre("the files differ from the known files of cifar10"));
  EXPECT_EQ(splits.fingerprint.size(), 64U);
  EXPECT_TRUE(find("cifar10", options_.data_dir).complete);
  EXPECT_FALSE(verify("cifar10", options_.data_dir, [](const std::string&) {}));
}

TEST_F(SmallCifar, ErrorsNameTheFile) {
  put("data_batch_4.bin", record({4}, 0, 0, 0) + record({10}, 0, 0, 0));
  EXPECT_THAT(message(), AllOf(HasSubstr("data_batch_4.bin: label 10 of record 1")));
  put("data_batch_3.bin.xz", xz(record({4}, 0, 0, 0)).substr(0, 40));
  EXPECT_THAT(message(), AllOf(HasSubstr("data_batch_3.bin.xz"), HasSubstr("truncated")));
  fs::remove(folder_.path() / "data_batch_3.bin.xz");
  EXPECT_THAT(message(), HasSubstr("cifar10 is incomplete, missing: data_batch_3.bin (or .gz, .xz)"));
}

TEST_F(SmallCifar, IfMissingTheErrorSaysHowToGetIt) {
  const TemporaryFolder empty;
  const Variable cache("XDG_CACHE_HOME", empty.path().string());
  const Variable data("GRAPES_DATA", "");
  options_.data_dir = empty.path().string();
  EXPECT_THAT(message(), AllOf(HasSubstr("cifar10 was not found in"), HasSubstr("cifar-10-binary.tar.gz")));
  EXPECT_THAT(refusal([] { fetch("cifar100", {}); }), HasSubstr("cifar-100-binary.tar.gz"));
}

TEST(Cifar100, HasItsHundredClasses) {
  const TemporaryFolder folder;
  write_file(folder.path() / "train.bin", record({0, 99}, 1, 1, 1) + record({19, 0}, 1, 1, 1));
  write_file(folder.path() / "test.bin", record({4, 50}, 1, 1, 1));
  Options options;
  options.data = "cifar100";
  options.data_dir = folder.path().string();
  options.validation_split = 0;
  const Splits splits = open(options, 1);
  const std::vector<std::string>& classes = splits.info.classes;
  ASSERT_EQ(classes.size(), 100U);
  EXPECT_TRUE(std::is_sorted(classes.begin(), classes.end()));
  EXPECT_EQ(classes[0], "apple");
  EXPECT_EQ(classes[50], "mouse");
  EXPECT_EQ(classes[99], "worm");
  EXPECT_EQ(splits.info.outputs, 100);
  EXPECT_TRUE(splits.notes.empty());  // no SHA-256 is known that its files could differ from
}

TEST(Cifar10, TheDataSetHasTheDescribedSizesAndClasses) {
  const fs::path folder = shared_data("cifar10");
  if (!fs::exists(folder)) GTEST_SKIP() << "the files of cifar10 are missing";
  Options options;
  options.data = "cifar10";
  options.data_dir = folder.string();
  options.validation_split = 5000;
  options.normalize = "channel";
  const Splits splits = open(options, 1);
  EXPECT_TRUE(splits.notes.empty()) << splits.notes.front();
  EXPECT_EQ(splits.train->size(), 45000);
  for (const auto& [part, each] :
       {std::pair(splits.train, 4500), std::pair(splits.validation, 500), std::pair(splits.test, 1000)})
    EXPECT_TRUE(at::equal(at::bincount(part->targets()), at::full({10}, each, at::kLong)));
  // The commonly used means and standard deviations are of 50,000 images; these are of 45,000.
  EXPECT_TRUE(at::allclose(splits.normalization.shift.flatten(), at::tensor({0.4914F, 0.4822F, 0.4465F}), 0, 1e-3));
  EXPECT_TRUE(at::allclose(splits.normalization.scale.flatten().reciprocal(), at::tensor({0.2470F, 0.2435F, 0.2616F}),
                           0, 1e-3));
}

}  // namespace
}  // namespace grapes::data
