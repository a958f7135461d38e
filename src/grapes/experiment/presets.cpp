#include "grapes/experiment/presets.h"

#include "grapes/base/table.h"
#include "grapes/experiment/toml.h"

namespace grapes::experiment {
namespace {

const std::string rate_coded = R"(
model = "snn:250,250"
membrane-decay = 0.9
membrane-activation = "leaky_relu"
encoder = "bernoulli"
time-steps = 20
peak-rate = 0.3
readout = "mean_rate"
loss = "mse"
optimizer = "sgd"
learning-rate = 0.5
batch-size = 15
grid = [0.1, 0.2, 0.5, 1]
)";

/// The network of Mammoth for MNIST (Buzzega et al. 2020). The arms below have the settings of its file
/// utils/best_args.py.
const std::string mammoth_network = R"(
data = "mnist"
validation-split = 0
normalize = "unit"
epochs = 1
model = "mlp:100,100"
bias = true
initializer = "xavier"
optimizer = "sgd"
learning-rate = 0.2
)";

/// Permuted and Rotated MNIST. Mammoth's sgd is bp here. Its penalty of EWC is λ Σ F (θ - θ_k)², without our half.
const std::string mammoth_mnist = mammoth_network + R"(
tasks = 20
batch-size = 128
replay-batch = 128
fisher-examples = 0
fisher-classes = "true"
ewc-strength = 1.4
ewc-decay = 1
si-damping = 1
[arm.ewc-online]
method = "online-ewc"
learning-rate = 0.1
[arm.er-200]
method = "replay"
replay-buffer = 200
[arm.er-500]
method = "replay"
replay-buffer = 500
[arm.er-5120]
method = "replay"
replay-buffer = 5120
[arm.a-gem-200]
method = "a-gem"
learning-rate = 0.1
replay-buffer = 200
[arm.der-200]
method = "der"
replay-buffer = 200
der-alpha = 1
[arm.der-5120]
method = "der"
replay-buffer = 5120
der-alpha = 0.5
)";

const std::string mammoth_mnist_360 = mammoth_network + R"(
tasks = 27
batch-size = 16
[arm.sgd]
learning-rate = 0.1
batch-size = 4
[arm.er-200]
method = "replay"
replay-buffer = 200
batch-size = 1
replay-batch = 16
[arm.er-500]
method = "replay"
replay-buffer = 500
batch-size = 1
replay-batch = 16
[arm.er-1000]
method = "replay"
replay-buffer = 1000
batch-size = 4
replay-batch = 16
[arm.der-200]
method = "der"
learning-rate = 0.1
replay-buffer = 200
replay-batch = 64
der-alpha = 0.5
[arm.der-500]
method = "der"
replay-buffer = 500
replay-batch = 16
der-alpha = 0.5
[arm.der-1000]
method = "der"
learning-rate = 0.1
replay-buffer = 1000
batch-size = 8
replay-batch = 16
der-alpha = 0.5
[arm."der++-200"]
method = "der++"
replay-buffer = 200
replay-batch = 16
der-alpha = 0.5
der-beta = 1
[arm."der++-500"]
method = "der++"
replay-buffer = 500
replay-batch = 16
der-alpha = 0.5
der-beta = 1
[arm."der++-1000"]
method = "der++"
replay-buffer = 1000
replay-batch = 128
der-alpha = 0.2
der-beta = 1
)";

