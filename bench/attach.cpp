// The cost that GRAPES adds to a training step, attached to torch::nn models and in the layers of grapes::nn, compared
// with the same step of torch::nn alone. Batch 64, float32, SGD, one thread.
//   grapes_bench_attach [SECONDS [NET]]      NET: mlp (784-256-256-10), tiny (8-8-8-10), resnet (32 x 32 x 3)
#include "grapes/bench/turns.h"
#include "grapes/credit/backward.h"
#include "grapes/credit/local_optimizer.h"
#include "grapes/nn/layers.h"

#include <torch/torch.h>

#include <cstdio>
#include <string>

namespace {

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
  const std::int64_t inputs = net == "tiny" ? 8 : 784, hidden = net == "tiny" ? 8 : 256;
  const bool images = net == "resnet";
  torch::manual_seed(1);
  const auto learner = [&] {
    return images ? Learner(resnet(), {64, 3, 32, 32}) : Learner(dense(inputs, hidden), {64, inputs});
  };
  Learner plain = learner(), kept = learner(), called = learner(), local = learner();
  grapes::Modulator modulator(*kept.model);
  grapes::LocalOptimizer wrapped(local.optimizer, *local.model);
  Learner none(own(inputs, hidden, "none"), {64, inputs}), grapes(own(inputs, hidden, "grapes"), {64, inputs});
  const auto make = [&] {
    grapes::bench::Group group{[&] { plain.plain_step(); }, {}};
    const auto add = [&](const char* name, std::function<void()> step) {
      grapes::bench::Timing labels;
      labels.name = name;
      group.arms.push_back({labels, std::move(step)});
    };
    add("Modulator::backward", [&] {
      modulator.backward(kept.loss());
      kept.optimizer.step();
    });
    add("grapes::backward", [&] {
      grapes::backward(called.loss(), *called.model);
      called.optimizer.step();
    });
    add("LocalOptimizer::step", [&] {
      local.loss().backward();
      wrapped.step();
    });
    if (!images) {
      add("grapes::nn, none", [&] { none.plain_step(); });
      add("grapes::nn, grapes", [&] { grapes.plain_step(); });
    }
    return group;
  };
  std::printf("%-22s %20s %22s %8s\n", net.c_str(), "step", "over loss.backward()", "n");
  for (const grapes::bench::Timing& t :
       grapes::bench::take_turns(make, {.seconds = seconds}, grapes::kernels::Pool::blas, images ? 2 : 12))
    std::printf("%-22s %9.1f ± %5.1f µs %22.3f %8d\n", t.name.c_str(), t.step_us, t.step_spread_us, t.ratio,
                static_cast<int>(t.n));
}
