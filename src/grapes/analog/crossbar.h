#pragma once

#include "grapes/analog/converter.h"
#include "grapes/analog/device.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// A layer's weights [unit, input] in an array of devices. The struct contains the array's state; the functions below
/// operate on it. All tensors are float32 on the CPU. Random numbers are a pure function of (seed, step, operation).
/// Use a different `step` for every training step and for every read of an evaluation; then no generator state must be
/// saved to resume.
namespace grapes::analog {

/// How a unit's responsibility Σ_i |w_ni| is read from the array. With w = G+ - G-,
///   G+ + G- = |w| + 2 min(G+, G-):
/// the sum of both conductances equals the absolute weight only if one device of the pair is at its lower bound.
enum class Sensing {
  /// exact if the forward product is exact; else summed for one_sided pairs, serial for reference pairs
  automatic,
  /// Σ_i |w_ni| of the current weights, without noise or converter.
  exact,
  /// One read with all inputs on and both polarities summed: scale · ADC( Σ_i (G+_ni + G-_ni) + noise ). With one_sided
  /// pairs this is Σ|w| + 2 Σ min(G+, G-), scaled. The excess is 0 after program(). It grows until a refresh, after
  /// which one device is at `reset` only. It is not corrected, because the array does not reveal it. With reference
  /// pairs, G- is the constant -low and G+ = w - low. The read gives Σ w + 2 · inputs · (-low), and the known offset is
  /// subtracted. The result is not a responsibility, because signs cancel.
  summed,
  /// One read per input with all others off. The ADC's results are made absolute and summed digitally. It needs as many
  /// reads as inputs, and works with any pair. Small weights are read too large: E|w + ε| >= |w|. We assume a gain
  /// before the ADC, which makes its bound the nominal range of one device and reduces its noise in proportion.
  /// Conductances above that range are clipped.
  serial
};

/// Operations that the devices compute. The others are exact.
struct Operations {
  bool forward = true;   ///< y = W x
  bool backward = true;  ///< Wᵀ δ
  bool update = true;    ///< by pulses; else W - η δᵀ x, exact within the devices' bounds
  bool write = false;    ///< noisy programming; else exact within the bounds
  bool operator==(const Operations&) const = default;
};

struct Options {
  Operations real;
  Converter forward, backward;
  Sensing responsibility = Sensing::automatic;
  double scale = 1;               ///< digital: weight = scale · (G+ - G-)
  int pulses = 31;                ///< length of a train in bits (BL), 1 ... 32 (Gokmen and Vlasov: 10)
  bool update_management = true;  ///< see Trains
  bool refresh = true;            ///< after every update, for pairs that are full
};

/// Checks the values. @throws c10::ValueError with the name of the invalid one
void check(const Options& options);

/// One device per weight; all tensors are [unit, input]. A read uses `seen`, which is `state` itself without write
/// noise.
struct Plane {
  at::Tensor state, seen, up, down, low, high, drift;  ///< drift is undefined if there is none
};

/// Copies of the struct share their tensors, so they are the same array.
struct Crossbar {
  Device device;
  Options options;
  std::uint64_t seed = 0;
  Plane plus;
  Plane minus;  ///< undefined for reference pairs, whose G- is -low everywhere

  bool paired() const { return device.pair == Pair::one_sided; }
  /// Returns the key of the random numbers of an operation in a step.
  std::uint64_t key(std::string_view what, std::int64_t step) const;
  /// @throws c10::Error unless the tensor is float32 [batch, width]
  void check_batch(const at::Tensor& tensor, std::int64_t width, const char* what) const;
};

/// Creates devices at weight 0, with a spread drawn from the seed. Stuck devices are anywhere in their range.
/// @throws c10::ValueError for an invalid option or device
Crossbar make_crossbar(const Device& device, std::int64_t nodes, std::int64_t inputs, const Options& options,
                       std::uint64_t seed);

/// Returns the scale that maps the largest |W| to `share` of the device's nominal range. 1 for a device without bounds.
double scale_for(const Device& device, const at::Tensor& W, double share);

/// Programs weights within the bounds, with the smaller conductance of a pair at 0: exactly, or, if writing is real,
/// with the device's noise (see Device::program_noise, write_noise).
void program(Crossbar& crossbar, const at::Tensor& W, std::int64_t step);

/// Returns the current W without read noise: scale · (G+ - G-), [unit, input].
at::Tensor weights(const Crossbar& crossbar);

/// Computes y = W x through the array. @param x [batch, input] @return [batch, unit]
at::Tensor forward(const Crossbar& crossbar, const at::Tensor& x, std::int64_t step);
/// Computes Wᵀ δ through the transposed array. @param error [batch, unit] @return [batch, input]
at::Tensor backward(const Crossbar& crossbar, const at::Tensor& error, std::int64_t step);
/// Reads responsibilities, see Sensing. @param dim  0: of the units, summed over inputs; 1: of the inputs, summed over
/// units, with the array transposed
/// @return [unit] or [input]
at::Tensor responsibility(const Crossbar& crossbar, std::int64_t dim, std::int64_t step);
at::Tensor responsibility(const Crossbar& crossbar, Sensing how, std::int64_t dim, std::int64_t step);

/// W[n,i] -= rate · Σ_b error[b,n] x[b,i], by pulses, example after example, followed by the refresh.
/// @param rate  η, at least 0 @return number of pulses that devices received; 0 if the update is not real
std::int64_t update(Crossbar& crossbar, const at::Tensor& x, const at::Tensor& error, double rate, std::int64_t step);
namespace plain {
/// The reference: one pulse at a time, with the same bits.
std::int64_t update(Crossbar& crossbar, const at::Tensor& x, const at::Tensor& error, double rate, std::int64_t step);
}  // namespace plain
/// Sends one pulse to each weight, up or down, to measure responses. No refresh.
void pulse_all(Crossbar& crossbar, bool up, std::int64_t step);
/// Resets and reprograms the pairs that are full. @return their number
std::int64_t refresh(Crossbar& crossbar, std::int64_t step);

/// Applies drift from `from` to `to` seconds after writing: w ← w (to/from)^-ν. drift(a, b) and drift(b, c) together
/// are drift(a, c), as long as no device reaches a bound.
void drift(Crossbar& crossbar, double from, double to);
/// Returns a copy of the array after drift to `times` the time since writing. The original does not change.
Crossbar later(const Crossbar& crossbar, double times);

/// Returns the tensors that a checkpoint must contain. They are not copies, so a checkpoint can be loaded into them.
std::vector<std::pair<std::string, at::Tensor>> state(const Crossbar& crossbar);

}  // namespace grapes::analog
