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
  set_threads(1);
}

TEST(Threads, ThrowWhatAnyPartThrowsAfterAllHaveEnded) {
  set_threads(3);
  for (int call = 0; call < 3000; ++call) {
    std::atomic<int> ended = 0;
    EXPECT_THROW(in_parallel(3, std::int64_t{1} << 30,
                             [&](std::int64_t begin, std::int64_t) {
                               ++ended;
                               if (begin == call % 3) throw std::runtime_error("a part");
                             }),
                 std::runtime_error);
    EXPECT_EQ(ended, 3);
  }
  int runs = 0;
  in_parallel(1, 1, [&](std::int64_t, std::int64_t) { ++runs; });
  EXPECT_EQ(runs, 1);
  set_threads(1);
}

TEST(Threads, DoNotChangeTheBitsOfAProduct) {
  if (!by_own_loops<float>()) GTEST_SKIP() << "the BLAS computes products";
  const struct {
    std::int64_t rows, columns, depth;
  } shapes[] = {{64, 128, 784}, {64, 512, 512}, {64, 256, 784}, {16, 10, 16384},
                {70, 330, 300}, {300, 300, 70}, {9, 700, 400}};
  for (const auto& [rows, columns, depth] : shapes)
    for (const bool a_turned : {false, true})
      for (const bool b_turned : {false, true})
        for (const float beta : {0.0F, 1.0F}) {
          const auto matrix = [](const at::Tensor& t, bool turn) {
            const Matrix<const float> m{t.data_ptr<float>(), t.size(0), t.size(1), t.size(1)};
            return turn ? transposed(m) : m;
          };
          const at::Tensor A = a_turned ? at::randn({depth, rows}) : at::randn({rows, depth}),
                           B = b_turned ? at::randn({columns, depth}) : at::randn({depth, columns}),
                           C = at::randn({rows, columns});
          at::Tensor first;
          for (const std::int64_t number : {1, 2, 3, 4, 8}) {
            set_threads(number);
            const at::Tensor result = C.clone();
            gemm<float>(1, matrix(A, a_turned), matrix(B, b_turned), beta,
                        {result.data_ptr<float>(), rows, columns, columns});
            if (!first.defined()) first = result;
            EXPECT_TRUE(result.equal(first)) << rows << " x " << columns << " x " << depth << a_turned << b_turned
                                             << beta << ", " << number << " threads";
          }
        }
  set_threads(1);
}

}  // namespace
}  // namespace grapes::kernels
