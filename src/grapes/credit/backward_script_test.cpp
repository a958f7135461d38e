// TorchScript models, written here and loaded from a file that Python wrote.
#include "grapes/core/modulate.h"
#include "grapes/core/responsibility.h"
#include "grapes/credit/backward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>
#include <torch/torch.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace grapes {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class BackwardScript : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              ("grapes-script-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::create_directories(folder_);
    torch::manual_seed(6);
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// Three layers with enough operations for the graph optimizer to fuse them into one node.
  torch::jit::Module written_and_loaded() {
    torch::jit::Module model("chain");
    const auto parameter = [&](const char* name, at::IntArrayRef shape) {
      model.register_parameter(name, at::randn(shape, at::kDouble).requires_grad_(), false);
    };
    parameter("W1", {5, 4}), parameter("b1", {5}), parameter("W2", {3, 5}), parameter("b2", {3}),
        parameter("W3", {2, 3});
    model.define(R"(
      def forward(self, x):
        h = torch.tanh(torch.matmul(x, self.W1.t()) + self.b1)
        h = torch.tanh(torch.matmul(h, self.W2.t()) + self.b2)
        return torch.matmul(h, self.W3.t())
    )");
    model.save((folder_ / "chain.pt").string());
    return torch::jit::load((folder_ / "chain.pt").string());
  }

  fs::path folder_;
};

void expect_gradients(const torch::jit::Module& model, const at::Tensor& ours, const at::Tensor& twin) {
  std::vector<at::Tensor> gradients;
  backward(ours, model);
  for (const auto& item : model.named_parameters()) {
    gradients.push_back(item.value.grad().clone());
    item.value.mutable_grad() = at::Tensor();
  }
  twin.backward();
  std::size_t i = 0;
  for (const auto& item : model.named_parameters()) {
    EXPECT_LE((gradients[i] - item.value.grad()).abs().max().item<double>(), 1e-12) << item.name;
    item.value.mutable_grad() = at::Tensor();
    ++i;
  }
}

std::map<std::string, at::Tensor> parameters(const torch::jit::Module& model) {
  std::map<std::string, at::Tensor> all;
  for (const auto& item : model.named_parameters()) all[item.name] = item.value;
  return all;
}

TEST_F(BackwardScript, ModulatesAScriptModelFromAFile) {
  const torch::jit::GraphOptimizerEnabledGuard plain(false);
  torch::jit::Module model = written_and_loaded();
  auto p = parameters(model);
  const at::Tensor x = at::randn({6, 4}, at::kDouble);
  for (int batch = 0; batch < 4; ++batch) {
    at::Tensor h = at::tanh(modulate(x.mm(p["W1"].t()) + p["b1"], factor(p["W1"])));
    h = at::tanh(modulate(h.mm(p["W2"].t()) + p["b2"], factor(p["W2"])));
    expect_gradients(model, model.forward({x}).toTensor().pow(2).sum(), h.mm(p["W3"].t()).pow(2).sum());
  }
}

TEST_F(BackwardScript, AFusedGraphThatHidesItsLayersIsAnError) {
  const torch::jit::GraphOptimizerEnabledGuard optimized(true);
  torch::jit::Module model = written_and_loaded();
  const at::Tensor x = at::randn({6, 4}, at::kDouble);
  std::string said;
  for (int batch = 0; batch < 4 && said.empty(); ++batch) {
    try {
      backward(model.forward({x}).toTensor().pow(2).sum(), model);
    } catch (const c10::Error& error) {
      said = error.what_without_backtrace();
    }
  }
  EXPECT_THAT(said, HasSubstr("Call torch::jit::setGraphExecutorOptimize(false) before its first forward pass"));
}

TEST_F(BackwardScript, ModulatesAScriptModelThatPythonSaved) {
  std::ofstream(folder_ / "make.py") << R"(
import sys, torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose1d(2, 2, 3, groups=2)
        self.conv = nn.Conv1d(2, 4, 3)
        self.rnn = nn.RNN(4, 3, batch_first=True)
        self.out = nn.Linear(3, 2)
    def forward(self, x):
        h = torch.relu_(self.conv(torch.relu(self.up(x))))
        y, s = self.rnn(h.transpose(1, 2))
        return self.out(y[:, -1])
torch.manual_seed(1)
torch.jit.script(Net().double()).save(sys.argv[1])
)";
  const fs::path file = folder_ / "net.pt";
  const std::string command =
      "/usr/bin/python3 " + (folder_ / "make.py").string() + " " + file.string() + " 2>/dev/null";
  if (std::system(command.c_str()) != 0 || !fs::exists(file)) GTEST_SKIP() << "there is no Python with torch";

  const torch::jit::GraphOptimizerEnabledGuard plain(false);
  torch::jit::Module model = torch::jit::load(file.string());
  auto p = parameters(model);
  const at::Tensor x = at::randn({3, 2, 8}, at::kDouble);
  const at::Tensor up_m =
      factor_from(p["up.weight"].detach().abs().sum({1, 2}));  // one group per channel, so r is computed here
  for (int batch = 0; batch < 3; ++batch) {
    at::Tensor h = at::relu(modulate(at::conv_transpose1d(x, p["up.weight"], p["up.bias"], 1, 0, 0, 2), up_m));
    h = at::relu(modulate(at::conv1d(h, p["conv.weight"], p["conv.bias"]), factor(p["conv.weight"]))).transpose(1, 2);
    const at::Tensor m = factor(p["rnn.weight_ih_l0"], p["rnn.weight_hh_l0"]);
    const at::Tensor R = modulate(p["rnn.weight_hh_l0"], m, 0), c = modulate(p["rnn.bias_hh_l0"], m, 0);
    at::Tensor y = at::zeros({3, 3}, at::kDouble);
    for (std::int64_t t = 0; t < h.size(1); ++t)
      y = at::tanh(modulate(at::linear(h.select(1, t), p["rnn.weight_ih_l0"], p["rnn.bias_ih_l0"]), m) +
                   at::linear(y, R, c));
    expect_gradients(model, model.forward({x}).toTensor().pow(2).sum(),
                     at::linear(y, p["out.weight"], p["out.bias"]).pow(2).sum());
  }
}

}  // namespace
}  // namespace grapes
