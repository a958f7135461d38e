#include "grapes/bench/baseline.h"
#include "grapes/bench/step.h"
#include "grapes/kernels/gemm.h"

#include <ATen/ATen.h>

namespace grapes::bench {
namespace {

/// The minimum memory of training: weights, the optimizer's states, the batch, and an activation per layer.
std::int64_t least_bytes(const MlpCase& which) {
  std::int64_t weights = 0, activations = which.batch * which.nodes.front();
  for (std::size_t l = 1; l < which.nodes.size(); ++l) {
    weights += which.nodes[l] * which.nodes[l - 1];
    activations += which.batch * which.nodes[l];
  }
  const std::int64_t copies = which.optimizer == "sgd"                                ? 1
                              : which.optimizer == "adam" || which.optimizer == "nag" ? 3
                                                                                      : 2;
  return (weights * copies + activations) * static_cast<std::int64_t>(c10::elementSize(dtype_of(which.precision)));
}

Step step_of(const MlpCase& which) {
  Step step;
  step.labels.name = joined(which.nodes);
  step.labels.batch = which.batch;
  step.labels.variant = which.fused_update ? "" : "gradients written";
  step.labels.optimizer = step.optimizer.optimizer = which.optimizer;
  step.labels.precision = which.precision;
  step.network.precision = nn::parse_precision(which.precision);
  step.labels.dropout = step.network.dropout = which.dropout;
  step.labels.least_bytes = least_bytes(which);
  step.network.model = nn::dense_model({which.nodes.begin() + 1, which.nodes.end() - 1});
  step.info.input_shape = {which.nodes.front()};
  step.info.outputs = which.nodes.back();
  step.batch = {numbers({which.batch, which.nodes.front()}, "inputs", dtype_of(which.precision)),
                classes_in_turn(which.batch, which.nodes.back())};
  step.fused_update = which.fused_update;
  return step;
}

Agreement agreement(const std::string& precision) {
  if (precision == "float64") return {.allowed = 1e-12, .steps = 4};
  if (precision == "float32") return {.allowed = 2e-6, .steps = 4};
  // A sum in another order sometimes rounds to the neighboring bfloat16, 2⁻⁸ away. Through ten layers and four steps
  // that grows to a few percent of the update. kernels_test tests a single layer to 1e-6.
  return {.allowed = 0.2, .of_update = true, .steps = 4};
}

/// Compares the steps with their reference twice: with the products of the reference, bit for bit the same sums, and
/// with those that are timed. The latter add in another order. If rounding puts one unit on the other side of its
/// rectifier, gradients of its row differ, and a rule that divides a gradient by its own size may change its sign.
void require_equal(const std::vector<Step>& steps, const MlpCase& which) {
  {
    const kernels::BlasProducts same_order;
    require_equal_to_reference(steps, agreement(which.precision));
  }
  if (which.precision != "float32" || !kernels::by_own_loops<float>()) return;
  const bool divides = which.optimizer == "rmsprop" || which.optimizer == "adam";
  require_equal_to_reference(steps, {.allowed = divides ? 0.1 : 0.02, .of_update = true, .steps = 4});
}

}  // namespace

std::vector<Timing> mlp(const MlpCase& which, const Options& options) {
  std::vector<ProductShape> layers;
  for (std::size_t l = 1; l < which.nodes.size(); ++l)
    layers.push_back({which.batch, which.nodes[l - 1], which.nodes[l], l > 1});
  const std::vector<Step> steps = under_both_rules(step_of(which));
  require_equal(steps, which);
  return take_turns(
      [&] {
        Products alone = products(layers, dtype_of(which.precision));
        return Group{std::move(alone.run), arms(steps), true, std::move(alone.by)};
      },
      options);
}

std::vector<MlpCase> mlp_cases() {
  const std::vector<std::int64_t> deep = {784, 512, 512, 512, 512, 512, 512, 512, 512, 512, 512, 10};
  return {{},
          {.dropout = 0.1},
          {.fused_update = false},
          {.optimizer = "momentum"},
          {.optimizer = "nag"},
          {.optimizer = "rmsprop"},
          {.optimizer = "adam"},
          {.nodes = deep},
          {.batch = 1},
          {.batch = 8},
          {.precision = "float64"},
          {.precision = "bf16"},
          {.nodes = deep, .precision = "bf16"}};
}

}  // namespace grapes::bench
