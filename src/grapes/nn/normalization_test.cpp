// What follows a normalized layer's convolution: the fused node compared with its reference of tensor operations, the
// reference compared with the equation of its error, and the node's use of memory, threads and instruction sets.
#include "grapes/kernels/normalization.h"

#include "grapes/core/modulate.h"
#include "grapes/kernels/convolution.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/nn/activation.h"
#include "grapes/nn/nn_test.h"
#include "grapes/nn/norm.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

namespace grapes::nn {
namespace {

using Tensors = std::vector<at::Tensor>;

struct Case {
  std::int64_t batch, channels, rows, columns, pool;
  std::string activation = "relu";
  Norm kind = Norm::batch;
  bool training = true, factor = true;
  double mean = 0.5;
  bool ties = false;

  std::string words() const {
    std::string text = activation + (kind == Norm::batch ? ", batch" : ", tensor");
    text += training ? ", training" : ", evaluation";
    for (const std::int64_t n : {batch, channels, rows, columns, pool}) text += " " + std::to_string(n);
    return text + (factor ? ", factor" : "") + (ties ? ", ties" : "") + ", mean " + std::to_string(mean);
  }
  const Activation& row() const {
    for (const Activation& one : activations())
      if (one.name == activation) return one;
    throw std::logic_error(activation);
  }
  at::Tensor z() const {
    const auto x = drawn({batch, channels, rows, columns}, 1);
    return ((ties ? (2 * x).round() / 2 : x) + mean).to(torch::kFloat);
  }
  at::Tensor m() const { return factor ? torch::linspace(1, 2, channels) : at::Tensor(); }
  BatchNorm norm(at::ScalarType dtype) const {
    BatchNorm all = BatchNorm::make(kind, channels, dtype);
    const torch::NoGradGuard no_grad;
    all.scale.copy_(drawn({channels}, 2).to(torch::kFloat));
    all.shift.copy_(drawn({channels}, 3).to(torch::kFloat));
    all.mean.add_(mean + 0.25);
    all.variance.mul_(2);
    return all;
  }
};

at::Tensor blocked(const at::Tensor& x) {
  return x.view({x.size(0), x.size(1) / 16, 16, x.size(2), x.size(3)}).permute({0, 1, 3, 4, 2}).contiguous();
}

kernels::Normalization kernel_of(const Case& c, const BatchNorm& norm) {
  kernels::Normalization kernel;
  kernel.scale = norm.scale;
  kernel.shift = norm.shift;
  kernel.mean = norm.mean;
  kernel.variance = norm.variance;
  kernel.training = kernel.remember = c.training;
  kernel.activation = c.row().fused;
  kernel.pool = c.pool;
  kernel.error = c.m();
  kernel.workspace = std::make_shared<kernels::Workspace>();
  return kernel;
}

/// The value, every gradient and the running statistics.
Tensors fused(const Case& c) {
  const BatchNorm norm = c.norm(torch::kFloat);
  const auto z = blocked(c.z()).requires_grad_();
  const auto value = kernels::unblocked(kernels::normalization(z, kernel_of(c, norm)));
  (value * drawn(value.sizes(), 4).to(torch::kFloat)).sum().backward();
  return {value.detach(), kernels::unblocked(z.grad()), norm.scale.grad(), norm.shift.grad(), norm.mean, norm.variance};
}

/// The same in float64, so that the differences are the kernel's rounding.
Tensors reference(const Case& c) {
  const BatchNorm norm = c.norm(torch::kDouble);
  const auto z = c.z().to(torch::kDouble).requires_grad_();
  const auto modulated = [&](const at::Tensor& t) { return c.factor ? modulate(t, c.m().to(torch::kDouble), 1) : t; };
  // The authors' order if all channels share a mean; otherwise the factor applies at z.
  const bool behind = c.kind == Norm::tensor;
  const auto normal = c.row().apply(norm.forward(behind ? z : modulated(z), c.training, c.training));
  const auto a = behind ? modulated(normal) : normal;
  const auto value = c.pool > 1 ? at::max_pool2d(a, {c.pool, c.pool}) : a;
  (value * drawn(value.sizes(), 4).to(torch::kFloat)).sum().backward();
  return {value.detach(), z.grad(), norm.scale.grad(), norm.shift.grad(), norm.mean, norm.variance};
}

void expect_equal(const Case& c, double tolerance) {
  SCOPED_TRACE(c.words());
  const char* const names[] = {"value", "dz", "scale's", "shift's", "mean", "variance"};
  const Tensors ours = fused(c), references = reference(c);
  for (std::size_t i = 0; i < references.size(); ++i)
    EXPECT_LT(((ours[i] - references[i]).norm() / references[i].norm()).item<double>(), tolerance) << names[i];
}

TEST(Normalization, EqualsItsReference) {
  for (const Case& shape : {Case{3, 16, 5, 7, 1}, Case{4, 32, 9, 8, 2}, Case{2, 48, 7, 11, 3}, Case{1, 16, 4, 4, 2}})
    for (const std::string activation : {"identity", "relu", "leaky_relu"})
      for (const Norm kind : {Norm::batch, Norm::tensor})
        for (const bool training : {true, false})
          for (const bool factor : {true, false}) {
            Case c = shape;
            c.activation = activation;
            c.kind = kind;
            c.training = training;
            c.factor = factor;
            expect_equal(c, 2e-6);
          }
}

TEST(Normalization, PoolingUsesTheFirstOfEqualMaxima) {
  for (const std::string activation : {"identity", "relu", "leaky_relu"})
    for (const std::int64_t pool : {2, 3}) {
      Case c{4, 32, 9, 12, pool, activation};
      c.ties = true;
      expect_equal(c, 2e-6);
    }
}

/// Floats near 1000 are 6e-5 apart. z itself is no more precise, but the statistics are.
TEST(Normalization, IsAccurateForALargeMeanAndASmallDeviation) {
  for (const double mean : {1e3, -1e4})
    for (const Norm kind : {Norm::batch, Norm::tensor})
      for (const std::int64_t pool : {1, 2}) {
        Case c{8, 32, 10, 10, pool, "leaky_relu", kind};
        c.mean = mean;
        expect_equal(c, 5e-6);
      }
}

TEST(Normalization, TheReferenceErrorEqualsItsEquation) {
  const BatchNorm norm = Case{4, 3, 5, 5, 1}.norm(torch::kDouble);
  const auto z = drawn({4, 3, 5, 5}, 1).requires_grad_(), delta = drawn({4, 3, 5, 5}, 2);
  const auto m = torch::linspace(1, 2, 3, torch::kDouble);
  (norm.forward(modulate(z, m, 1), true, false) * delta).sum().backward();
  const std::vector<std::int64_t> over = {0, 2, 3};
  const auto x = z.detach(), inverse = (x.var(over, false, true) + 1e-5).rsqrt(),
             normal = (x - x.mean(over, true)) * inverse;
  const auto per = [](const at::Tensor& v) { return v.detach().view({1, -1, 1, 1}); };
  const auto expected = per(m) * per(norm.scale) * inverse *
                        (delta - delta.mean(over, true) - normal * (delta * normal).mean(over, true));
  EXPECT_TRUE(torch::allclose(z.grad(), expected, 1e-11, 1e-12));
  EXPECT_TRUE(torch::allclose(norm.scale.grad(), (delta * normal).sum(over), 1e-11, 1e-12));
  EXPECT_TRUE(torch::allclose(norm.shift.grad(), delta.sum(over), 1e-11, 1e-12));
}

TEST(Normalization, GivesTheSameBitsWithAnyThreadsAndInstructionSet) {
  for (const Norm kind : {Norm::batch, Norm::tensor})
    for (const std::int64_t pool : {1, 2}) {
      const Case c{3, 80, 7, 6, pool, "leaky_relu", kind};
      const Tensors expected = fused(c);
      const auto same = [&](const std::string& where) {
        const Tensors now = fused(c);
        for (std::size_t i = 0; i < now.size(); ++i)
          EXPECT_TRUE(torch::equal(now[i], expected[i])) << where << " " << i;
      };
      const int threads = at::get_num_threads();
      for (const int other : {1, 2, 3}) {
        at::set_num_threads(other);
        same(std::to_string(other) + " threads");
      }
      at::set_num_threads(threads);
      const std::string set = kernels::instruction_set().name;
      for (const kernels::InstructionSet& other : kernels::instruction_sets()) {
        kernels::use_instruction_set(other.name);
        same(other.name);
      }
      kernels::use_instruction_set(set);
    }
}

TEST(Normalization, OverwritesOnlyTensorsWithoutOtherReferences) {
  const Case c{2, 16, 6, 6, 1};
  const BatchNorm norm = c.norm(torch::kFloat);
  const auto workspace = std::make_shared<kernels::Workspace>();
  auto kernel = kernel_of(c, norm);
  kernel.workspace = workspace;
  const auto held = blocked(c.z()).requires_grad_(), before = held.detach().clone();
  kernels::normalization(held, kernel).sum().backward();
  EXPECT_TRUE(torch::equal(held, before)) << "by its error";
  const torch::NoGradGuard no_grad;
  kernels::normalization(held, kernel);
  EXPECT_TRUE(torch::equal(held, before)) << "by its value";
  at::Tensor given = workspace->take(held.sizes(), at::kFloat);
  const void* const place = given.copy_(held).data_ptr();
  EXPECT_EQ(kernels::normalization(std::move(given), kernel).data_ptr(), place);
}

TEST(Normalization, RunsBackwardOnlyOnceAndDetectsInPlaceChanges) {
  const Case c{2, 16, 6, 6, 2};
  const BatchNorm norm = c.norm(torch::kFloat);
  const auto z = blocked(c.z()).requires_grad_();
  const auto run = [&] { return kernels::normalization(z, kernel_of(c, norm)).sum(); };
  const auto twice = run();
  twice.backward({}, true);
  EXPECT_THROW(twice.backward(), c10::Error);
  EXPECT_THROW(torch::autograd::grad({run()}, {z}, {}, true, true), c10::Error);
  const auto changed = run();
  {
    const torch::NoGradGuard no_grad;
    norm.scale.mul_(2);
  }
  EXPECT_THROW(changed.backward(), c10::Error);
}

}  // namespace
}  // namespace grapes::nn
