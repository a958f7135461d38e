// What GRAPES adds to a training step: attached to torch::nn models, and in the layers of grapes::nn. Batch 64,
// float32, SGD, one thread. The arms take turns, a few steps each, so that a machine that is disturbed disturbs them
// alike.
//   grapes_bench_attach [SECONDS [NET]]      NET: mlp (784-256-256-10), tiny (8-8-8-10), resnet (32 x 32 x 3)
#include "grapes/credit/backward.h"
#include "grapes/credit/local_optimizer.h"
#include "grapes/kernels/threads.h"
#include "grapes/nn/layers.h"

#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Arm {
  std::string name;
  std::function<void()> step;
  std::vector<double> us = {}, rounds = {};  // every step; the median of each round
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct ResidualImpl : torch::nn::Module {
  ResidualImpl(std::int64_t in, std::int64_t out, std::int64_t stride) {
    using torch::nn::BatchNorm2d, torch::nn::Conv2d, torch::nn::Conv2dOptions, torch::nn::ReLU;
    body = register_module(
        "body", torch::nn::Sequential(Conv2d(Conv2dOptions(in, out, 3).stride(stride).padding(1).bias(false)),
                                      BatchNorm2d(out), ReLU(torch::nn::ReLUOptions(true)),
                                      Conv2d(Conv2dOptions(out, out, 3).padding(1).bias(false)), BatchNorm2d(out)));
    if (stride > 1) skip = register_module("skip", Conv2d(Conv2dOptions(in, out, 1).stride(stride).bias(false)));
  }
  at::Tensor forward(const at::Tensor& x) { return at::relu(body->forward(x) + (skip ? skip->forward(x) : x)); }
  torch::nn::Sequential body;
  torch::nn::Conv2d skip = nullptr;
};
TORCH_MODULE(Residual);

torch::nn::Sequential resnet() {
  using namespace torch::nn;
  return Sequential(Conv2d(Conv2dOptions(3, 16, 3).padding(1).bias(false)), BatchNorm2d(16), ReLU(ReLUOptions(true)),
                    Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2),
                    AdaptiveAvgPool2d(AdaptiveAvgPool2dOptions(1)), Flatten(), Linear(64, 10));
}

torch::nn::Sequential dense(std::int64_t inputs, std::int64_t hidden) {
  using namespace torch::nn;
  return Sequential(Linear(inputs, hidden), ReLU(), Linear(hidden, hidden), ReLU(), Linear(hidden, 10));
}

torch::nn::Sequential own(std::int64_t inputs, std::int64_t hidden, const std::string& modulation) {
  grapes::Rule credit;
  credit.modulation = modulation;
  return torch::nn::Sequential(grapes::nn::Linear(inputs, hidden, credit), torch::nn::ReLU(),
                               grapes::nn::Linear(hidden, hidden, credit), torch::nn::ReLU(),
                               grapes::nn::Linear(hidden, 10, grapes::nn::plain()));
}

struct Learner {
  Learner(torch::nn::Sequential net, at::IntArrayRef shape)
      : model(std::move(net)), optimizer(model->parameters(), torch::optim::SGDOptions(1e-4)), x(at::rand(shape)) {}
  torch::nn::Sequential model;
  torch::optim::SGD optimizer;
  at::Tensor x, labels = at::arange(64).remainder(10);

  at::Tensor loss() {
    optimizer.zero_grad();
    return torch::nn::functional::cross_entropy(model->forward(x), labels);
  }
  void plain_step() {
    loss().backward();
    optimizer.step();
  }
};

}  // namespace

int main(int count, char** words) {
  const double seconds = count > 1 ? std::stod(words[1]) : 10;
  const std::string net = count > 2 ? words[2] : "mlp";
  grapes::kernels::set_threads(1);  // of the BLAS too
  torch::manual_seed(1);
  const std::int64_t inputs = net == "tiny" ? 8 : 784, hidden = net == "tiny" ? 8 : 256;
  const bool images = net == "resnet";
  const auto learner = [&] {
    return images ? Learner(resnet(), {64, 3, 32, 32}) : Learner(dense(inputs, hidden), {64, inputs});
  };
  Learner plain = learner(), kept = learner(), called = learner(), local = learner();
  grapes::Modulator modulator(*kept.model);
  grapes::LocalOptimizer wrapped(local.optimizer, *local.model);
  std::vector<Arm> arms = {{"loss.backward()", [&] { plain.plain_step(); }},
                           {"Modulator::backward",
                            [&] {
                              modulator.backward(kept.loss());
                              kept.optimizer.step();
                            }},
                           {"grapes::backward",
                            [&] {
                              grapes::backward(called.loss(), *called.model);
                              called.optimizer.step();
                            }},
                           {"LocalOptimizer::step", [&] {
                              local.loss().backward();
                              wrapped.step();
                            }}};
  Learner none(own(inputs, hidden, "none"), {64, inputs}), grapes(own(inputs, hidden, "grapes"), {64, inputs});
  if (!images) {
    arms.push_back({"grapes::nn, none", [&] { none.plain_step(); }});
    arms.push_back({"grapes::nn, grapes", [&] { grapes.plain_step(); }});
  }
  const int warm_up = images ? 1 : 3, steps = images ? 2 : 12;
  const auto start = Clock::now();
  do {
    for (Arm& arm : arms) {
      std::vector<double> round;
      for (int i = 0; i < warm_up + steps; ++i) {
        const auto begin = Clock::now();
        arm.step();
        if (i >= warm_up) round.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
      }
      arm.rounds.push_back(median(round));
      arm.us.insert(arm.us.end(), round.begin(), round.end());
    }
  } while (std::chrono::duration<double>(Clock::now() - start).count() < seconds);
  std::printf("%-22s %10s %24s %8s\n", net.c_str(), "step", "over loss.backward()", "n");
  for (const Arm& arm : arms) {
    std::vector<double> ratios;
    for (std::size_t r = 0; r < arm.rounds.size(); ++r) ratios.push_back(arm.rounds[r] / arms[0].rounds[r]);
    std::sort(ratios.begin(), ratios.end());
    std::printf("%-22s %7.1f µs %9.3f [%.3f, %.3f] %8zu\n", arm.name.c_str(), median(arm.us), median(ratios),
                ratios[ratios.size() / 4], ratios[ratios.size() * 3 / 4], arm.us.size());
  }
}
