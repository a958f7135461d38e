#pragma once

#include <limits>
#include <map>
#include <string>
#include <vector>

/// Analog in-memory computing: layers whose weights are conductances of devices in a crossbar.
///
/// A device has a dimensionless state w in [low, high]: its conductance divided by a reference conductance. One pulse
/// changes it to
///   w ← clip(w ± (Δ±(w) + σ(w) ξ), low, high),   σ(w) = noise_step |Δ±(w)| + noise_add + noise_state |w|,   ξ ~ N(0,1)
/// with, for s± = step (1 ± β + step_spread ξ) and β = imbalance + imbalance_spread ξ of each device,
///   constant     Δ± = s±                                                                 Gokmen and Vlasov 2016
///   soft_bounds  Δ+ = s+ (1 - w/high),  Δ- = s- (1 - w/low)
///   exponential  Δ± = s± max(0, 1 - A± exp(±γ± z)),  z = 2 a w/(high - low) + b          aihwkit's ExpStepDevice
/// Each device names the sources of its numbers.
namespace grapes::analog {

enum class Response { constant, soft_bounds, exponential };

/// A weight is the difference of two conductances, G+ - G-.
///   reference  one device receives pulses up and down, the other stays at -low: w = G+ - G-, G+ = w - low
///   one_sided  both receive only pulses up: G+ to increase the weight, G- to decrease it; low = 0. If one is nearly
///              full and the other is not empty, both are reset and their difference is written again (a refresh)
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
  std::map<std::string, std::string> sources = {};  ///< source of each number, by the name of its field
};

/// A number of a device: name, unit, meaning and bounds. All numbers except `low` and `high` must be finite.
struct Field {
  std::string name, unit, meaning;
  double Device::*value;
  double least = 0, most = std::numeric_limits<double>::infinity();
};
const std::vector<Field>& fields();

/// Checks the values. @throws c10::ValueError with the name of the invalid one and its valid range
void check(const Device& device);

/// Returns the table of devices. An experiment copies a row and changes fields of the copy.
const std::vector<Device>& devices();

/// Returns Δ+ or Δ- of the nominal device, without spread and noise.
double mean_step(const Device& device, double w, bool up);

/// Returns the state of the nominal device after `pulses` pulses in one direction, in closed form. For `exponential` it
/// is the solution of dw/dn = ±Δ±(w), which differs from the pulses by at most one step. It needs A <= 0, as all
/// devices in the table have.
double after_pulses(const Device& device, double w, double pulses, bool up);

}  // namespace grapes::analog
