// What grapes::backward adds to a step of a torch::nn model: 784-256-256-10, batch 64, float32, one thread. The arms
// take turns, a few steps each, so that a machine that is disturbed disturbs them alike.
//   grapes_bench_attach [SECONDS [INPUTS HIDDEN]]
#include "grapes/credit/backward.h"
#include "grapes/credit/local_optimizer.h"

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

struct Learner {
  Learner(std::int64_t inputs, std::int64_t hidden)
      : model(torch::nn::Linear(inputs, hidden), torch::nn::ReLU(), torch::nn::Linear(hidden, hidden),
              torch::nn::ReLU(), torch::nn::Linear(hidden, 10)),
        optimizer(model->parameters(), torch::optim::SGDOptions(1e-4)),
        x(at::rand({64, inputs})) {}
  torch::nn::Sequential model;
  torch::optim::SGD optimizer;
  at::Tensor x, labels = at::arange(64).remainder(10);

  at::Tensor loss() {
    optimizer.zero_grad();
    return torch::nn::functional::cross_entropy(model->forward(x), labels);
  }
};

}  // namespace

int main(int count, char** words) {
  const double seconds = count > 1 ? std::stod(words[1]) : 10;
  at::set_num_threads(1);
  torch::manual_seed(1);
  const std::int64_t inputs = count > 3 ? std::stoll(words[2]) : 784, hidden = count > 3 ? std::stoll(words[3]) : 256;
  Learner plain(inputs, hidden), kept(inputs, hidden), called(inputs, hidden), local(inputs, hidden);
  grapes::Modulator modulator(*kept.model);
  grapes::LocalOptimizer wrapped(local.optimizer, *local.model);
  std::vector<Arm> arms = {{"loss.backward()",
                            [&] {
                              plain.loss().backward();
                              plain.optimizer.step();
                            }},
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
  const auto start = Clock::now();
  do {
    for (Arm& arm : arms) {
      std::vector<double> round;
      for (int i = 0; i < 3 + 12; ++i) {
        const auto begin = Clock::now();
        arm.step();
        if (i >= 3) round.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
      }
      arm.rounds.push_back(median(round));
      arm.us.insert(arm.us.end(), round.begin(), round.end());
    }
  } while (std::chrono::duration<double>(Clock::now() - start).count() < seconds);
  std::printf("%-22s %10s %24s %8s\n",
              (std::to_string(inputs) + "-" + std::to_string(hidden) + "-" + std::to_string(hidden) + "-10").c_str(),
              "step", "over loss.backward()", "n");
  for (const Arm& arm : arms) {
    std::vector<double> ratios;
    for (std::size_t r = 0; r < arm.rounds.size(); ++r) ratios.push_back(arm.rounds[r] / arms[0].rounds[r]);
    std::sort(ratios.begin(), ratios.end());
    std::printf("%-22s %7.1f µs %9.3f [%.3f, %.3f] %8zu\n", arm.name.c_str(), median(arm.us), median(ratios),
                ratios[ratios.size() / 4], ratios[ratios.size() * 3 / 4], arm.us.size());
  }
}
