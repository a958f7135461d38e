// One layer whose weight is divided over processes, which LibTorch's c10d and Gloo connect. Start it with RANK,
// WORLD_SIZE, MASTER_ADDR and MASTER_PORT in the environment, as torchrun does.
#include <grapes/grapes.h>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/torch.h>

#include <cstdlib>
#include <iostream>

int main() {
  const int rank = std::atoi(std::getenv("RANK")), size = std::atoi(std::getenv("WORLD_SIZE"));
  c10d::TCPStoreOptions server;
  server.port = static_cast<std::uint16_t>(std::atoi(std::getenv("MASTER_PORT")));
  server.isServer = rank == 0;
  const auto store = c10::make_intrusive<c10d::TCPStore>(std::getenv("MASTER_ADDR"), server);
  auto options = c10d::ProcessGroupGloo::Options::create(std::chrono::seconds(60));
  options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(std::getenv("MASTER_ADDR")));
  c10d::ProcessGroupGloo gloo(store, rank, size, options);

  const grapes::Processes all{rank, size, [&](const at::Tensor& x) {
                                std::vector<at::Tensor> tensors = {x};
                                gloo.allreduce(tensors)->wait();
                              }};
  torch::manual_seed(1);  // the same in all processes
  torch::nn::Sequential model(grapes::nn::ShardedLinear(2, 512, grapes::Split::rows, all), torch::nn::Tanh(),
                              torch::nn::Linear(512, 1));
  torch::optim::Adam optimizer(model->parameters(), 0.01);
  const auto x = torch::randint(2, {64, 2}, torch::kFloat), y = x.sum(1, true).remainder(2);  // exclusive or
  for (int step = 0; step < 1000; ++step) {
    optimizer.zero_grad();
    grapes::backward(torch::mse_loss(model->forward(x), y), *model);
    optimizer.step();
  }
  const int correct = ((model->forward(x) > 0.5) == (y > 0.5)).sum().item<int>();
  std::cout << "rank " << rank << ": " << model->parameters()[0].size(0) << " of 512 units, correct: " << correct
            << " of 64\n";
}
