#include "grapes/data/open.h"
#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace grapes::data {
namespace {

TEST(DelayedXor, NeedsBothCues) {
  Options options;
  options.data = "delayed-xor";
  options.validation_split = 0;
  const Splits splits = open(options, 1);
  ASSERT_EQ(splits.train->size(), 2000);
  ASSERT_EQ(splits.test->size(), 500);
  EXPECT_EQ(splits.info.classes, (std::vector<std::string>{"same", "different"}));
  const Batch batch = splits.train->get(at::arange(200, at::kLong));
  std::int64_t different = 0;
  for (std::int64_t i = 0; i < 200; ++i) {
    const std::int64_t steps = batch.present[i].sum().item<std::int64_t>();
    const at::Tensor first = batch.inputs[i][0];
    const at::Tensor second = batch.inputs[i][steps - 4];  // the second cue is followed by three silent steps
    EXPECT_EQ(first[0].item<int>() + first[1].item<int>(), 1);
    EXPECT_EQ(second[0].item<int>() + second[1].item<int>(), 1);
    const int answer = first[0].item<int>() != second[0].item<int>() ? 1 : 0;
    EXPECT_EQ(batch.targets[i].item<int>(), answer);
    different += answer;
  }
  EXPECT_GT(different, 70);
  EXPECT_LT(different, 130);
  EXPECT_TRUE(at::equal(open(options, 1).train->get(at::arange(200, at::kLong)).inputs, batch.inputs));
}

}  // namespace
}  // namespace grapes::data
