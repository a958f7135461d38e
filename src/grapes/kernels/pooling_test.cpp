// Pooling compared with LibTorch's, in both layouts and with every instruction set.
#include "grapes/kernels/pooling.h"

#include "grapes/kernels/convolution.h"
#include "grapes/kernels/instruction_set.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>
#include <vector>

namespace grapes::kernels {
namespace {

/// Whole numbers, so that windows have equal maxima and sums are exact.
at::Tensor drawn_map(at::IntArrayRef shape, at::ScalarType dtype, std::uint64_t seed) {
  at::manual_seed(seed);
  return at::randint(-3, 4, shape, dtype);
}

/// @param lanes  1: by channel
at::Tensor in_blocks(const at::Tensor& x, std::int64_t lanes) {
  if (lanes == 1) return x;
  return x.view({x.size(0), x.size(1) / lanes, lanes, x.size(2), x.size(3)}).permute({0, 1, 3, 4, 2}).contiguous();
}

at::Tensor of_libtorch(const at::Tensor& x, Pooling how, std::int64_t side) {
  if (how == Pooling::largest) return at::max_pool2d(x, {side, side});
  const at::Tensor mean = at::avg_pool2d(x, {side, side});
  return how == Pooling::sum ? mean * static_cast<double>(side * side) : mean;
}

/// The value and dL/dx, by channel.
template <class Pool>
std::pair<at::Tensor, at::Tensor> learned(const at::Tensor& map, const at::Tensor& error, Pool pool) {
  const at::Tensor x = map.detach().clone().requires_grad_();
  const at::Tensor y = pool(x);
  torch::autograd::backward({y}, {error});
  return {unblocked(y.detach()), unblocked(x.grad())};
}

TEST(Pooling, EqualsLibTorchInBothLayoutsWithEveryInstructionSet) {
  const std::string before = instruction_set().name;
  const auto workspace = std::make_shared<Workspace>();
  for (const InstructionSet& set : instruction_sets())
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble})
      for (const std::int64_t lanes : {1, 8, 16})
        for (const auto how : {Pooling::largest, Pooling::average, Pooling::sum})
          for (const std::int64_t side : {2, 3}) {
            if (lanes == 8 && dtype == at::kFloat && std::string(set.name) == "avx512") continue;  // see Loops::Map
            SCOPED_TRACE(std::string(set.name) + ", lanes " + std::to_string(lanes) + ", side " + std::to_string(side));
            use_instruction_set(set.name);
            const at::Tensor x = drawn_map({2, 16, 7, 10}, dtype, 1),
                             error = drawn_map({2, 16, 7 / side, 10 / side}, dtype, 2);
            const auto ours = learned(in_blocks(x, lanes), in_blocks(error, lanes),
                                      [&](const at::Tensor& map) { return pooling(map, how, side, workspace); });
            const auto reference =
                learned(x, error, [&](const at::Tensor& map) { return of_libtorch(map, how, side); });
            EXPECT_TRUE(at::allclose(ours.first, reference.first, 1e-6, 1e-6));
            EXPECT_TRUE(at::allclose(ours.second, reference.second, 1e-6, 1e-6));
            EXPECT_GT(ours.second.abs().sum().item<double>(), 0);
          }
  use_instruction_set(before);
}

TEST(Pooling, OverwritesOnlyMapsWithoutOtherReferences) {
  const auto workspace = std::make_shared<Workspace>();
  const at::Tensor x = drawn_map({1, 2, 4, 4}, at::kDouble, 1), before = x.clone();
  const at::Tensor leaf = x.detach().requires_grad_();
  pooling(leaf, Pooling::largest, 2, workspace).sum().backward();
  EXPECT_TRUE(at::equal(x, before));
}

TEST(Pooling, RunsBackwardOnlyOnceAndDetectsInPlaceChanges) {
  const auto workspace = std::make_shared<Workspace>();
  const auto said = [](const auto& run) {
    try {
      run();
    } catch (const c10::Error& error) {
      return std::string(error.what_without_backtrace());
    }
    return std::string();
  };
  const at::Tensor x = drawn_map({1, 2, 4, 4}, at::kFloat, 1).requires_grad_(), h = x * 2;
  const at::Tensor y = pooling(h, Pooling::average, 2, workspace).sum();
  y.backward({}, true);
  EXPECT_NE(said([&] { y.backward(); }).find("only once"), std::string::npos);
  const at::Tensor z = pooling(h, Pooling::largest, 2, workspace).sum();
  h.detach().add_(1);
  EXPECT_NE(said([&] { z.backward(); }).find("in place"), std::string::npos);
}

}  // namespace
}  // namespace grapes::kernels