/// The arms that differ between Permuted and Rotated MNIST.
const std::string mammoth_permuted = R"(
[arm.si]
method = "si"
learning-rate = 0.1
si-strength = 0.5
[arm.a-gem-500]
method = "a-gem"
learning-rate = 0.1
replay-buffer = 500
[arm.a-gem-5120]
method = "a-gem"
learning-rate = 0.1
replay-buffer = 5120
[arm.der-500]
method = "der"
replay-buffer = 500
der-alpha = 1
[arm."der++-200"]
method = "der++"
learning-rate = 0.1
replay-buffer = 200
der-alpha = 1
der-beta = 1
[arm."der++-500"]
method = "der++"
replay-buffer = 500
der-alpha = 1
der-beta = 0.5
[arm."der++-5120"]
method = "der++"
replay-buffer = 5120
der-alpha = 0.5
der-beta = 1
)";
const std::string mammoth_rotated = R"(
[arm.si]
method = "si"
learning-rate = 0.1
si-strength = 1
[arm.a-gem-500]
method = "a-gem"
learning-rate = 0.3
replay-buffer = 500
[arm.a-gem-5120]
method = "a-gem"
learning-rate = 0.3
replay-buffer = 5120
[arm.der-500]
method = "der"
replay-buffer = 500
der-alpha = 0.5
[arm."der++-200"]
method = "der++"
learning-rate = 0.1
replay-buffer = 200
der-alpha = 1
der-beta = 0.5
[arm."der++-500"]
method = "der++"
replay-buffer = 500
der-alpha = 0.5
der-beta = 1
[arm."der++-5120"]
method = "der++"
replay-buffer = 5120
der-alpha = 0.5
der-beta = 0.5
)";

}  // namespace

const std::vector<Preset>& presets() {
  static const std::vector<Preset> rows = {
      {"mnist-rate", "rate-coded MNIST, 784-250-250-10 spiking neural units (Woźniak et al. 2020)",
       "data = \"mnist\"" + rate_coded},
      {"fashion-mnist-rate", "the same network on rate-coded Fashion-MNIST", "data = \"fashion-mnist\"" + rate_coded},
      {"jsb", "JSB chorales: predict the next time step with 88-150 spiking neural units and 88 outputs", R"(
data = "jsb"
model = "snn:150"
initializer = "nokland"
membrane-decay = 0.8
bias = true
optimizer = "adam"
learning-rate = 0.01
batch-size = 16
epochs = 200
patience = 15
grid = [0.001, 0.003, 0.01]
)"},
      {"cifar10-resnet9", "CIFAR-10 with the authors' residual network (Dellaferrera et al. 2022)", R"(
data = "cifar10"
model = "resnet9"
initializer = "he_truncated"
normalize = "channel"
augment = "crop=4,flip=0.5"
dropout = 0.2
optimizer = "sgd"
learning-rate = 0.003
schedule = "cosine"
batch-size = 64
epochs = 20
grid = [0.0003, 0.001, 0.003, 0.01]
)"},
      {"nmnist", "N-MNIST: digits recorded by an event camera, a thousand recordings with 25 time steps each", R"(
data = "nmnist"
train-limit = 1000
test-limit = 100
model = "snn:200"
event-steps = 25
membrane-decay = 0.9
readout = "integrated_membrane"
optimizer = "adam"
learning-rate = 0.001
batch-size = 16
epochs = 20
grid = [0.0005, 0.001, 0.002]
)"},
      {"delayed-xor", "exclusive or of two cues with a delay between them, with a recurrent network", R"(
data = "delayed-xor"
model = "snn:100"
recurrent = true
membrane-decay = 0.9
readout = "integrated_membrane"
optimizer = "adam"
learning-rate = 0.002
batch-size = 32
epochs = 30
grid = [0.001, 0.002, 0.005]
)"},
      {"mammoth-permuted-mnist",
       "Permuted MNIST in twenty tasks, with the settings and arms of the program Mammoth (Buzzega et al. 2020)",
       "scenario = \"all-permuted\"" + mammoth_mnist + mammoth_permuted},
      {"mammoth-rotated-mnist", "Rotated MNIST with the same settings",
       "scenario = \"all-rotated\"" + mammoth_mnist + mammoth_rotated},
      {"mammoth-mnist-360", "MNIST-360, a stream without task boundaries, with Mammoth's settings and arms",
       "scenario = \"mnist-360\"" + mammoth_mnist_360},
  };
  return rows;
}

void begin_from(Config& config, const std::string& preset) {
  const Preset& row = find_row(presets(), "preset", preset);
  read_toml_text(config, row.toml, "preset " + row.name);
}

}  // namespace grapes::experiment
