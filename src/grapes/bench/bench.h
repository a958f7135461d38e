#pragma once

#include "grapes/dist/group.h"

#include <nlohmann/json_fwd.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

/// Benchmarks: the cost of learning compared with the arithmetic that it needs. Each step has one baseline. The step
/// and its baseline take turns in one run, so that noise affects both alike.
namespace grapes::bench {

struct Options {
  double seconds = 2;                       ///< of timing per group of measurements
  std::vector<std::int64_t> threads = {1};  ///< each number of threads is a separate measurement
};

/// One line of the result: labels and measurements.
struct Timing {
  std::string name;  ///< "784-256-256-10"
  std::int64_t batch = 0, threads = 1;
  std::string rule;     ///< "bp", "grapes", "encode"; or ""
  std::string variant;  ///< "dense" or "spikes"; "fused" or "plain"; "gradients written"; or ""
  std::string optimizer, precision = "float32";
  double dropout = 0;
  std::string input;                    ///< of spikes: "random" or "mnist"; else ""
  double density = 0;                   ///< measured fraction of the inputs that are not 0, if it matters; else 0
  double pulses = 0;                    ///< per example, of an update of a crossbar
  double step_us = 0, baseline_us = 0;  ///< medians
  double step_spread_us = 0, baseline_spread_us = 0;  ///< half of the interquartile range
  double ratio = 0;                                   ///< step divided by baseline
  std::string baseline_by;       ///< the libraries whose products are the baseline, "Grapes and OpenBLAS"; or ""
  std::string no_baseline;       ///< why the ratio has no meaning: the BLAS's kernels are outdated; or ""
  std::int64_t peak_bytes = 0;   ///< maximum of allocated tensor memory; 0: not measured
  std::int64_t least_bytes = 0;  ///< weights, optimizer states and activations; 0: not counted
  std::int64_t bytes = 0;        ///< read by a step: of the files, or of the batch in float32; 0: not counted
  std::int64_t n = 0;            ///< number of timed steps
};
nlohmann::json to_json(const Timing& timing);

/// A training step of a chain of linear layers.
struct MlpCase {
  std::vector<std::int64_t> nodes = {784, 256, 256, 10};
  std::int64_t batch = 64;
  std::string optimizer = "sgd";
  double dropout = 0;
  std::string precision = "float32";
  bool fused_update = true;  ///< false: write gradients even if updates could run inside the backward pass
};
/// Times bp and grapes against only the matrix products of the step: forward z = h Wᵀ, backward δᵀh and δW, except the
/// first layer's δW, each by the fastest library.
/// @throws RunError if the fused step does not equal its reference; it is then not timed
std::vector<Timing> mlp(const MlpCase& which, const Options& options);
/// Returns the cases of docs/performance.md.
std::vector<MlpCase> mlp_cases();

/// A training step in several processes, each of which computes as many examples as the process alone.
struct DistCase {
  std::string model;
  std::int64_t batch = 64;  ///< examples per process
  std::vector<std::int64_t> input = {1, 28, 28};
};
struct DistTiming {
  std::string name;
  std::int64_t batch = 0;  ///< examples per process
  int processes = 1;
  std::int64_t bytes = 0, buckets = 0;  ///< of the gradients
  double alone_us = 0, step_us = 0;     ///< medians
  double exchange_us = 0;               ///< of the sums of all gradients without a backward pass, median
  double waited_us = 0;  ///< mean time per step for which the process waits for these sums after its backward pass
  double efficiency() const { return alone_us / step_us; }
  double overlap() const { return exchange_us > 0 ? std::max(0.0, 1 - waited_us / exchange_us) : 0; }
};
nlohmann::json to_json(const DistTiming& timing);
/// Times a step with SGD and GRAPES. All processes of the group call it.
DistTiming dist(const DistCase& which, dist::Group& group, const Options& options);
/// Returns the cases of docs/scaling.md: narrow, wide, convolutional and spiking.
std::vector<DistCase> dist_cases();

/// A training step of spiking layers over time with SGD. The inputs are already spikes.
struct SnnCase {
  std::vector<std::int64_t> nodes = {784, 256, 256, 10};
  std::int64_t steps = 25, batch = 64;
  bool recurrent = false;        ///< hidden layers are recurrent; the last layer is linear, with logits at every step
  std::string input = "random";  ///< "mnist": digits, with each pixel as the probability of its spikes
  double density = 0.13;         ///< of random input: probability of a spike
};
/// Times bp and grapes, with dense and with spike products, and the encoding of the input, against only the products of
/// all time steps. @throws as mlp(), and DataError for "mnist" if it is not found
std::vector<Timing> snn(const SnnCase& which, const Options& options);
/// Returns the cases of docs/performance.md. @param input  of the first; the second has four of 88 notes at a time
std::vector<SnnCase> snn_cases(const std::string& input);

/// A training step of a convolutional network with SGD, on images or on spikes over time.
struct CnnCase {
  std::string model = "resnet9", norm = "none";  ///< norm: "batch", or "threshold" of spiking models
  std::vector<std::int64_t> input = {3, 32, 32};
  std::int64_t batch = 64, outputs = 10;
  std::string precision = "float32";
  bool recompute = false;
  std::int64_t steps = 0;  ///< of a spiking model; each input is 1 with probability 0.13
};
/// Times bp and grapes against only the convolutions of the step, of all time steps together, by oneDNN in its
/// preferred layouts: forward, error at the layer below, and weight gradients. @throws as mlp()
std::vector<Timing> cnn(const CnnCase& which, const Options& options);
std::vector<CnnCase> cnn_cases();
std::vector<CnnCase> spiking_cnn_cases();

/// Times an update rule on one weight [256, 784], fused with its row sums and by tensor operations, against a copy of
/// as many bytes as the rule must read and write. @throws as mlp()
std::vector<Timing> update(const std::string& optimizer, const std::string& precision, const Options& options);
/// Times responsibility and factor of one weight in the same way.
std::vector<Timing> factor(const std::vector<std::int64_t>& shape, const std::string& precision,
                           const Options& options);

/// An array of analog devices, 256 units with 784 inputs.
struct CrossbarCase {
  std::string device = "constant-step";  ///< a name in analog::devices()
  std::int64_t batch = 64;
  double active = 0.2;  ///< fraction of the inputs that are above 0
  bool plain = false;   ///< also time the reference, one pulse at a time
};
/// Times its update by pulses against the product δᵀx, and its forward read against x Wᵀ. @throws as mlp()
std::vector<Timing> crossbar(const CrossbarCase& which, const Options& options);
/// Returns the cases of docs/performance.md.
std::vector<CrossbarCase> crossbar_cases();

/// Times how long a table, an array or a folder of pictures takes to open, against reading the bytes of its files; and
/// how long a random batch of its training examples takes, against copying as many rows of float32 in memory.
/// @throws DataError if it cannot be read
std::vector<Timing> read(const std::string& path, std::int64_t batch, const Options& options);

}  // namespace grapes::bench
