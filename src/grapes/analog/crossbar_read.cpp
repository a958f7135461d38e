#include "grapes/analog/crossbar.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

namespace grapes::analog {
namespace {

/// Returns the variance of one read of each weight; undefined: 0.
at::Tensor read_variance(const Crossbar& c) {
  const Device& d = c.device;
  if (d.read_noise == 0) return {};
  const auto of = [&](const Plane& p) {
    if (d.read_exponent == 0) return at::full_like(p.state, d.read_noise * d.read_noise);
    return (p.seen.abs() / d.high).pow_(2 * d.read_exponent).mul_(d.read_noise * d.read_noise);
  };
  return c.paired() ? of(c.plus) + of(c.minus) : of(c.plus);
}

at::Tensor difference(const Crossbar& c) { return c.paired() ? c.plus.seen - c.minus.seen : c.plus.seen; }

/// Returns the array for a read. dim = 1: transposed, with its inputs at the units.
Array array_of(const Crossbar& c, std::int64_t dim = 0) {
  const at::Tensor variance = read_variance(c);
  const auto turned = [&](const at::Tensor& t) { return dim == 0 || !t.defined() ? t : t.t(); };
  return {turned(difference(c)), turned(variance), std::isfinite(c.device.high) ? c.device.high : 1};
}
const Converter& converter_of(const Crossbar& c, std::int64_t dim) {
  return dim == 0 ? c.options.forward : c.options.backward;
}
/// Name of the random stream; forward reads use the name itself.
std::string stream(const char* what, std::int64_t dim) { return dim == 0 ? what : std::string(what) + " backward"; }

/// Reads both polarities summed with all inputs on. The input is halved until the output is below the ADC's bound.
at::Tensor summed(const Crossbar& c, std::int64_t dim, std::int64_t step) {
  Array array = array_of(c, dim);
  double offset = 0;
  if (c.paired()) {
    array.G = c.plus.seen + c.minus.seen;
    if (dim == 1) array.G = array.G.t();
  } else if (std::isfinite(c.device.low)) {
    array.G = array.G - 2 * c.device.low;
    offset = -2 * c.device.low * static_cast<double>(array.G.size(1));
  }
  Converter converter = converter_of(c, dim);
  converter.bound_management = true;
  const at::Tensor sum = read(array, at::ones({1, array.G.size(1)}), converter, c.key(stream("summed", dim), step));
  return (sum.squeeze(0) - offset) * c.options.scale;
}

at::Tensor serial(const Crossbar& c, std::int64_t dim, std::int64_t step) {
  const Array array = array_of(c, dim);
  Converter converter = converter_of(c, dim);
  converter.output_noise /= converter.output_bound;
  converter.output_bound = 1;
  converter.bound_management = false;
  const at::Tensor each = read(array, at::eye(array.G.size(1)), converter, c.key(stream("serial", dim), step));
  return each.abs().sum(0) * c.options.scale;
}

}  // namespace

at::Tensor weights(const Crossbar& c) { return difference(c) * c.options.scale; }

at::Tensor forward(const Crossbar& c, const at::Tensor& x, std::int64_t step) {
  const at::NoGradGuard no_grad;
  c.check_batch(x, c.plus.state.size(1), "x");
  if (!c.options.real.forward) return at::matmul(x, weights(c).t());
  return read(array_of(c), x, c.options.forward, c.key("forward", step)).mul_(c.options.scale);
}

at::Tensor backward(const Crossbar& c, const at::Tensor& error, std::int64_t step) {
  const at::NoGradGuard no_grad;
  c.check_batch(error, c.plus.state.size(0), "error");
  if (!c.options.real.backward) return at::matmul(error, weights(c));
  return read(array_of(c, 1), error, c.options.backward, c.key("backward", step)).mul_(c.options.scale);
}

at::Tensor responsibility(const Crossbar& c, Sensing how, std::int64_t dim, std::int64_t step) {
  const at::NoGradGuard no_grad;
  // If the array does not compute the forward pass, its devices are not read for responsibility either.
  if (how == Sensing::automatic)
    how = !c.options.real.forward ? Sensing::exact : c.paired() ? Sensing::summed : Sensing::serial;
  if (how == Sensing::exact) return weights(c).abs().sum(1 - dim);
  return how == Sensing::summed ? summed(c, dim, step) : serial(c, dim, step);
}

at::Tensor responsibility(const Crossbar& c, std::int64_t dim, std::int64_t step) {
  return responsibility(c, c.options.responsibility, dim, step);
}

}  // namespace grapes::analog
