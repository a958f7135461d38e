#include "grapes/base/error.h"
#include "grapes/bench/baseline.h"
#include "grapes/bench/turns.h"
#include "grapes/core/responsibility.h"
#include "grapes/kernels/update.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstring>
#include <memory>

namespace grapes::bench {
namespace {

/// Times a fused operation and its reference against a copy of as many bytes.
std::vector<Timing> over_copy(const Timing& labels, std::int64_t bytes, const Options& options,
                              const std::function<void()>& fused, const std::function<void()>& plain) {
  return take_turns(
      [&] {
        const auto from = std::make_shared<std::vector<char>>(static_cast<std::size_t>(bytes / 2), char{1});
        const auto into = std::make_shared<std::vector<char>>(from->size());
        Group group{[from, into] { std::memcpy(into->data(), from->data(), from->size()); },
                    {{labels, fused}, {labels, plain}},
                    false};
        group.arms[0].labels.variant = "fused";
        group.arms[1].labels.variant = "plain";
        return group;
      },
      options);
}

void require_close(const at::Tensor& ours, const at::Tensor& reference, const std::string& what) {
  const double difference = (ours - reference).abs().max().item<double>();
  const double allowed = ours.scalar_type() == at::kDouble ? 1e-12 : 2e-6;
  if (!(difference <= allowed))
    throw RunError(fmt::format("bench: fused {} differs from its reference by {:g}, more than {:g}; it is not timed",
                               what, difference, allowed));
}

/// An update rule on one weight, fused or by tensor operations.
struct Update {
  Update(const std::string& name, at::ScalarType dtype, bool plain)
      : W(numbers({256, 784}, "W", dtype), plain ? nullptr : std::make_shared<kernels::RowSums>()),
        g(numbers({256, 784}, "g", dtype)),
        state1(at::zeros_like(g)),
        state2(at::zeros_like(g)) {
    const kernels::Rate rate{1e-5};
    const kernels::AdamNumbers adam{0.9, 0.999, 1e-8, 0.1, 0.001};
    const auto pick = [&](auto fused_rule, auto plain_rule, auto... rest) {
      run = [=, this] { plain ? plain_rule(W, g, rest...) : fused_rule(W, g, rest...); };
    };
    if (name == "sgd") pick(kernels::sgd, kernels::plain::sgd, rate);
    if (name == "momentum") pick(kernels::momentum, kernels::plain::momentum, state1, rate, 0.9);
    if (name == "nag") pick(kernels::nag, kernels::plain::nag, state1, state2, rate, 0.9);
    if (name == "rmsprop") pick(kernels::rmsprop, kernels::plain::rmsprop, state1, rate, 0.9, 1e-8);
    if (name == "adam") pick(kernels::adam, kernels::plain::adam, state1, state2, rate, adam);
  }
  kernels::Parameter W;
  at::Tensor g, state1, state2;
  std::function<void()> run;
};

}  // namespace

std::vector<Timing> update(const std::string& optimizer, const std::string& precision, const Options& options) {
  const kernels::FlushDenormals flush;
  const at::ScalarType dtype = dtype_of(precision);
  Update fused(optimizer, dtype, false), plain(optimizer, dtype, true);
  for (int i = 0; i < 2; ++i) {
    fused.run();
    plain.run();
  }
  require_close(fused.W.value, plain.W.value, optimizer);
  Timing labels;
  labels.name = "256x784";
  labels.optimizer = optimizer;
  labels.precision = precision;
  // It reads and writes W, reads g, and reads and writes each state (nag only reads its second state).
  const std::int64_t tensors = optimizer == "sgd" ? 3 : optimizer == "adam" ? 7 : optimizer == "nag" ? 6 : 5;
  return over_copy(labels, tensors * fused.g.numel() * static_cast<std::int64_t>(fused.g.element_size()), options,
                   fused.run, plain.run);
}

std::vector<Timing> factor(const std::vector<std::int64_t>& shape, const std::string& precision,
                           const Options& options) {
  const at::Tensor W = numbers(shape, "W", dtype_of(precision));
  const auto plain = [W] { return factor_from(kernels::plain::abs_sums(W)); };
  require_close(grapes::factor(W), plain(), "factor");
  Timing labels;
  labels.name = fmt::format("{}", fmt::join(shape, "x"));
  labels.precision = precision;
  // It only reads, so a copy of half as many bytes moves as many.
  return over_copy(
      labels, W.numel() * static_cast<std::int64_t>(W.element_size()), options, [W] { grapes::factor(W); },
      [plain] { plain(); });
}

}  // namespace grapes::bench
