#pragma once

#include "grapes/analog/crossbar.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

/// Settings of a crossbar as text: what parse_*() reads, to_string() writes.
namespace grapes::analog {

/// A name in devices() and changes of its numbers, in this order.
struct DeviceOptions {
  std::string name;
  /// A field of fields() and its new number. In addition, `noise` multiplies all noise of pulses, writing and reading,
  /// and `spread` all differences between devices.
  std::vector<std::pair<std::string, double>> changes = {};
  bool operator==(const DeviceOptions&) const = default;
};
/// Returns the row with its changes. @throws UsageError for an unknown name or a number out of range
Device device_of(const DeviceOptions& options);

/// Parses "none", or NAME[:FIELD=NUMBER,...], like "soft-bounds:noise=2,imbalance=0.1". @throws UsageError
std::optional<DeviceOptions> parse_device(const std::string& text);
std::string to_string(const std::optional<DeviceOptions>& options);

/// Parses FIELD=NUMBER,... with the fields dac-bits, adc-bits, input-bound, output-bound, output-noise,
/// noise-management and bound-management (0 or 1); "" is the default. @throws UsageError
Converter parse_converter(const std::string& text);
/// Writes the fields that differ from the default.
std::string to_string(const Converter& converter);

/// Parses "none", or a list of forward, backward, update and write, separated by commas. @throws UsageError
Operations parse_operations(const std::string& text);
std::string to_string(const Operations& operations);

/// auto, exact, summed, serial: in the order of the enumeration
const std::vector<std::string>& sensing_names();
std::string to_string(Sensing sensing);

}  // namespace grapes::analog
