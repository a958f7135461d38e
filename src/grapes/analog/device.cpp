#include "grapes/analog/device.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace grapes::analog {
namespace {

const std::string rpu = "Gokmen and Vlasov 2016, default of aihwkit's PulsedDevice";
const std::string same = "ours: as constant-step, so that the two differ only in the response";
const std::string es = "aihwkit's ReRamESPresetDevice, fitted to Gong et al. 2018";
const std::string gst = "aihwkit's PCMPresetDevice, fitted to Nandakumar et al. 2020";
const std::string array =
    "aihwkit's pcm_inference.rst, of a million devices; Nandakumar et al. 2019, Joshi et al. 2020";
const std::string sb = "aihwkit's ReRamSBPresetDevice, loosely fitted to Gong et al. 2018";
const std::string off = "ours: none by default";

std::map<std::string, std::string> sources(const std::vector<std::string>& names, const std::string& source) {
  std::map<std::string, std::string> result;
  for (const std::string& name : names) result[name] = source;
  return result;
}

Device baseline(const std::string& source) {
  Device device;
  device.step = 0.001;
  device.low = -0.6;
  device.high = 0.6;
  device.step_spread = device.low_spread = device.high_spread = 0.3;
  device.imbalance_spread = 0.01;
  device.noise_step = 0.3;
  device.sources = sources(
      {"step", "low", "high", "step_spread", "low_spread", "high_spread", "imbalance_spread", "noise_step"}, source);
  return device;
}

Device constant_step() {
  Device device = baseline(rpu);
  device.name = "constant-step";
  device.summary = "equal steps between hard bounds: the baseline for resistive processing units";
  device.source = "Gokmen and Vlasov, Frontiers in Neuroscience 10:333, 2016";
  return device;
}

Device soft_bounds() {
  Device device = baseline(same);
  device.name = "soft-bounds";
  device.summary = "steps that decrease linearly toward the bounds: the reference for nonlinear devices";
  device.source = "response of aihwkit's SoftBoundsDevice, with our numbers";
  device.response = Response::soft_bounds;
  return device;
}

Device reram() {
  Device device;
  device.name = "reram";
  device.summary = "HfO2 ReRAM: exponential steps, asymmetric, with noise of several steps per pulse";
  device.source = "Gong et al., Nature Communications 9:2102, 2018, as aihwkit fitted it";
  device.response = Response::exponential;
  // aihwkit subtracts up_down = 0.259359 from the step down and leaves the step up unchanged. Here `step` is the mean
  // of both, and `imbalance` the difference from it.
  const double dw_min = 0.00135, up_down = 0.259359, mean = 1 - up_down / 2;
  device.step = dw_min * mean;
  device.imbalance = up_down / 2 / mean;
  device.low = -1;
  device.high = 1;
  device.a = device.b = -0.5;
  device.gamma_up = device.gamma_down = 5;
  device.A_up = -1.18445;
  device.A_down = -0.081404;
  device.step_spread = 0.2 / mean;
  device.imbalance_spread = 0.05 / mean;
  device.low_spread = device.high_spread = 0.3;
  device.noise_step = 5;
  device.write_noise = 75 * dw_min;
  device.sources =
      sources({"step", "imbalance", "low", "high", "a", "b", "gamma_up", "gamma_down", "A_up", "A_down", "step_spread",
               "imbalance_spread", "low_spread", "high_spread", "noise_step", "write_noise"},
              es);
  return device;
}

Device reram_soft_bounds() {
  Device device;
  device.name = "reram-soft-bounds";
  device.summary = "the same ReRAM with soft bounds; its fixed reference device subtracts the symmetry point";
  device.source = "Gong et al., Nature Communications 9:2102, 2018, as aihwkit fitted it";
  device.response = Response::soft_bounds;
  device.step = 0.002;
  device.low = -0.75;
  device.high = 1.25;
  device.step_spread = 0.3;
  device.imbalance_spread = 0.01;
  device.low_spread = 0.3 / 0.75;
  device.high_spread = 0.3 / 1.25;
  device.noise_add = 3.75 * device.step;
  device.write_noise = 56 * device.step;
  device.sources = sources({"step", "low", "high", "step_spread", "imbalance_spread", "low_spread", "high_spread",
                            "noise_add", "write_noise"},
                           sb);
  return device;
}

Device pcm() {
  Device device;
  device.name = "pcm";
  device.summary =
      "phase-change memory: pairs of devices that only increase step by step, saturate and drift; full pairs are "
      "refreshed";
  device.source = "Nandakumar et al., Frontiers in Neuroscience 14:406, 2020, as aihwkit fitted it";
  device.response = Response::exponential;
  device.pair = Pair::one_sided;
  device.step = 0.01;
  device.high = 2;
  device.a = -1;
  device.gamma_up = device.gamma_down = 2.5;
  device.A_up = -27.235;
  device.A_down = -2.235;
  device.step_spread = 0.2;
  device.imbalance_spread = 0.05;
  device.high_spread = 0.1;
  device.noise_step = 0.6;  // the preset gives the other two in units of this one
  device.noise_add = 0.6 * 0.042;
  device.noise_state = 0.6 * 0.108;
  device.reset = 0.01;
  device.reset_spread = 0.02;
  device.sources =
      sources({"step", "low", "high", "a", "gamma_up", "gamma_down", "A_up", "A_down", "step_spread",
               "imbalance_spread", "high_spread", "noise_step", "noise_add", "noise_state", "reset", "reset_spread"},
              gst);
  device.refresh_above = 0.75;
  device.refresh_below = 0.25;
  device.sources.merge(sources({"refresh_above", "refresh_below"}, "aihwkit's OneSidedUnitCell, its defaults"));
  // σ = g Q sqrt(log((t + 250 ns) / 500 ns)) with Q = 0.0088 g^-0.65 at g = G/G_max, t = 20 s, without the cap of Q.
  device.read_noise = device.high * 0.0088 * std::sqrt(std::log((20 + 250e-9) / 500e-9));
  device.read_exponent = 0.35;
  device.program_noise = 0.2635 / 25;  // in µS, divided by the 25 µS of a full device
  device.program_linear = 1.9650 / 25;
  device.program_square = -1.1731 / 25;
  device.drift = 0.049;
  device.drift_spread = 0.008;
  device.sources.merge(sources(
      {"read_noise", "read_exponent", "program_noise", "program_linear", "program_square", "drift", "drift_spread"},
      array));
  return device;
}

Device ideal() {
  Device device;
  device.name = "ideal";
  device.summary = "equal steps without bounds, spread or noise: shows the effect of pulses alone";
  device.source = "ours, to separate the effect of pulses from that of devices";
  device.step = 0.001;
  device.low = -std::numeric_limits<double>::infinity();
  device.high = std::numeric_limits<double>::infinity();
  device.sources = sources({"step", "low", "high"}, "ours; the step is that of constant-step");
  return device;
}

/// Solves dv/dn = s (1 - A exp(γ (k v + b))) with A, k < 0, from v over n. With κ = -γ k, B = -A exp(γ b) and u = exp(κ
/// v) it is du/dn = κ s (u + B).
double exponential_rise(double v, double n, double s, double A, double gamma, double k, double b) {
  const double kappa = -gamma * k, B = -A * std::exp(gamma * b);
  return std::log((std::exp(kappa * v) + B) * std::exp(kappa * s * n) - B) / kappa;
}

}  // namespace

