#pragma once

#include "grapes/analog/converter.h"
#include "grapes/analog/device.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// A layer's weights [node, input] as an array of devices. Its value is this struct; what it does are the functions
/// below. All tensors are float32 on the CPU. What is random is a pure function of (seed, step, what is done): give
/// every step of training and every read of an evaluation a step of its own, and nothing has to be remembered to
/// resume.
namespace grapes::analog {

/// How a node's responsibility Σ_i |w_ni| is taken from the array. With w = G+ - G-,
///   G+ + G- = |w| + 2 min(G+, G-):
/// the sum of both conductances is the magnitude only where one of the pair is at its floor.
enum class Sensing {
  /// Σ_i |w_ni| of the weights as they stand, without noise or converter.
  exact,
  /// One read with all inputs on and both polarities summed: scale · ADC( Σ_i (G+_ni + G-_ni) + noise ).
  /// one_sided pairs: Σ|w| + 2 Σ min(G+, G-), scaled. The excess is 0 after program() and grows between refreshes, in
  /// which a device falls back to `reset` only; it is not corrected, the array does not tell it.
  /// reference pairs: G- is the constant -low and G+ = w - low, so this is Σ w (with its sign!) + 2 · inputs · (-low);
  /// that offset is known and subtracted. It is no responsibility: signs cancel.
  summed,
  /// One read for each input, the others off, its magnitude taken behind the ADC and added up digitally: as many reads
  /// as inputs in place of one, for any pair. Each magnitude of a small weight is read too large: E|w + ε| >= |w|.
  /// We assume a gain before the ADC that makes its bound one device's nominal range, and the s.d. of its noise smaller
  /// in proportion. What a device holds beyond is cut.
  /// Reference pairs do this by themselves.
  serial
};

struct Options {
  bool real_forward = true;   ///< else y = W x
  bool real_backward = true;  ///< else Wᵀ δ
  bool real_update = true;    ///< else W - η δᵀ x, written exactly as far as the devices' bounds allow
  bool real_write = false;    ///< else weights from outside are written exactly, as far as the bounds allow
  Converter forward, backward;
  std::optional<Sensing> responsibility;  ///< nothing: summed for one_sided pairs, serial for reference pairs
  double scale = 1;                       ///< digital: weight = scale · (G+ - G-)
  int pulses = 31;                        ///< BL: bits of a train, 1 ... 32 (Gokmen and Vlasov: 10)
  bool update_management = true;          ///< see Trains
  bool refresh = true;                    ///< after every update, where a pair is full
};

/// One device for each weight; all [node, input]. `seen` is what a read sees: `state` itself without write noise.
struct Plane {
  at::Tensor state, seen, up, down, low, high, drift;  ///< drift is undefined where none is
};

/// A copy of the struct is the same array: tensors are shared.
struct Crossbar {
  Device device;
  Options options;
  std::uint64_t seed = 0;
  Plane plus;
  Plane minus;  ///< undefined for reference pairs, whose G- is -low everywhere

  bool paired() const { return device.pair == Pair::one_sided; }
  /// The stream of draws for what is done in a step.
  std::uint64_t key(std::string_view what, std::int64_t step) const;
  /// @throws c10::Error unless it is float32 [batch, width]
  void check_batch(const at::Tensor& tensor, std::int64_t width, const char* what) const;
};

/// Devices with their spread, drawn from the seed, at weight 0; stuck ones anywhere in their range.
/// @throws c10::ValueError if an option or the device cannot be
Crossbar make_crossbar(const Device& device, std::int64_t nodes, std::int64_t inputs, const Options& options,
                       std::uint64_t seed);

/// The scale that writes the largest |W| as this share of the device's nominal range. 1 for a device without bounds.
double scale_for(const Device& device, const at::Tensor& W, double share);

/// Write weights as far as the bounds allow, the emptier device of a pair at 0: exactly, or, where that is real, with
/// the noise of the device's writing (see Device::program_noise, write_noise).
void program(Crossbar& crossbar, const at::Tensor& W, std::int64_t step);

/// W as it stands, without read noise: scale · (G+ - G-). @return [node, input]
at::Tensor weights(const Crossbar& crossbar);

/// y = W x through the array. @param x [batch, input] @return [batch, node]
at::Tensor forward(const Crossbar& crossbar, const at::Tensor& x, std::int64_t step);
/// Wᵀ δ through the same array the other way. @param error [batch, node] @return [batch, input]
at::Tensor backward(const Crossbar& crossbar, const at::Tensor& error, std::int64_t step);
/// See Sensing. @param dim  0: of the nodes, Σ over inputs; 1: of the inputs, Σ over nodes, the array read the other
/// way
/// @return [node] or [input]
at::Tensor responsibility(const Crossbar& crossbar, std::int64_t dim, std::int64_t step);
at::Tensor responsibility(const Crossbar& crossbar, Sensing how, std::int64_t dim, std::int64_t step);

/// W[n,i] -= rate · Σ_b error[b,n] x[b,i], by pulses, sample after sample; then the refresh.
/// @param rate  η, positive @return pulses that devices got; 0 if the update is not real
std::int64_t update(Crossbar& crossbar, const at::Tensor& x, const at::Tensor& error, double rate, std::int64_t step);
namespace plain {
/// One pulse at a time; equal to the last bit.
std::int64_t update(Crossbar& crossbar, const at::Tensor& x, const at::Tensor& error, double rate, std::int64_t step);
}  // namespace plain
/// One pulse to each weight, up or down: how responses are measured. No refresh.
void pulse_all(Crossbar& crossbar, bool up, std::int64_t step);
/// Reset and write anew the pairs that are full. @return how many
std::int64_t refresh(Crossbar& crossbar, std::int64_t step);

/// From `from` to `to` seconds after writing: w ← w (to/from)^-ν. Two steps are as one: drift(a, b), drift(b, c) is
/// drift(a, c), as far as no device is at a bound.
void drift(Crossbar& crossbar, double from, double to);
/// Another array, as this one is when `times` as long has passed since writing as it was written for; this one stays.
Crossbar later(const Crossbar& crossbar, double times);

/// Everything a checkpoint must hold: live tensors, to copy out of or into.
std::vector<std::pair<std::string, at::Tensor>> state(const Crossbar& crossbar);

}  // namespace grapes::analog
