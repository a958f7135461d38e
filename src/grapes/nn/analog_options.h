#pragma once

#include "grapes/analog/crossbar.h"

#include <cstdint>
#include <string>

namespace grapes::nn {

/// Keys of the command line for layers whose weights lie in crossbars of analog devices.
struct AnalogOptions {
  std::string device = "none";  ///< a row of analog::devices(), and what is to be different: see device_from()
  std::string real = "forward,backward,update";  ///< what the array does; the rest is exact. "none": nothing;
                                                 ///< "write": weights that pulses did not make come with noise
  std::string read;                              ///< what is different between numbers and array: see converter_from()
  std::string responsibility =
      "auto";                ///< how factors see the weights: auto (exact where forward is), exact, summed, serial
  std::int64_t pulses = 31;  ///< bits of a train, 1 ... 32
  double drift = 1;          ///< t/t0 since writing, at which evaluation reads; at least 1
  double share = 0.3;        ///< of the devices' range that the largest initial weight takes
  explicit operator bool() const { return device != "none"; }
  bool updates() const { return real.find("update") != std::string::npos; }
};

/// NAME[:FIELD=NUMBER,...]: a row of analog::devices() with fields of analog::fields() replaced. Besides these, noise=K
/// multiplies all noise of pulses, writing and reading, spread=K all differences between devices.
/// @throws UsageError
analog::Device device_from(const std::string& text);
/// FIELD=NUMBER,...: dac-bits, adc-bits, input-bound, output-bound, output-noise, and noise-management and
/// bound-management, 0 or 1. @throws UsageError
analog::Converter converter_from(const std::string& text);
/// All of it, but for the scale, which the weights decide. @throws UsageError
analog::Options array_options(const AnalogOptions& options);

}  // namespace grapes::nn