const std::vector<Field>& fields() {
  constexpr double inf = std::numeric_limits<double>::infinity();
  static const std::vector<Field> table = {
      {"step", "state", "Δw_min: mean step of a pulse; for exponential devices in the flat range", &Device::step},
      {"imbalance", "1", "β: relative excess of the step up over the mean of both", &Device::imbalance, -1, 1},
      {"low", "state", "lower bound", &Device::low, -inf, 0},
      {"high", "state", "upper bound", &Device::high},
      {"a", "1", "exponential: slope over the range", &Device::a, -inf, 0},
      {"b", "1", "exponential: offset", &Device::b, -inf},
      {"gamma_up", "1", "exponential: γ+", &Device::gamma_up, -inf},
      {"gamma_down", "1", "exponential: γ-", &Device::gamma_down, -inf},
      {"A_up", "1", "exponential: A+", &Device::A_up, -inf, 0},
      {"A_down", "1", "exponential: A-", &Device::A_down, -inf, 0},
      {"step_spread", "of step", "s.d. of the step over devices", &Device::step_spread},
      {"imbalance_spread", "1", "s.d. of the imbalance over devices", &Device::imbalance_spread},
      {"low_spread", "of low", "s.d. of the lower bound over devices", &Device::low_spread},
      {"high_spread", "of high", "s.d. of the upper bound over devices", &Device::high_spread},
      {"noise_step", "of the step", "s.d. of a step over pulses", &Device::noise_step},
      {"noise_add", "state", "s.d. of a step over pulses, the part that does not depend on the step",
       &Device::noise_add},
      {"noise_state", "of the state", "s.d. of a step over pulses, the part that grows with the state",
       &Device::noise_state},
      {"write_noise", "state", "s.d. of the value that reads see around the state, drawn at each pulse",
       &Device::write_noise},
      {"read_noise", "state", "s.d. of one read of a full device", &Device::read_noise},
      {"read_exponent", "1", "read noise grows with (w/high) to this power; 0: constant", &Device::read_exponent},
      {"program_noise", "of high", "s.d. of writing g = w/high: this + linear g + square g²", &Device::program_noise},
      {"program_linear", "of high", "see program_noise", &Device::program_linear, -inf},
      {"program_square", "of high", "see program_noise", &Device::program_square, -inf},
      {"drift", "1", "ν: the state decays as (t/t0)^-ν", &Device::drift},
      {"drift_spread", "1", "s.d. of ν over devices", &Device::drift_spread},
      {"reset", "state", "mean state after a reset", &Device::reset},
      {"reset_spread", "state", "s.d. of the state after a reset, over resets", &Device::reset_spread},
      {"refresh_above", "of high", "a pair is refreshed when its fuller device is above this", &Device::refresh_above},
      {"refresh_below", "of high", "... and its emptier device is above this", &Device::refresh_below},
      {"stuck", "1", "fraction of devices that never change", &Device::stuck, 0, 1},
  };
  return table;
}

