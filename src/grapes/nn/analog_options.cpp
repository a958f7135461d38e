#include "grapes/nn/analog_options.h"

#include "grapes/base/table.h"

#include <functional>
#include <utility>
#include <vector>

namespace grapes::nn {
namespace {

/// A name that can be set, and how.
template <class Owner>
struct Setting {
  std::string name;
  std::function<void(Owner&, double)> set;
};

/// "a=1,b=2" into `owner`. @param what  of the key, for errors
template <class Owner>
void apply(const std::vector<Setting<Owner>>& settings, const std::string& text, const std::string& what,
           Owner& owner) {
  if (text.empty()) return;
  for (const std::string& piece : split(text, ',')) {
    const std::size_t at = piece.find('=');
    const Setting<Owner>& setting = find_row(settings, what + " field", piece.substr(0, at));
    const auto value = at == std::string::npos ? std::nullopt : to_double(piece.substr(at + 1));
    if (!value) throw UsageError(what + ": '" + piece + "': takes " + setting.name + "=NUMBER");
    setting.set(owner, *value);
  }
}

using analog::Converter;
using analog::Device;

std::vector<Setting<Device>> device_settings() {
  std::vector<Setting<Device>> all;
  for (const analog::Field& field : analog::fields())
    all.push_back({field.name, [at = field.value](Device& device, double value) { device.*at = value; }});
  const auto times = [&](const std::string& name, std::vector<double Device::*> parts) {
    all.push_back({name, [parts = std::move(parts)](Device& device, double factor) {
                     for (double Device::*part : parts) device.*part *= factor;
                   }});
  };
  times("noise",
        {&Device::noise_step, &Device::noise_add, &Device::noise_state, &Device::write_noise, &Device::read_noise,
         &Device::program_noise, &Device::program_linear, &Device::program_square, &Device::reset_spread});
  times("spread", {&Device::step_spread, &Device::imbalance_spread, &Device::low_spread, &Device::high_spread,
                   &Device::drift_spread});
  return all;
}

const std::vector<Setting<Converter>>& converter_settings() {
  static const std::vector<Setting<Converter>> rows = {
      {"dac-bits", [](Converter& c, double x) { c.dac_bits = static_cast<int>(x); }},
      {"adc-bits", [](Converter& c, double x) { c.adc_bits = static_cast<int>(x); }},
      {"input-bound", [](Converter& c, double x) { c.input_bound = x; }},
      {"output-bound", [](Converter& c, double x) { c.output_bound = x; }},
      {"output-noise", [](Converter& c, double x) { c.output_noise = x; }},
      {"noise-management", [](Converter& c, double x) { c.noise_management = x != 0; }},
      {"bound-management", [](Converter& c, double x) { c.bound_management = x != 0; }}};
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
  if (colon != std::string::npos) apply(device_settings(), text.substr(colon + 1), "analog", device);
  return device;
}

Converter converter_from(const std::string& text) {
  Converter converter;
  apply(converter_settings(), text, "analog-read", converter);
  return converter;
}

analog::Options array_options(const AnalogOptions& options) {
  static const std::vector<Part> parts = {{"forward", &analog::Options::real_forward},
                                          {"backward", &analog::Options::real_backward},
                                          {"update", &analog::Options::real_update}};
  static const std::vector<Sense> senses = {{"auto", std::nullopt},
                                            {"exact", analog::Sensing::exact},
                                            {"summed", analog::Sensing::summed},
                                            {"serial", analog::Sensing::serial}};
  analog::Options all;
  for (const Part& part : parts) all.*part.flag = false;
  if (options.real != "none")
    for (const std::string& name : split(options.real, ',')) all.*find_row(parts, "analog-real part", name).flag = true;
  all.forward = all.backward = converter_from(options.read);
  all.responsibility = find_row(senses, "analog-responsibility", options.responsibility).how;
  // Where the array does not even multiply, nobody reads it for this.
  if (options.responsibility == "auto" && !all.real_forward) all.responsibility = analog::Sensing::exact;
  all.pulses = static_cast<int>(options.pulses);
  return all;
}

}  // namespace grapes::nn
