#include "grapes/nn/norm.h"

#include "grapes/nn/nn_test.h"

#include <gtest/gtest.h>

namespace grapes::nn {
namespace {

TEST(Norm, BatchNormEqualsItsEquation) {
  const auto x = drawn({6, 3, 4, 4}, 1) * 2 + 1;
  BatchNorm norm = BatchNorm::make(Norm::batch, 3, at::kDouble);
  {
    const torch::NoGradGuard no_grad;
    norm.scale.copy_(drawn({3}, 2));
    norm.shift.copy_(drawn({3}, 3));
  }
  const auto per = [](const at::Tensor& v) { return v.view({1, -1, 1, 1}); };
  const std::vector<std::int64_t> over = {0, 2, 3};
  const auto mean = x.mean(over), variance = x.var(over, false);
  const auto expected = (x - per(mean)) / (per(variance) + 1e-5).sqrt() * per(norm.scale) + per(norm.shift);
  EXPECT_TRUE(torch::allclose(norm.forward(x, true, false), expected, 1e-10, 1e-12));
  EXPECT_TRUE(torch::equal(norm.mean, torch::zeros({3}, at::kDouble))) << "asked not to remember";
  norm.forward(x, true, true);
  EXPECT_TRUE(torch::allclose(norm.mean, 0.1 * mean));
  EXPECT_TRUE(torch::allclose(norm.variance, 0.9 + 0.1 * x.var(over, true)));
  const auto running = (x - per(norm.mean)) / (per(norm.variance) + 1e-5).sqrt() * per(norm.scale) + per(norm.shift);
  EXPECT_TRUE(torch::allclose(norm.forward(x, false, false), running, 1e-10, 1e-12));
  const BatchNorm whole = BatchNorm::make(Norm::tensor, 3, at::kDouble);
  EXPECT_TRUE(
      torch::allclose(whole.forward(x, true, true), (x - x.mean()) / (x.var(false) + 1e-5).sqrt(), 1e-10, 1e-12));
}

/// The parts of a batch in three processes: the values of the whole batch are x.
TEST(Norm, OverProcessesEqualsTheWholeBatchIfOnePartIsEmptyOrDoesNotCount) {
  for (const Norm kind : {Norm::batch, Norm::tensor})
    for (const bool empty : {true, false}) {
      const auto x = drawn({5, 3, 2, 2}, 1).requires_grad_(), error = drawn({5, 3, 2, 2}, 2);
      const BatchNorm one = BatchNorm::make(kind, 3, at::kDouble);
      const auto y = one.forward(x, true, true);
      y.backward(error);
      in_threads(3, [&](const Processes& all) {
        // Rank 1 has no example, or one that is not a part of the batch.
        const std::int64_t first = all.rank == 0 ? 0 : 2, count = all.rank == 0 ? 2 : all.rank == 1 ? 0 : 3;
        auto part = x.detach().narrow(0, first, count).clone();
        if (all.rank == 1 && !empty) part = at::full({1, 3, 2, 2}, 1e3, at::kDouble);
        part.requires_grad_();
        const BatchNorm norm = BatchNorm::make(kind, 3, at::kDouble);
        const Together together{all.sum, all.rank != 1};
        const auto own = norm.forward(part, true, true, &together);
        own.backward(all.rank == 1 ? at::zeros_like(own) : error.narrow(0, first, count));
        EXPECT_TRUE(at::allclose(norm.mean, one.mean, 1e-12, 1e-12));
        EXPECT_TRUE(at::allclose(norm.variance, one.variance, 1e-12, 1e-12));
        if (all.rank == 1) return;
        EXPECT_TRUE(at::allclose(own, y.narrow(0, first, count), 1e-12, 1e-12));
        EXPECT_TRUE(at::allclose(part.grad(), x.grad().narrow(0, first, count), 1e-10, 1e-12));
      });
    }
}

TEST(Norm, CountsOfManyValuesAreExact) {
  // A sum in float32 cannot tell 2^24 + 1 from 2^24.
  in_threads(2, [](const Processes& all) {
    const std::int64_t count = all.rank == 0 ? 1 << 24 : 1;
    const auto x = at::zeros({1, 1, count});
    if (all.rank == 1) x.fill_(1 << 24);
    const BatchNorm norm = BatchNorm::make(Norm::batch, 1, at::kFloat);
    const Together together{all.sum, true};
    norm.forward(x, true, true, &together);
    EXPECT_FLOAT_EQ(norm.mean.item<float>(), static_cast<float>(0.1 * (1 << 24) / ((1 << 24) + 1.0)));
  });
}

TEST(Norm, ABatchOfOneValueDoesNotChangeTheRunningStatistics) {
  const auto x = at::full({1, 2, 1, 1}, 3.0, at::kDouble);
  for (const Norm kind : {Norm::batch, Norm::tensor}) {
    const auto part = kind == Norm::tensor ? x.narrow(1, 0, 1) : x;
    const auto expect_unchanged = [&](const Together* together) {
      const BatchNorm norm = BatchNorm::make(kind, part.size(1), at::kDouble);
      EXPECT_TRUE(norm.forward(part, true, true, together).equal(at::zeros_like(part)));
      EXPECT_TRUE(norm.mean.equal(at::zeros_like(norm.mean)));
      EXPECT_TRUE(norm.variance.equal(at::ones_like(norm.variance)));
    };
    expect_unchanged(nullptr);
    in_threads(2, [&](const Processes& all) {
      const Together together{all.sum, all.rank == 0};
      expect_unchanged(&together);
    });
  }
}

}  // namespace
}  // namespace grapes::nn