void check(const Device& d) {
  for (const Field& field : fields()) {
    const double value = d.*field.value;
    const bool bound = field.value == &Device::low || field.value == &Device::high;
    TORCH_CHECK_VALUE(field.least <= value && value <= field.most && (bound || std::isfinite(value)), "device '",
                      d.name, "': ", field.name, " must be a number from ", field.least, " to ", field.most, "; got ",
                      value);
  }
  TORCH_CHECK_VALUE(d.step > 0, "device '", d.name, "': step must be above 0; got ", d.step);
  TORCH_CHECK_VALUE(d.high > 0, "device '", d.name, "': high must be above 0; got ", d.high);
  const bool one_sided = d.pair == Pair::one_sided;
  TORCH_CHECK_VALUE(!one_sided || d.low == 0, "device '", d.name,
                    "': low must be 0 because its pairs are one-sided; got ", d.low);
  TORCH_CHECK_VALUE(one_sided || d.low < 0, "device '", d.name, "': low must be below 0; got ", d.low);
  TORCH_CHECK_VALUE(d.stuck == 0 || (std::isfinite(d.low) && std::isfinite(d.high)), "device '", d.name,
                    "': stuck needs finite bounds; low and high are ", d.low, " and ", d.high);
  TORCH_CHECK_VALUE(d.response == Response::constant || (std::isfinite(d.low) && std::isfinite(d.high)), "device '",
                    d.name, "': its response needs finite bounds; low and high are ", d.low, " and ", d.high);
  TORCH_CHECK_VALUE(d.response != Response::exponential ||
                        (d.a < 0 && d.gamma_up > 0 && d.gamma_down > 0 && d.A_up < 0 && d.A_down < 0),
                    "device '", d.name,
                    "': an exponential response needs a, A_up, A_down below 0 and gamma_up, gamma_down above; got ",
                    d.a, ", ", d.A_up, ", ", d.A_down, ", ", d.gamma_up, ", ", d.gamma_down);
}

const std::vector<Device>& devices() {
  static const std::vector<Device> table = [] {
    std::vector<Device> rows = {constant_step(), soft_bounds(), reram(), reram_soft_bounds(), pcm(), ideal()};
    for (Device& row : rows) row.sources["stuck"] = off;
    return rows;
  }();
  return table;
}

double mean_step(const Device& device, double w, bool up) {
  const double s = device.step * (up ? 1 + device.imbalance : 1 - device.imbalance);
  if (device.response == Response::constant) return s;
  if (device.response == Response::soft_bounds) return s * (1 - w / (up ? device.high : device.low));
  const double z = 2 * device.a * w / (device.high - device.low) + device.b;
  return s * std::max(0.0, up ? 1 - device.A_up * std::exp(device.gamma_up * z)
                              : 1 - device.A_down * std::exp(-device.gamma_down * z));
}

double after_pulses(const Device& device, double w, double pulses, bool up) {
  const double s = device.step * (up ? 1 + device.imbalance : 1 - device.imbalance);
  const double bound = up ? device.high : device.low;
  if (device.response == Response::soft_bounds)
    return bound - (bound - w) * std::pow(std::max(0.0, 1 - s / std::abs(bound)), pulses);
  double result = w + (up ? s : -s) * pulses;
  if (device.response == Response::exponential) {
    const double k = 2 * device.a / (device.high - device.low);
    // A step down is a step up for -w: exp(-γ (k w + b)) = exp(γ (k (-w) - b)).
    result = up ? exponential_rise(w, pulses, s, device.A_up, device.gamma_up, k, device.b)
                : -exponential_rise(-w, pulses, s, device.A_down, device.gamma_down, k, -device.b);
  }
  return std::clamp(result, device.low, device.high);
}

}  // namespace grapes::analog
