#include "grapes/data/dataset.h"

#include "grapes/data/sampler.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace grapes::data {
namespace {

DatasetPtr bytes() {
  const at::Tensor inputs = at::arange(12, at::kByte).reshape({4, 3});
  return memory(inputs, at::tensor({2, 0, 1, 0}, at::kLong), {ProblemKind::classification, {3}, 3, {"a", "b", "c"}},
                0.5F);
}

TEST(Memory, ConvertsBytesWhileBatching) {
  const Batch batch = bytes()->get(at::tensor({3, 1, 3}, at::kLong));
  EXPECT_TRUE(at::equal(batch.inputs, at::tensor({4.5F, 5.F, 5.5F, 1.5F, 2.F, 2.5F, 4.5F, 5.F, 5.5F}).reshape({3, 3})));
  EXPECT_TRUE(at::equal(batch.targets, at::tensor({0, 0, 0}, at::kLong)));
}

TEST(Memory, ChangingABatchDoesNotChangeTheData) {
  const at::Tensor inputs = at::ones({2, 2});
  const DatasetPtr set = memory(inputs, at::zeros({2, 1}), {ProblemKind::regression, {2}, 1, {"y"}}, 3);
  set->get(at::tensor({0, 1}, at::kLong)).inputs.fill_(7);
  EXPECT_TRUE(at::equal(inputs, at::ones({2, 2})));
  EXPECT_TRUE(at::equal(set->get(at::tensor({1}, at::kLong)).inputs, at::full({1, 2}, 3.F)));
}

TEST(Memory, RejectsTensorsThatDoNotFit) {
  const DatasetInfo info{ProblemKind::classification, {3}, 3, {"a", "b", "c"}};
  EXPECT_THROW(memory(at::zeros({4, 2}), at::zeros({4}, at::kLong), info), c10::Error);
  EXPECT_THROW(memory(at::zeros({4, 3}), at::zeros({3}, at::kLong), info), c10::Error);
  EXPECT_THROW(memory(at::zeros({4, 3}), at::zeros({4}), info), c10::Error);
  EXPECT_THROW(memory(at::zeros({4, 3}, at::kComplexFloat), at::zeros({4}, at::kLong), info), c10::Error);
}

TEST(Subset, HasTheGivenRowsInOrder) {
  const DatasetPtr part = subset(subset(bytes(), at::tensor({3, 2, 0}, at::kLong)), at::tensor({2, 1}, at::kLong));
  EXPECT_EQ(part->size(), 2);
  EXPECT_TRUE(at::equal(part->targets(), at::tensor({2, 1}, at::kLong)));
  const Batch batch = part->get(at::tensor({1, 0}, at::kLong));
  EXPECT_TRUE(at::equal(batch.targets, at::tensor({1, 2}, at::kLong)));
  EXPECT_TRUE(at::equal(batch.inputs.select(1, 0), at::tensor({3.F, 0.F})));
  EXPECT_THROW(subset(bytes(), at::tensor({4}, at::kLong)), c10::Error);
}

TEST(Sampler, IsAPermutationKeyedBySeedAndEpoch) {
  const at::Tensor order = shuffled_order(1000, 5, 0);
  EXPECT_TRUE(at::equal(std::get<0>(order.sort()), file_order(1000)));
  EXPECT_TRUE(at::equal(order, shuffled_order(1000, 5, 0)));
  EXPECT_FALSE(at::equal(order, shuffled_order(1000, 5, 1)));
  EXPECT_FALSE(at::equal(order, shuffled_order(1000, 6, 0)));
  EXPECT_FALSE(at::equal(shuffled_order(1000, 5, 1), shuffled_order(1000, 6, 0)));
  EXPECT_EQ(shuffled_order(0, 1, 1).numel(), 0);
}

TEST(Sampler, EveryPositionIsEquallyLikely) {
  // Position of number 0 of 5 over 5000 epochs: each position 1000 times, sd 28.
  std::vector<int> place(5);
  for (int epoch = 0; epoch < 5000; ++epoch) {
    ++place[shuffled_order(5, 9, epoch).eq(0).nonzero().item<std::int64_t>()];
  }
  for (const int count : place) EXPECT_NEAR(count, 1000, 150);
}

}  // namespace
}  // namespace grapes::data
