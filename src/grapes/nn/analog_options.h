#pragma once

#include "grapes/analog/settings.h"

#include <optional>

namespace grapes::nn {

/// Options of layers whose weights are stored in crossbars of analog devices.
struct AnalogOptions {
  std::optional<analog::DeviceOptions> device;  ///< none: weights are not stored in crossbars
  analog::Operations real;
  analog::Converter read;
  analog::Sensing responsibility = analog::Sensing::automatic;  ///< how factors read the weights
  int pulses = 31;                                              ///< length of a pulse train in bits, 1 ... 32
  double drift = 1;    ///< t/t0, time from writing to the reads of an evaluation; at least 1
  double share = 0.3;  ///< largest initial weight, as a fraction of the devices' range
  explicit operator bool() const { return device.has_value(); }
};

/// Returns the options of an array except the scale, which depends on the weights.
inline analog::Options array_options(const AnalogOptions& options) {
  analog::Options array;
  array.real = options.real;
  array.forward = array.backward = options.read;
  array.responsibility = options.responsibility;
  array.pulses = options.pulses;
  return array;
}

}  // namespace grapes::nn
