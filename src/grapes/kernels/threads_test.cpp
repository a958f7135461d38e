#include "grapes/kernels/threads.h"

#include "grapes/kernels/libraries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace grapes::kernels {
namespace {

TEST(Threads, EachPartRunsOnceAndRestoresTheNumberOfThreads) {
  set_threads(2);
  const int before = threads().libtorch;
  std::array<int, 2> within = {-1, -1};
  in_parallel(2, std::int64_t{1} << 24, [&](std::int64_t begin, std::int64_t end) {
    auto* mkl = blas_function<int()>("MKL_Get_Max_Threads");
    for (std::int64_t i = begin; i < end; ++i) within.at(static_cast<std::size_t>(i)) = mkl != nullptr ? mkl() : 1;
  });
  EXPECT_THAT(within, ::testing::Each(1)) << "threads for a product inside a part";
  EXPECT_EQ(threads().libtorch, before);
  set_threads(1);
}

}  // namespace
}  // namespace grapes::kernels
