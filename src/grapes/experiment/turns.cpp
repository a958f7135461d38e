#include "grapes/experiment/turns.h"

#include "grapes/base/random.h"
#include "grapes/kernels/gemm.h"
#include "grapes/kernels/threads.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace grapes::experiment {

using Clock = std::chrono::steady_clock;

at::Tensor numbers(at::IntArrayRef shape, const std::string& name, at::ScalarType dtype) {
  Random random(stream_seed(1, name));
  at::Tensor values = at::empty(shape, at::kDouble);
  for (std::int64_t i = 0; i < values.numel(); ++i) values.data_ptr<double>()[i] = random.normal();
  return values.to(dtype);
}

void Turns::take(double seconds) {
  const int warm = (timed_ + 3) / 4;
  const auto start = Clock::now();
  do {
    for (Runner& runner : runners_) {
      kernels::set_threads(runner.threads, pool_);
      for (int i = 0; i < warm + timed_; ++i) {
        const auto begin = Clock::now();
        runner.run();
        if (i >= warm) runner.us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
      }
    }
  } while (std::chrono::duration<double>(Clock::now() - start).count() < seconds);
  for (Runner& runner : runners_) std::sort(runner.us.begin(), runner.us.end());
}

double Turns::quantile(std::size_t index, double q) const {
  const std::vector<double>& us = runners_[index].us;
  return us[static_cast<std::size_t>(std::lround(q * static_cast<double>(us.size() - 1)))];
}

void Turns::fill(Timing& timing, std::size_t step, std::size_t floor) const {
  timing.threads = runners_[step].threads;
  timing.step_us = quantile(step, 0.5);
  timing.floor_us = quantile(floor, 0.5);
  timing.step_spread = (quantile(step, 0.75) - quantile(step, 0.25)) / 2;
  timing.floor_spread = (quantile(floor, 0.75) - quantile(floor, 0.25)) / 2;
  timing.ratio = timing.step_us / timing.floor_us;
  timing.n = static_cast<std::int64_t>(runners_[step].us.size());
}

namespace {

template <class T>
std::function<void()> products_of(const std::vector<ProductShape>& shapes, at::ScalarType dtype) {
  struct Layer {
    at::Tensor h, W, a, delta, below, gradient;
  };
  auto layers = std::make_shared<std::vector<Layer>>();
  for (const ProductShape& s : shapes)
    layers->push_back({numbers({s.rows, s.in}, "h", dtype), numbers({s.out, s.in}, "W", dtype),
                       at::empty({s.rows, s.out}, dtype), numbers({s.rows, s.out}, "delta", dtype),
                       s.below ? at::empty({s.rows, s.in}, dtype) : at::Tensor(), at::empty({s.out, s.in}, dtype)});
  return [layers] {
    const auto matrix = [](const at::Tensor& t) {
      return kernels::Matrix<T>{t.data_ptr<T>(), t.size(0), t.size(1), t.size(1)};
    };
    const auto read = [](const at::Tensor& t) {
      return kernels::Matrix<const T>{t.data_ptr<T>(), t.size(0), t.size(1), t.size(1)};
    };
    for (const Layer& layer : *layers)
      kernels::gemm<T>(1, read(layer.h), kernels::transposed(read(layer.W)), 0, matrix(layer.a));
    for (std::size_t l = layers->size(); l-- > 0;) {
      const Layer& layer = (*layers)[l];
      if (layer.below.defined()) kernels::gemm<T>(1, read(layer.delta), read(layer.W), 0, matrix(layer.below));
      kernels::gemm<T>(1, kernels::transposed(read(layer.delta)), read(layer.h), 0, matrix(layer.gradient));
    }
  };
}

}  // namespace

std::function<void()> products(const std::vector<ProductShape>& layers, at::ScalarType dtype) {
  return dtype == at::kDouble ? products_of<double>(layers, dtype) : products_of<float>(layers, dtype);
}

std::string joined(const std::vector<std::int64_t>& nodes) {
  if (nodes.size() > 6 && std::all_of(nodes.begin() + 2, nodes.end() - 1, [&](auto n) { return n == nodes[1]; }))
    return fmt::format("{}-{}x{}-{}", nodes.front(), nodes.size() - 2, nodes[1], nodes.back());
  return fmt::format("{}", fmt::join(nodes, "-"));
}

}  // namespace grapes::experiment
