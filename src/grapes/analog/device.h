#pragma once

#include <limits>
#include <map>
#include <string>
#include <vector>

/// Analog in-memory computing: layers whose weights are conductances of devices in a crossbar.
///
/// A device has a state w in [low, high], without unit: conductance over a reference conductance. One pulse moves it by
///   w ← clip(w ± (Δ±(w) + σ(w) ξ), low, high),   σ(w) = noise_step |Δ±(w)| + noise_add + noise_state |w|,   ξ ~ N(0,1)
/// with, for s± = step (1 ± β + step_spread ξ) and β = imbalance + imbalance_spread ξ of each device,
///   constant     Δ± = s±                                                                 Gokmen and Vlasov 2016
///   soft_bounds  Δ+ = s+ (1 - w/high),  Δ- = s- (1 - w/low)
///   exponential  Δ± = s± max(0, 1 - A± exp(±γ± z)),  z = 2 a w/(high - low) + b          aihwkit's ExpStepDevice
/// Which of the numbers are published, and where, stands with each device.
namespace grapes::analog {

enum class Response { constant, soft_bounds, exponential };

/// A weight is a difference of two conductances, G+ - G-.
///   reference  one device is pulsed up and down, the other keeps the conductance -low: w = G+ - G-, G+ = w - low
///   one_sided  both are pulsed up only, G+ for an increase of the weight and G- for a decrease; low = 0. When one is
///              nearly full and the other is not empty, both are reset and their difference is written anew (a refresh)
enum class Pair { reference, one_sided };

struct Device {
  std::string name, summary, source;
  Response response = Response::constant;
  Pair pair = Pair::reference;
  double step = 0, imbalance = 0;
  double low = 0, high = 0;
  double a = 0, b = 0, gamma_up = 0, gamma_down = 0, A_up = 0, A_down = 0;
  double step_spread = 0, imbalance_spread = 0, low_spread = 0, high_spread = 0;
  double noise_step = 0, noise_add = 0, noise_state = 0, write_noise = 0;
  double read_noise = 0, read_exponent = 0;
  double program_noise = 0, program_linear = 0, program_square = 0;
  double drift = 0, drift_spread = 0;
  double reset = 0, reset_spread = 0, refresh_above = 1, refresh_below = 1;
  double stuck = 0;
  std::map<std::string, std::string> sources = {};  ///< of each number that is given, by the name of its field
};

/// A number of a device: how it is called, its unit, what it means, and its bounds. All are finite but `low` and
/// `high`.
struct Field {
  std::string name, unit, meaning;
  double Device::*value;
  double least = 0, most = std::numeric_limits<double>::infinity();
};
const std::vector<Field>& fields();

/// @throws c10::ValueError that names the number that cannot be, and what it may be
void check(const Device& device);

/// The table. Rows are values: an experiment copies one and changes what it asks about.
const std::vector<Device>& devices();

/// Δ+ or Δ- of the nominal device: no spread, no noise.
double mean_step(const Device& device, double w, bool up);

/// Where the nominal device stands after so many pulses one way, in closed form. `exponential` is the solution of
/// dw/dn = ±Δ±(w), which the pulses follow up to a step; needs A <= 0, as the table has it.
double after_pulses(const Device& device, double w, double pulses, bool up);

}  // namespace grapes::analog
