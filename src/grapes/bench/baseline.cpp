#include "grapes/bench/baseline.h"

#include "grapes/base/random.h"
#include "grapes/bench/turns.h"
#include "grapes/kernels/gemm.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace grapes::bench {
namespace {

/// Returns C = A B by the fastest library, whose name it adds to `used`.
template <class T>
std::function<void()> fastest(const kernels::Matrix<const T>& A, const kernels::Matrix<const T>& B,
                              const kernels::Matrix<T>& C, std::set<std::string>& used) {
  struct Try {
    double us;
    std::string name;
    std::function<void()> run;
  };
  std::vector<Try> tries;
  for (const kernels::GemmRow<T>& library : kernels::gemms<T>())
    tries.push_back({0, library.name, [=, gemm = library.gemm] { gemm(1, A, B, 0, C); }});
  for (Try& each : tries) {
    std::vector<double> us = times_in_a_row(9, each.run);
    std::sort(us.begin(), us.end());
    each.us = quantile(us, 0.25);
  }
  const Try& best = *std::ranges::min_element(tries, {}, &Try::us);
  used.insert(best.name);
  return best.run;
}

template <class T>
Products products_of(const std::vector<ProductShape>& shapes, at::ScalarType dtype) {
  std::vector<at::Tensor> memory;
  const auto matrix = [&memory](const at::Tensor& t) {
    memory.push_back(t);
    return kernels::Matrix<T>{t.data_ptr<T>(), t.size(0), t.size(1), t.size(1)};
  };
  const auto read = [&](const at::Tensor& t) {
    const auto m = matrix(t);
    return kernels::Matrix<const T>{m.data, m.rows, m.columns, m.stride};
  };
  std::set<std::string> used;
  std::vector<std::function<void()>> forward, backward;  // the latter from the first layer to the last
  for (const ProductShape& s : shapes) {
    const auto h = read(numbers({s.rows, s.in}, "h", dtype)), W = read(numbers({s.out, s.in}, "W", dtype)),
               delta = read(numbers({s.rows, s.out}, "delta", dtype));
    const auto z = matrix(at::empty({s.rows, s.out}, dtype)), gradient = matrix(at::empty({s.out, s.in}, dtype));
    forward.push_back(fastest(h, kernels::transposed(W), z, used));
    backward.push_back(fastest(kernels::transposed(delta), h, gradient, used));
    if (s.below) backward.push_back(fastest(delta, W, matrix(at::empty({s.rows, s.in}, dtype)), used));
  }
  return {[forward, backward, memory] {
            for (const auto& run : forward) run();
            for (auto run = backward.rbegin(); run != backward.rend(); ++run) (*run)();
          },
          fmt::format("{}", fmt::join(used, " and "))};
}

}  // namespace

Products products(const std::vector<ProductShape>& layers, at::ScalarType dtype) {
  const kernels::FlushDenormals flush;
  return dtype == at::kDouble ? products_of<double>(layers, dtype) : products_of<float>(layers, dtype);
}

at::Tensor numbers(at::IntArrayRef shape, const std::string& name, at::ScalarType dtype) {
  Random random(stream_seed(1, name));
  at::Tensor values = at::empty(shape, at::kDouble);
  for (std::int64_t i = 0; i < values.numel(); ++i) values.data_ptr<double>()[i] = random.normal();
  return values.to(dtype);
}

at::ScalarType dtype_of(const std::string& precision) { return precision == "float64" ? at::kDouble : at::kFloat; }

}  // namespace grapes::bench
