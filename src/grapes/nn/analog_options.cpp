#include "grapes/nn/analog_options.h"

#include "grapes/base/table.h"

#include <cmath>
#include <functional>
#include <utility>
#include <vector>

namespace grapes::nn {
namespace {

/// A field that can be set by name. `set` returns false if the number is out of range.
template <class Owner>
struct Setting {
  std::string name;
  std::function<bool(Owner&, double)> set;
  std::string takes = "NUMBER";
};

/// Sets the fields of `owner` from "a=1,b=2". @param what  name of the owner in error messages
template <class Owner>
void apply(const std::vector<Setting<Owner>>& settings, const std::string& text, const std::string& what,
           Owner& owner) {
  if (text.empty()) return;
  for (const std::string& piece : split(text, ',')) {
    const std::size_t at = piece.find('=');
    const Setting<Owner>& setting = find_row(settings, what + " field", piece.substr(0, at));
    const auto value = at == std::string::npos ? std::nullopt : to_double(piece.substr(at + 1));
    if (!value || !setting.set(owner, *value))
      throw UsageError(what + ": '" + piece + "': expected " + setting.name + "=" + setting.takes);
  }
}

/// @throws UsageError for values that an array does not support
template <class Part>
Part checked(const Part& part) {
  try {
    analog::check(part);
  } catch (const c10::Error& error) {
    throw UsageError(error.what_without_backtrace());
  }
  return part;
}

using analog::Converter;
using analog::Device;

std::vector<Setting<Device>> device_settings() {
  std::vector<Setting<Device>> all;
  for (const analog::Field& field : analog::fields())
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
}

const std::vector<Setting<Converter>>& converter_settings() {
  const auto bits = [](int Converter::*part) {
    return [part](Converter& c, double x) {
      const bool whole = std::abs(x) < 100 && x == std::floor(x);
      if (whole) c.*part = static_cast<int>(x);
      return whole;
    };
  };
  const auto real = [](double Converter::*part) {
    return [part](Converter& c, double x) {
      c.*part = x;
      return true;
    };
  };
  const auto flag = [](bool Converter::*part) {
    return [part](Converter& c, double x) {
      c.*part = x == 1;
      return x == 0 || x == 1;
    };
  };
  static const std::vector<Setting<Converter>> rows = {
      {"dac-bits", bits(&Converter::dac_bits), "WHOLE NUMBER, 2 to 24 or 0"},
      {"adc-bits", bits(&Converter::adc_bits), "WHOLE NUMBER, 2 to 24 or 0"},
      {"input-bound", real(&Converter::input_bound)},
      {"output-bound", real(&Converter::output_bound)},
      {"output-noise", real(&Converter::output_noise)},
      {"noise-management", flag(&Converter::noise_management), "0 or 1"},
      {"bound-management", flag(&Converter::bound_management), "0 or 1"}};
  return rows;
}

struct Part {
  std::string name;
  bool analog::Options::*flag;
};
struct Sense {
  std::string name;
  std::optional<analog::Sensing> how;
};

}  // namespace

Device device_from(const std::string& text) {
  const std::size_t colon = text.find(':');
  Device device = find_row(analog::devices(), "device", text.substr(0, colon));
  if (colon != std::string::npos) apply(device_settings(), text.substr(colon + 1), "device", device);
  return checked(device);
}

Converter converter_from(const std::string& text) {
  Converter converter;
  apply(converter_settings(), text, "converter", converter);
  return checked(converter);
}

analog::Options array_options(const AnalogOptions& options) {
  static const std::vector<Part> parts = {{"forward", &analog::Options::real_forward},
                                          {"backward", &analog::Options::real_backward},
                                          {"update", &analog::Options::real_update},
                                          {"write", &analog::Options::real_write}};
  static const std::vector<Sense> senses = {{"auto", std::nullopt},
                                            {"exact", analog::Sensing::exact},
                                            {"summed", analog::Sensing::summed},
                                            {"serial", analog::Sensing::serial}};
  analog::Options all;
  for (const Part& part : parts) all.*part.flag = false;
  if (options.real != "none")
    for (const std::string& name : split(options.real, ',')) all.*find_row(parts, "part of an array", name).flag = true;
  all.forward = all.backward = converter_from(options.read);
  all.responsibility = find_row(senses, "way to sense responsibility", options.responsibility).how;
  // If the array does not even multiply, its devices are not read for responsibility either.
  if (options.responsibility == "auto" && !all.real_forward) all.responsibility = analog::Sensing::exact;
  all.pulses = static_cast<int>(options.pulses);
  return all;
}

}  // namespace grapes::nn
