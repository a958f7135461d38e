#include "grapes/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

namespace grapes {
namespace {

TEST(Parallel, CallsTheFunctionOncePerNumber) {
  for (const int threads : {1, 3, 200}) {
    std::vector<std::atomic<int>> times(100);
    for_each_number(100, threads, [&](std::int64_t i) { ++times[static_cast<std::size_t>(i)]; });
    for (const std::atomic<int>& count : times) EXPECT_EQ(count, 1) << threads;
  }
  for_each_number(0, 4, [](std::int64_t) { FAIL(); });
}

TEST(Parallel, ThrowsTheErrorOfTheSmallestNumber) {
  for (int repeat = 0; repeat < 20; ++repeat) {
    try {
      for_each_number(100, 4, [](std::int64_t i) {
        if (i >= 30) throw std::runtime_error(std::to_string(i));
      });
      FAIL();
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "30");
    }
  }
}

}  // namespace
}  // namespace grapes
