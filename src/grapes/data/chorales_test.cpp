#include "grapes/data/chorales.h"

#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::data {
namespace {

using ::testing::HasSubstr;

Collection chorales(const std::string& json) {
  const std::vector<std::string> none;
  return read_chorales({none, {}, {}, [&](std::size_t) { return UnpackedFile{"a.json", json, nullptr}; }, {}});
}

TEST(Chorales, TargetsAreTheNotesOfTheNextStep) {
  const Collection all = chorales(
      R"({"test": [[[60], [21, 108]]], "train": [[[60, 64], [], [62]], [[21], [22], [23], [24]]], "valid": [[[50], [51]]]})");
  EXPECT_EQ(all.train->info().problem, ProblemKind::prediction);
  const Batch batch = all.train->get(at::tensor({0, 1}, at::kLong));
  ASSERT_EQ(batch.inputs.sizes(), (at::IntArrayRef{2, 3, 88}));
  EXPECT_TRUE(at::equal(batch.present, at::tensor({1, 1, 0, 1, 1, 1}, at::kLong).to(at::kBool).view({2, 3})));
  EXPECT_EQ(batch.inputs[0].sum().item<int>(), 2);
  EXPECT_EQ(batch.inputs[0][0][60 - 21].item<int>(), 1);
  EXPECT_EQ(batch.targets[0][0].sum().item<int>(), 0);  // the rest
  EXPECT_EQ(batch.targets[0][1][62 - 21].item<int>(), 1);
  EXPECT_TRUE(at::equal(batch.targets[1].narrow(0, 0, 2), batch.inputs[1].narrow(0, 1, 2)));
  EXPECT_EQ(all.train->targets().sizes(), (at::IntArrayRef{2, 0}));
  EXPECT_EQ(all.validation->size(), 1);
  EXPECT_EQ(all.test->get(at::tensor({0}, at::kLong)).targets[0][0][87].item<int>(), 1);
  // A batch is as long as its longest sequence. A subset has the same sequences.
  const Batch one = subset(all.train, at::tensor({0}, at::kLong))->get(at::tensor({0}, at::kLong));
  EXPECT_TRUE(at::equal(one.inputs, batch.inputs.narrow(0, 0, 1).narrow(1, 0, 2)));
  EXPECT_TRUE(one.inputs.transpose(0, 1).is_contiguous());
}

TEST(Chorales, InvalidFilesAreErrorsThatNameThePlace) {
  const auto message = [](const std::string& json) { return refusal([&] { chorales(json); }); };
  EXPECT_THAT(message("{"), HasSubstr("a.json: invalid JSON"));
  EXPECT_THAT(message(R"({"train": [[[60],[60]]], "valid": [[[60],[60]]]})"), HasSubstr("\"test\""));
  EXPECT_THAT(message(R"({"train": [[[60],[60]], [[60],[20]]]})"),
              HasSubstr("train, chorale 1, step 1: expected a note of 21 to 108; got 20"));
}

}  // namespace
}  // namespace grapes::data
