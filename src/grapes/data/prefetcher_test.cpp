#include "grapes/data/prefetcher.h"

#include "grapes/data/augment.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <vector>

namespace grapes::data {
namespace {

using namespace std::chrono_literals;

Batch numbered(std::int64_t number) { return {at::full({2, 3}, static_cast<float>(number)), at::full({2}, number)}; }

TEST(Prefetcher, ReturnsTheSameBatchesInOrderForAnyDepth) {
  for (const std::int64_t ready : {0, 1, 3, 100}) {
    Prefetcher batches(numbered, 5, 50, ready);
    for (std::int64_t number = 5; number < 50; ++number) {
      const Batch batch = batches.next();
      EXPECT_TRUE(at::equal(batch.inputs, numbered(number).inputs)) << number;
      EXPECT_TRUE(at::equal(batch.targets, numbered(number).targets)) << number;
    }
    EXPECT_THROW(batches.next(), c10::Error);
  }
  EXPECT_THROW(Prefetcher(numbered, 3, 3).next(), c10::Error);
  EXPECT_THROW(Prefetcher(numbered, 0, 1, -1), c10::Error);
}

TEST(Prefetcher, AugmentedBatchesAreTheSameOnTheOtherThread) {
  const at::Tensor pictures = at::arange(40 * 3 * 8 * 8, at::kFloat).sin().reshape({40, 3, 8, 8});
  const DatasetPtr set =
      augmented(memory(pictures, at::zeros({40}, at::kLong), {ProblemKind::classification, {3, 8, 8}, 1, {"all"}}),
                parse_augmentation("rotate=20,zoom=.2,elastic=8:3,crop=2,flip=.5,cutout=3"));
  const auto make = [&](std::int64_t number) {
    return set->get(at::arange(number * 4, number * 4 + 4, at::kLong), static_cast<std::uint64_t>(number));
  };
  Prefetcher other(make, 0, 10), here(make, 0, 10, 0);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(at::equal(other.next().inputs, here.next().inputs)) << i;
}

TEST(Prefetcher, PreparesAtMostTheGivenNumberOfBatches) {
  std::atomic<int> made = 0;
  const auto count = [&](std::int64_t number) {
    ++made;
    return numbered(number);
  };
  Prefetcher batches(count, 0, 100, 2);
  for (int i = 0; i < 200 && made < 2; ++i) std::this_thread::sleep_for(5ms);
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(made, 2);
  batches.next();
  for (int i = 0; i < 200 && made < 3; ++i) std::this_thread::sleep_for(5ms);
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(made, 3);

  Prefetcher none(count, 0, 100, 0);
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(made, 3);
  none.next();
  EXPECT_EQ(made, 4);
}

TEST(Prefetcher, ThrowsAnErrorInPlaceOfItsBatch) {
  for (const std::int64_t ready : {0, 1, 4}) {
    Prefetcher batches(
        [](std::int64_t number) -> Batch {
          if (number == 3) throw std::runtime_error("the third");
          return numbered(number);
        },
        0, 10, ready);
    for (std::int64_t number = 0; number < 3; ++number)
      EXPECT_TRUE(at::equal(batches.next().targets, numbered(number).targets));
    for (int again = 0; again < 2; ++again) {
      try {
        batches.next();
        ADD_FAILURE() << "nothing was thrown";
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "the third");
      }
    }
  }
}

TEST(Prefetcher, StopsAfterTheBatchInProgress) {
  std::atomic<int> made = 0;
  const auto start = std::chrono::steady_clock::now();
  {
    Prefetcher batches(
        [&](std::int64_t number) {
          ++made;
          std::this_thread::sleep_for(30ms);
          return numbered(number);
        },
        0, 1000, 1000);
    batches.next();
  }
  const int then = made;
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  EXPECT_LT(then, 150);
  std::this_thread::sleep_for(80ms);
  EXPECT_EQ(made, then);
  Prefetcher full(numbered, 0, 10, 1);  // next() is not called: the thread waits for space and must be woken to end
  std::this_thread::sleep_for(10ms);
}

TEST(Prefetcher, DoesNotChangeTheCallersThreads) {
  const int before = at::get_num_threads();
  Prefetcher batches(numbered, 0, 3);
  for (int i = 0; i < 3; ++i) batches.next();
  EXPECT_EQ(at::get_num_threads(), before);
}

}  // namespace
}  // namespace grapes::data
