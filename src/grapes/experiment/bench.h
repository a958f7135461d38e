#pragma once

#include "grapes/record/record.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

/// What learning costs next to the arithmetic it cannot do without, measured in one run: the thing and its floor take
/// turns, so that a noisy machine disturbs both alike.
namespace grapes::experiment {

struct BenchOptions {
  double seconds = 2;                       ///< of timing per group of measurements that take turns
  std::vector<std::int64_t> threads = {1};  ///< each thread count is a measurement of its own
};

/// One line of the result.
struct Timing {
  std::string what;  ///< "784-256-256-10"
  std::int64_t batch = 0;
  std::int64_t threads = 1;
  std::string rule;       ///< "bp", "grapes"; of `update` and `factor`: "fused", "plain"
  std::string optimizer;  ///< "sgd", "sgd, gradients written"
  std::string precision;
  double dropout = 0;
  double density = 0;                        ///< of spikes in the inputs; 0: they are none
  double step_us = 0, floor_us = 0;          ///< medians
  double step_spread = 0, floor_spread = 0;  ///< half of the interquartile range, µs
  double ratio = 0;                          ///< step over floor
  std::int64_t peak_bytes = 0;               ///< most tensor memory held at one time; 0: not measured
  std::int64_t least_bytes = 0;              ///< weights, their states and activations
  std::int64_t n = 0;                        ///< timed steps
};
record::Json to_json(const Timing& timing);

/// A training step of a chain of dense layers.
struct MlpCase {
  std::vector<std::int64_t> nodes = {784, 256, 256, 10};
  std::int64_t batch = 64;
  std::string optimizer = "sgd";
  double dropout = 0;
  std::string precision = "float32";
  bool descend = true;  ///< false: gradients are written even under SGD
};
/// bp and grapes, each over the bare matrix products of the step: forward a = h Wᵀ, backward δᵀh and δW, except the
/// first layer's δW; by the same BLAS, without anything around them.
/// @throws Error (exit 1) if the fused step does not equal its plain twin: then there is nothing to time
std::vector<Timing> bench_mlp(const MlpCase& which, const BenchOptions& options);
/// The cases of docs/performance.md.
std::vector<MlpCase> mlp_cases();

/// A training step of spiking layers over time, SGD, inputs that are spikes already.
struct SnnCase {
  std::vector<std::int64_t> nodes = {784, 256, 256, 10};
  std::int64_t steps = 25, batch = 64;
  bool recurrent = false;  ///< hidden layers; then the last layer is dense, of logits at every step
};
/// bp and grapes, products dense and by spikes, each over the bare products of all steps at once. The inputs are MNIST
/// digits where they are found, each pixel a spike with its own probability, else as many spikes at random; with 88
/// inputs, four notes a step.
/// @throws Error (exit 1) if the fused step does not equal its plain twin
std::vector<Timing> bench_snn(const SnnCase& which, const BenchOptions& options);
std::vector<SnnCase> snn_cases();

/// A training step of a convolutional network on pictures, SGD.
struct CnnCase {
  std::string model = "resnet9", norm = "none";
  std::vector<std::int64_t> input = {3, 32, 32};
  std::int64_t batch = 64, outputs = 10;
  std::string precision = "float32";
  bool recompute = false;
};
/// bp and grapes, each over the bare convolutions of the step by oneDNN, in whatever layout it likes best, forward, to
/// the layer below and to the weights, without anything around them.
/// @throws Error (exit 1) if the fused step does not equal its plain twin
std::vector<Timing> bench_cnn(const CnnCase& which, const BenchOptions& options);
std::vector<CnnCase> cnn_cases();

/// An update rule over one weight [256, 784], fused with its row sums and by plain tensor operations; the floor copies
/// as many bytes as the rule must read and write.
std::vector<Timing> bench_update(const std::string& optimizer, const std::string& precision,
                                 const BenchOptions& options);
/// Responsibility and factor of one weight, likewise.
std::vector<Timing> bench_factor(const std::vector<std::int64_t>& shape, const std::string& precision,
                                 const BenchOptions& options);

}  // namespace grapes::experiment
