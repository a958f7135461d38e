#include "grapes/dist/buckets.h"

#include "grapes/dist/dist_test.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace grapes::dist {
namespace {

/// Parameters of which the loss of rank r is Σ (r + 1) k Σ W_k, so that dL/dW_k = (r + 1) k.
struct Case {
  std::vector<at::Tensor> parameters;
  Case() {
    for (const std::int64_t size : {3, 50, 7, 1})
      parameters.push_back(at::zeros({size}, size == 7 ? at::kDouble : at::kFloat).requires_grad_());
  }
  at::Tensor loss(int rank, std::size_t leave_out = 99) const {
    at::Tensor sum = at::zeros({}, at::kDouble);
    for (std::size_t k = 0; k < parameters.size(); ++k)
      if (k != leave_out)
        sum = sum + parameters[k].sum().to(at::kDouble) * static_cast<double>((rank + 1) * static_cast<int>(k));
    return sum;
  }
};

TEST(Buckets, LeaveTheSumOfAllRanksInGrad) {
  in_processes(3, [](Group& group) {
    for (const std::int64_t bytes : {std::int64_t{1}, std::int64_t{64}, Buckets::usual_bytes})
      for (const bool overlap : {true, false}) {
        const Case at;
        Buckets buckets(group, at.parameters, bytes);
        EXPECT_EQ(buckets.count(), bytes == Buckets::usual_bytes ? 3U : 4U);
        buckets.begin({1.5, static_cast<double>(group.rank())}, overlap);
        at.loss(group.rank()).backward();
        EXPECT_EQ(buckets.finish(), (std::vector<double>{4.5, 3}));
        for (std::size_t k = 0; k < at.parameters.size(); ++k) {
          const at::Tensor& W = at.parameters[k];
          EXPECT_TRUE(W.grad().equal(at::full_like(W, 6 * static_cast<double>(k)))) << k;
        }
      }
  });
}

TEST(Buckets, AParameterWithoutGradientInOneProcessDoesNotBlockTheOthers) {
  in_processes(2, [](Group& group) {
    const Case at;
    Buckets buckets(group, at.parameters, 1);
    for (const std::size_t left_out : {3U, 1U}) {
      for (const at::Tensor& W : at.parameters) W.mutable_grad().reset();
      buckets.begin({});
      at.loss(group.rank(), group.first() ? left_out : 99).backward();
      buckets.finish();
      for (std::size_t k = 0; k < at.parameters.size(); ++k) {
        const at::Tensor& W = at.parameters[k];
        const double expected = static_cast<double>(k) * (k == left_out ? 2 : 3);
        EXPECT_TRUE(W.grad().equal(at::full_like(W, expected))) << k;
      }
    }
  });
}

TEST(Buckets, AccumulatedGradientsAreSummedOnce) {
  in_processes(2, [](Group& group) {
    const Case at;
    Buckets buckets(group, at.parameters);
    at.loss(group.rank()).backward();  // not begun: only this process
    buckets.begin({});
    at.loss(group.rank()).backward();
    buckets.finish();
    EXPECT_TRUE(at.parameters[1].grad().equal(at::full({50}, 6.0)));
  });
}

}  // namespace
}  // namespace grapes::dist
