#pragma once

#include "grapes/credit/shard.h"
#include "grapes/nn/layer.h"
#include "grapes/nn/network.h"

#include <torch/torch.h>

#include <barrier>
#include <functional>
#include <thread>
#include <vector>

// Shared by the tests of nn.
namespace grapes::nn {

inline const auto f64 = torch::kDouble;

inline at::Tensor drawn(at::IntArrayRef shape, std::uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  return torch::randn(shape, generator, f64);
}

inline Pass training(bool plain = false) {
  Pass pass;
  pass.training = true;
  pass.seed = 3;
  pass.plain = plain;
  return pass;
}

/// Options of a float64 network that learns by this route and modulation.
inline Options rule_options(const std::string& model, const std::string& route = "bp",
                            const std::string& modulation = "none") {
  Options options;
  options.model = parse_model(model);
  options.precision.dtype = at::kDouble;
  options.rule.route = route;
  options.rule.modulation = modulation;
  options.rule.constants = {1.5};  // of the modulations with numbers
  return options;
}

/// dL/dx of conv2d(x, W) with padding 1, for the error `delta`.
inline at::Tensor back(const at::Tensor& delta, const at::Tensor& W) {
  return at::conv_transpose2d(delta, W, {}, 1, 1);
}

/// dL/dW of the same convolution.
inline at::Tensor to_weight(const at::Tensor& delta, const at::Tensor& x, std::int64_t kernel) {
  const auto W = torch::zeros({delta.size(1), x.size(1), kernel, kernel}, f64).requires_grad_();
  (at::conv2d(x, W, {}, 1, kernel / 2) * delta).sum().backward();
  return W.grad();
}

/// Runs `work` in threads that stand for the processes of one model.
inline void in_threads(int size, const std::function<void(const Processes&)>& work) {
  std::vector<at::Tensor> given(static_cast<std::size_t>(size));
  std::barrier meeting(size);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      work({rank, size, [&](const at::Tensor& x) {
              const at::NoGradGuard no_grad;
              given[static_cast<std::size_t>(rank)] = x.clone();
              meeting.arrive_and_wait();
              x.zero_();
              for (const at::Tensor& one : given) x.add_(one);
              meeting.arrive_and_wait();
            }});
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace grapes::nn
