#include "grapes/data/nmnist.h"

#include "grapes/data/fetch.h"
#include "grapes/data/open.h"
#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::data {
namespace {

using ::testing::HasSubstr;

std::string event(int x, int y, int polarity, int time) {
  return {static_cast<char>(x), static_cast<char>(y), static_cast<char>(polarity << 7 | time >> 16),
          static_cast<char>(time >> 8), static_cast<char>(time)};
}

/// A small N-MNIST in a folder.
class Nmnist : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* part : {"Train", "Test"})
      for (int digit = 0; digit < 10; ++digit)
        put(fmt::format("{}/{}/00001.bin", part, digit), event(digit, 0, 1, 0) + event(0, digit, 0, 50));
    put("Train/3/00002.bin", event(5, 7, 1, 0) + event(5, 7, 1, 10) + event(0, 33, 0, 70000) + event(33, 0, 1, 99999));
    options_.data = "nmnist";
    options_.data_dir = folder_.path().string();
    options_.validation_split = 0;
    options_.events.steps = 10;
  }
  void put(const std::string& name, const std::string& bytes) { write_file(folder_.path() / name, bytes); }
  std::string message() {
    return refusal<Error>([&] { open(options_, 1); });
  }
  TemporaryFolder folder_;
  Options options_;
};

TEST_F(Nmnist, EventsFallIntoEqualSteps) {
  const Splits splits = open(options_, 1);
  EXPECT_EQ(splits.train->size(), 11);
  EXPECT_EQ(splits.test->size(), 10);
  EXPECT_TRUE(at::equal(splits.train->targets(), at::tensor({0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9}, at::kLong)));
  const Batch batch = splits.train->get(at::tensor({4, 6}, at::kLong));
  ASSERT_EQ(batch.inputs.sizes(), (at::IntArrayRef{2, 10, 2, 34, 34}));
  EXPECT_TRUE(batch.inputs.transpose(0, 1).is_contiguous());
  EXPECT_TRUE(batch.present.all().item<bool>());
  const at::Tensor one = batch.inputs[0];
  EXPECT_EQ(one.sum().item<int>(), 3);
  EXPECT_EQ(one[0][1][7][5].item<int>(), 1);
  EXPECT_EQ(one[7][0][33][0].item<int>(), 1);
  EXPECT_EQ(one[9][1][0][33].item<int>(), 1);
  EXPECT_EQ(batch.inputs[1].sum().item<int>(), 2);
  options_.events.values = EventValues::counts;
  const Splits counts = open(options_, 1);
  EXPECT_EQ(counts.train->get(at::tensor({4}, at::kLong)).inputs[0][0][1][7][5].item<int>(), 2);
  EXPECT_NE(counts.fingerprint, splits.fingerprint);
  std::vector<std::string> lines;
  EXPECT_TRUE(verify("nmnist", options_.data_dir, [&](const std::string& line) { lines.push_back(line); }));
  EXPECT_THAT(lines, testing::Each(HasSubstr("its SHA-256 is unknown")));
}

TEST_F(Nmnist, WhatCannotBeIsRefusedByFileOrField) {
  options_.events.steps = 0;
  EXPECT_THAT(message(), HasSubstr("event_steps 0"));
  options_.events.steps = 10;
  put("Test/9/00001.bin", event(5, 7, 1, 0) + "abc");
  EXPECT_THAT(message(), HasSubstr("Test/9/00001.bin: 8 bytes, expected events of 5 bytes each"));
  put("Test/9/00001.bin", event(34, 7, 1, 0));
  EXPECT_THAT(message(), HasSubstr("Test/9/00001.bin: an event at column 34, row 7, outside the sensor's 34 x 34"));
  std::filesystem::remove_all(folder_.path() / "Test" / "9");
  EXPECT_THAT(message(), HasSubstr("Test/9"));
}

}  // namespace
}  // namespace grapes::data
