#include "grapes/analog/settings.h"

#include "grapes/base/table.h"

#include <c10/util/Exception.h>

#include <array>
#include <cmath>
#include <functional>

namespace grapes::analog {
namespace {

/// A number that can be set by name.
template <class Owner>
struct Setting {
  std::string name;
  std::function<bool(Owner&, double)> set;  ///< returns false if the number is out of range
  std::string takes = "NUMBER";
  std::function<double(const Owner&)> get = {};
};

/// Sets a number. @param text  the setting as it was given, for the message  @param what  name of the owner, also for
/// the message
template <class Owner>
void set(Owner& owner, const std::vector<Setting<Owner>>& settings, const std::string& name,
         std::optional<double> value, const std::string& text, const std::string& what) {
  const Setting<Owner>& setting = find_row(settings, what + " field", name);
  if (!value || !setting.set(owner, *value))
    throw UsageError(what + ": '" + text + "': expected " + setting.name + "=" + setting.takes);
}

/// Calls `set(name, number, text)` for each setting of "a=1,b=2". The number is empty if there is none.
template <class Set>
void each_setting(const std::string& text, const Set& set) {
  if (text.empty()) return;
  for (const std::string& piece : split(text, ',')) {
    const std::size_t at = piece.find('=');
    set(piece.substr(0, at), at == std::string::npos ? std::nullopt : to_double(piece.substr(at + 1)), piece);
  }
}

std::string setting_text(const std::string& name, double value) { return name + "=" + shortest(value); }

/// @throws UsageError for values that an array does not support
template <class Part>
Part checked(const Part& part) {
  try {
    check(part);
  } catch (const c10::Error& error) {
    throw UsageError(error.what_without_backtrace());
  }
  return part;
}

const std::vector<Setting<Device>>& device_settings() {
  static const std::vector<Setting<Device>> rows = [] {
    std::vector<Setting<Device>> all;
    for (const Field& field : fields())
      all.push_back({field.name, [at = field.value](Device& device, double value) {
                       device.*at = value;
                       return true;
                     }});
    const auto times = [&](const std::string& name, std::vector<double Device::*> parts) {
      all.push_back({name,
                     [parts = std::move(parts)](Device& device, double factor) {
                       for (double Device::*part : parts) device.*part *= factor;
                       return factor >= 0;
                     },
                     "NUMBER of at least 0"});
    };
    times("noise",
          {&Device::noise_step, &Device::noise_add, &Device::noise_state, &Device::write_noise, &Device::read_noise,
           &Device::program_noise, &Device::program_linear, &Device::program_square, &Device::reset_spread});
    times("spread", {&Device::step_spread, &Device::imbalance_spread, &Device::low_spread, &Device::high_spread,
                     &Device::drift_spread});
    return all;
  }();
  return rows;
}

const std::vector<Setting<Converter>>& converter_settings() {
  const auto bits = [](const std::string& name, int Converter::*part) {
    return Setting<Converter>{name,
                              [part](Converter& c, double x) {
                                const bool whole = std::abs(x) < 100 && x == std::floor(x);
                                if (whole) c.*part = static_cast<int>(x);
                                return whole;
                              },
                              "WHOLE NUMBER, 2 to 24 or 0", [part](const Converter& c) { return c.*part; }};
  };
  const auto real = [](const std::string& name, double Converter::*part) {
    return Setting<Converter>{name,
                              [part](Converter& c, double x) {
                                c.*part = x;
                                return true;
                              },
                              "NUMBER", [part](const Converter& c) { return c.*part; }};
  };
  const auto flag = [](const std::string& name, bool Converter::*part) {
    return Setting<Converter>{name,
                              [part](Converter& c, double x) {
                                c.*part = x == 1;
                                return x == 0 || x == 1;
                              },
                              "0 or 1", [part](const Converter& c) { return c.*part ? 1 : 0; }};
  };
  static const std::vector<Setting<Converter>> rows = {bits("dac-bits", &Converter::dac_bits),
                                                       bits("adc-bits", &Converter::adc_bits),
                                                       real("input-bound", &Converter::input_bound),
                                                       real("output-bound", &Converter::output_bound),
                                                       real("output-noise", &Converter::output_noise),
                                                       flag("noise-management", &Converter::noise_management),
                                                       flag("bound-management", &Converter::bound_management)};
  return rows;
}

struct Operation {
  std::string name;
  bool Operations::*real;
};
const std::array<Operation, 4>& operation_rows() {
  static const std::array<Operation, 4> rows = {{{"forward", &Operations::forward},
                                                 {"backward", &Operations::backward},
                                                 {"update", &Operations::update},
                                                 {"write", &Operations::write}}};
  return rows;
}

}  // namespace

Device device_of(const DeviceOptions& options) {
  Device device = find_row(devices(), "device", options.name);
  for (const auto& [name, value] : options.changes)
    set(device, device_settings(), name, value, setting_text(name, value), "device");
  return checked(device);
}

std::optional<DeviceOptions> parse_device(const std::string& text) {
  if (text == "none") return std::nullopt;
  const std::size_t colon = text.find(':');
  DeviceOptions options{text.substr(0, colon)};
  Device device = find_row(devices(), "device", options.name);
  each_setting(colon == std::string::npos ? "" : text.substr(colon + 1),
               [&](const std::string& name, std::optional<double> value, const std::string& piece) {
                 set(device, device_settings(), name, value, piece, "device");
                 options.changes.emplace_back(name, *value);
               });
  checked(device);
  return options;
}

std::string to_string(const std::optional<DeviceOptions>& options) {
  if (!options) return "none";
  std::vector<std::string> changes;
  for (const auto& [name, value] : options->changes) changes.push_back(setting_text(name, value));
  return options->name + (changes.empty() ? "" : ":" + join(changes, ","));
}

Converter parse_converter(const std::string& text) {
  Converter converter;
  each_setting(text, [&](const std::string& name, std::optional<double> value, const std::string& piece) {
    set(converter, converter_settings(), name, value, piece, "converter");
  });
  return checked(converter);
}

std::string to_string(const Converter& converter) {
  std::vector<std::string> changes;
  for (const Setting<Converter>& setting : converter_settings())
    if (const double value = setting.get(converter); value != setting.get(Converter()))
      changes.push_back(setting_text(setting.name, value));
  return join(changes, ",");
}

Operations parse_operations(const std::string& text) {
  Operations operations{false, false, false, false};
  if (text == "none") return operations;
  for (const std::string& name : split(text, ','))
    operations.*find_row(operation_rows(), "part of an array", name).real = true;
  return operations;
}

std::string to_string(const Operations& operations) {
  std::vector<std::string> names;
  for (const Operation& row : operation_rows())
    if (operations.*row.real) names.push_back(row.name);
  return names.empty() ? "none" : join(names, ",");
}

const std::vector<std::string>& sensing_names() {
  static const std::vector<std::string> names = {"auto", "exact", "summed", "serial"};
  return names;
}

std::string to_string(Sensing sensing) { return sensing_names().at(static_cast<std::size_t>(sensing)); }

}  // namespace grapes::analog
