#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <vector>

/// What learning costs next to the arithmetic it cannot do without. Each step is defined once, with its one baseline;
/// the two take turns in one run, so that a noisy machine disturbs both alike.
namespace grapes::bench {

struct Options {
  double seconds = 2;                       ///< of timing per group of measurements that take turns
  std::vector<std::int64_t> threads = {1};  ///< each thread count is a measurement of its own
};

/// One line of the result: what was timed, and its numbers.
struct Timing {
  std::string name;  ///< "784-256-256-10"
  std::int64_t batch = 0, threads = 1;
  std::string rule;     ///< "bp", "grapes", "encode"; or ""
  std::string variant;  ///< "dense" or "spikes"; "fused" or "plain"; "gradients written"; or ""
  std::string optimizer, precision = "float32";
  double dropout = 0;
  std::string input;                                  ///< of spikes: "random" or "mnist"; else ""
  double density = 0;                                 ///< of the inputs that are not 0, where that decides; measured
  double pulses = 0;                                  ///< of an update of a crossbar, per example
  double step_us = 0, baseline_us = 0;                ///< medians
  double step_spread_us = 0, baseline_spread_us = 0;  ///< half of the interquartile range
  double ratio = 0;                                   ///< step over baseline
  std::int64_t peak_bytes = 0;                        ///< most tensor memory held at one time; 0: not measured
  std::int64_t least_bytes = 0;                       ///< weights, optimizer states and activations; 0: not counted
  std::int64_t n = 0;                                 ///< timed steps
};
nlohmann::json to_json(const Timing& timing);

/// A training step of a chain of dense layers.
struct MlpCase {
  std::vector<std::int64_t> nodes = {784, 256, 256, 10};
  std::int64_t batch = 64;
  std::string optimizer = "sgd";
  double dropout = 0;
  std::string precision = "float32";
  bool fused_sgd = true;  ///< false: gradients are written even under SGD
};
/// bp and grapes over the bare matrix products of the step: forward a = h Wᵀ, backward δᵀh and δW, except the first
/// layer's δW; by the same BLAS, without anything around them.
/// @throws RunError if the fused step does not equal its plain reference: then there is nothing to time
std::vector<Timing> mlp(const MlpCase& which, const Options& options);
/// The cases of docs/performance.md.
std::vector<MlpCase> mlp_cases();

/// A training step of spiking layers over time, SGD, inputs that are spikes already.
struct SnnCase {
  std::vector<std::int64_t> nodes = {784, 256, 256, 10};
  std::int64_t steps = 25, batch = 64;
  bool recurrent = false;        ///< hidden layers; then the last layer is dense, of logits at every step
  std::string input = "random";  ///< "mnist": digits, each pixel a spike with its own probability
  double density = 0.13;         ///< of random input: the probability of a spike, the same for every input
};
/// bp and grapes, products dense and by spikes, and the encoding of the input, over the bare products of all steps at
/// once. @throws as mlp(), and DataError for "mnist" where it is not found
std::vector<Timing> snn(const SnnCase& which, const Options& options);
/// The cases of docs/performance.md. @param input  of the first; the second has four of 88 notes at a time
std::vector<SnnCase> snn_cases(const std::string& input);

/// A training step of a convolutional network on pictures, SGD.
struct CnnCase {
  std::string model = "resnet9", norm = "none";
  std::vector<std::int64_t> input = {3, 32, 32};
  std::int64_t batch = 64, outputs = 10;
  std::string precision = "float32";
  bool recompute = false;
};
/// bp and grapes over the bare convolutions of the step by oneDNN, in whatever layout it likes best, forward, to the
/// layer below and to the weights, without anything around them. @throws as mlp()
std::vector<Timing> cnn(const CnnCase& which, const Options& options);
std::vector<CnnCase> cnn_cases();

/// An update rule over one weight [256, 784], fused with its row sums and by plain tensor operations, over the copying
/// of as many bytes as the rule must read and write. @throws as mlp()
std::vector<Timing> update(const std::string& optimizer, const std::string& precision, const Options& options);
/// Responsibility and factor of one weight, likewise.
std::vector<Timing> factor(const std::vector<std::int64_t>& shape, const std::string& precision,
                           const Options& options);

/// An array of analog devices, 256 units of 784 inputs.
struct CrossbarCase {
  std::string device = "constant-step";  ///< a row of analog::devices()
  std::int64_t batch = 64;
  double active = 0.2;  ///< part of the inputs that are above 0
  bool plain = false;   ///< also the plain reference, one pulse at a time
};
/// Its update by pulses over the bare product δᵀx, and its read forward over x Wᵀ. @throws as mlp()
std::vector<Timing> crossbar(const CrossbarCase& which, const Options& options);
/// The cases of docs/performance.md.
std::vector<CrossbarCase> crossbar_cases();

}  // namespace grapes::bench
