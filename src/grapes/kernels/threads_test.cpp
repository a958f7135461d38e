#include "grapes/kernels/threads.h"

#include "grapes/kernels/gemm.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/libraries.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <vector>

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

TEST(Threads, DoEveryPartOfEveryCallOnce) {
  constexpr std::int64_t much = std::int64_t{1} << 30;
  for (const std::int64_t number : {1, 2, 5}) {
    set_threads(number);
    for (std::int64_t call = 0; call < 300; ++call) {
      const std::int64_t count = call % 11;
      std::vector<int> runs(static_cast<std::size_t>(count));
      std::atomic<std::int64_t> within = 0;
      in_parallel(count, much, [&](std::int64_t begin, std::int64_t end) {
        within += threads_worth(much);  // at most one inside a part
        for (std::int64_t i = begin; i < end; ++i) ++runs[static_cast<std::size_t>(i)];
      });
      EXPECT_THAT(runs, ::testing::Each(1)) << number << " threads, call " << call;
      if (number > 1 && count > 1) {
        EXPECT_EQ(within, std::min(number, count));
      }
    }
  }
  EXPECT_EQ(threads_worth(1000), 1) << "too little work for a second thread";
  EXPECT_THROW(in_parallel(2, much,
                           [](std::int64_t begin, std::int64_t) {
                             if (begin == 0) throw std::runtime_error("part 0");
                           }),
               std::runtime_error);
  set_threads(1);
}

TEST(Threads, DoNotChangeTheBitsOfAProduct) {
  if (!loops<float>().multiplies) GTEST_SKIP() << "the BLAS computes products";
  const at::Tensor A = at::randn({70, 300}), W = at::randn({330, 300});
  const auto of = [](const at::Tensor& t) {
    return Matrix<const float>{t.data_ptr<float>(), t.size(0), t.size(1), t.size(1)};
  };
  std::vector<at::Tensor> results;
  for (const std::int64_t number : {1, 2, 3}) {
    set_threads(number);
    const at::Tensor C = at::empty({70, 330}), G = at::empty({300, 300});
    gemm<float>(1, of(A), transposed(of(W)), 0, {C.data_ptr<float>(), 70, 330, 330});
    gemm<float>(1, transposed(of(A)), of(A), 0, {G.data_ptr<float>(), 300, 300, 300});
    results.push_back(at::cat({C.flatten(), G.flatten()}));
    EXPECT_TRUE(results.back().equal(results.front())) << number << " threads";
  }
  set_threads(1);
}

}  // namespace
}  // namespace grapes::kernels
