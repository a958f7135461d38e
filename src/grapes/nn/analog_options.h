#pragma once

#include "grapes/analog/crossbar.h"

#include <cstdint>
#include <string>

namespace grapes::nn {

/// Options of layers whose weights are stored in crossbars of analog devices.
struct AnalogOptions {
  std::string device = "none";  ///< a name in analog::devices() with optional changes, see device_from()
  /// What the array does; the rest is exact. "none": nothing; "write": only programming weights is noisy.
  std::string real = "forward,backward,update";
  std::string read;  ///< settings of the converters between numbers and array, see converter_from()
  std::string responsibility =
      "auto";                ///< how factors read the weights: auto (exact if forward is exact), exact, summed, serial
  std::int64_t pulses = 31;  ///< length of a pulse train in bits, 1 ... 32
  double drift = 1;          ///< t/t0, time since writing at which evaluation reads; at least 1
  double share = 0.3;        ///< part of the devices' range that the largest initial weight takes
  explicit operator bool() const { return device != "none"; }
  bool updates() const { return real.find("update") != std::string::npos; }
};

/// Parses NAME[:FIELD=NUMBER,...]: a device of analog::devices() with changed fields of analog::fields(). In addition,
/// noise=K multiplies all noise of pulses, writing and reading, and spread=K all differences between devices.
/// @throws UsageError
analog::Device device_from(const std::string& text);
/// Parses FIELD=NUMBER,... with the fields dac-bits, adc-bits, input-bound, output-bound, output-noise,
/// noise-management and bound-management (0 or 1). @throws UsageError
analog::Converter converter_from(const std::string& text);
/// Returns all options except the scale, which depends on the weights. @throws UsageError
analog::Options array_options(const AnalogOptions& options);

}  // namespace grapes::nn
