#include "grapes/analog/crossbar.h"

#include "grapes/analog/pulse.h"
#include "grapes/base/random.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace grapes::analog {
namespace {

/// Draws the numbers of each device. A stuck device has a range of one point.
Plane make_plane(const Device& d, std::int64_t nodes, std::int64_t inputs, std::uint64_t seed) {
  Plane p;
  const auto room = [&] { return at::empty({nodes, inputs}, at::kFloat); };
  p.up = room(), p.down = room(), p.low = room(), p.high = room();
  if (d.drift > 0 || d.drift_spread > 0) p.drift = room();
  Random random(seed);
  // All numbers are drawn even if they are not needed, so changing one number of a device does not change the others'
  // draws.
  const auto spread = [&](double value, double share) {
    const double one = random.normal();
    return share == 0 ? value : value * (1 + share * one);
  };
  for (std::int64_t i = 0; i < nodes * inputs; ++i) {
    const double step = std::max(0.0, spread(d.step, d.step_spread) / d.step);
    const double imbalance = d.imbalance + d.imbalance_spread * random.normal();
    // A step that would change its sign is set to 0. A bound stays away from 0, because soft bounds divide by it.
    double low = std::min(spread(d.low, d.low_spread), 0.01 * d.low);
    double high = std::max(spread(d.high, d.high_spread), 0.01 * d.high);
    double nu = d.drift + d.drift_spread * random.normal();
    if (const double u = random.uniform(); u < d.stuck) low = high = low + (high - low) * (u / d.stuck), nu = 0;
    const auto set = [i](const at::Tensor& tensor, double value) {
      tensor.data_ptr<float>()[i] = static_cast<float>(value);
    };
    set(p.up, d.step * std::max(0.0, step + imbalance));
    set(p.down, d.step * std::max(0.0, step - imbalance));
    set(p.low, low);
    set(p.high, high);
    if (p.drift.defined()) set(p.drift, nu);
  }
  p.state = at::zeros({nodes, inputs}, at::kFloat).clamp_(p.low, p.high);
  p.seen = d.write_noise > 0 ? p.state.clone() : p.state;
  return p;
}

Cells cells(const Plane& p) {
  if (!p.state.defined()) return {};
  return {p.state.data_ptr<float>(), p.seen.data_ptr<float>(), p.up.data_ptr<float>(),
          p.down.data_ptr<float>(),  p.low.data_ptr<float>(),  p.high.data_ptr<float>()};
}

/// Writes a plane's part of the difference w.
void write(const Crossbar& c, const Plane& plane, const at::Tensor& w, const char* what,
           std::optional<std::int64_t> step) {
  const Device& d = c.device;
  at::Tensor target = w;
  const auto noise = [&](const char* kind) {
    return normal_tensor(stream_seed(c.key(what, *step), kind), w.size(0), w.size(1));
  };
  if (step && (d.program_noise > 0 || d.program_linear > 0)) {
    const at::Tensor g = w.abs() / d.high;
    const at::Tensor sd =
        (d.program_noise + d.program_linear * g + d.program_square * g.square()).clamp_min_(0) * d.high;
    target = w + sd * noise("program");
  }
  plane.state.copy_(target.clamp(plane.low, plane.high));
  if (d.write_noise == 0) return;
  plane.seen.copy_(plane.state);
  if (step) plane.seen.add_(noise("write") * (plane.low < plane.high), d.write_noise);
}

void write_weights(Crossbar& c, const at::Tensor& W, std::optional<std::int64_t> step) {
  const at::NoGradGuard no_grad;
  TORCH_CHECK(W.sizes() == c.plus.state.sizes(), "crossbar: weights must be ", c.plus.state.sizes(), "; got ",
              W.sizes());
  const at::Tensor w = W.to(at::kFloat) / c.options.scale;
  write(c, c.plus, c.paired() ? w.clamp_min(0) : w, "program plus", step);
  if (c.paired()) write(c, c.minus, (-w).clamp_min(0), "program minus", step);
}

using Send = std::int64_t (*)(const Device&, const Trains&, const Cells&, const Cells&);

std::int64_t update_by(Send send, Crossbar& c, const at::Tensor& x, const at::Tensor& error, double rate,
                       std::int64_t step) {
  const at::NoGradGuard no_grad;
  c.check_batch(x, c.plus.state.size(1), "x");
  c.check_batch(error, c.plus.state.size(0), "error");
  TORCH_CHECK(x.size(0) == error.size(0), "crossbar: x and error must have the same batch size; got ", x.size(0),
              " and ", error.size(0));
  if (!c.options.real.update) {
    write_weights(c, weights(c) - at::matmul(error.t(), x) * rate, std::nullopt);
    return 0;
  }
  TORCH_CHECK_VALUE(rate >= 0, "crossbar: the rate must be at least 0; got ", rate);
  const at::Tensor inputs = x.contiguous(), errors = error.contiguous();
  Trains trains;
  trains.x = inputs.data_ptr<float>();
  trains.error = errors.data_ptr<float>();
  trains.batch = x.size(0), trains.nodes = error.size(1), trains.inputs = x.size(1);
  trains.length = c.options.pulses;
  trains.gain = rate / (c.options.scale * c.options.pulses * c.device.step);
  trains.management = c.options.update_management;
  trains.key = c.key("update", step);
  const std::int64_t pulses = send(c.device, trains, cells(c.plus), cells(c.minus));
  if (c.options.refresh) refresh(c, step);
  return pulses;
}

}  // namespace

void check(const Options& options) {
  TORCH_CHECK_VALUE(options.pulses >= 1 && options.pulses <= 32, "crossbar: pulses must be 1 to 32; got ",
                    options.pulses);
  TORCH_CHECK_VALUE(options.scale > 0 && std::isfinite(options.scale), "crossbar: scale must be above 0; got ",
                    options.scale);
  check(options.forward);
  check(options.backward);
}

std::uint64_t Crossbar::key(std::string_view what, std::int64_t step) const {
  return stream_seed(seed, what, static_cast<std::uint64_t>(step));
}

void Crossbar::check_batch(const at::Tensor& tensor, std::int64_t width, const char* what) const {
  TORCH_CHECK(tensor.dim() == 2 && tensor.size(1) == width && tensor.scalar_type() == at::kFloat, "crossbar: ", what,
              " must be float32 [batch, ", width, "] for an array of ", plus.state.sizes(), "; got ", tensor.sizes(),
              " ", tensor.scalar_type());
}

Crossbar make_crossbar(const Device& device, std::int64_t nodes, std::int64_t inputs, const Options& options,
                       std::uint64_t seed) {
  check(device);
  check(options);
  TORCH_CHECK_VALUE(nodes > 0 && inputs > 0, "crossbar: units and inputs must be above 0; got ", nodes, " and ",
                    inputs);
  Crossbar c{device, options, seed, make_plane(device, nodes, inputs, stream_seed(seed, "plus")), {}};
  if (c.paired()) c.minus = make_plane(device, nodes, inputs, stream_seed(seed, "minus"));
  return c;
}

double scale_for(const Device& device, const at::Tensor& W, double share) {
  TORCH_CHECK_VALUE(share > 0 && share <= 1, "scale_for: share must be above 0 and at most 1; got ", share);
  if (!std::isfinite(device.high)) return 1;
  const double most = W.abs().max().item<double>();
  const double range = device.pair == Pair::one_sided ? device.high : std::min(-device.low, device.high);
  return most > 0 ? most / (share * range) : 1;
}

void program(Crossbar& c, const at::Tensor& W, std::int64_t step) {
  write_weights(c, W, c.options.real.write ? std::optional(step) : std::nullopt);
}

std::int64_t update(Crossbar& c, const at::Tensor& x, const at::Tensor& error, double rate, std::int64_t step) {
  return update_by(send, c, x, error, rate, step);
}
std::int64_t plain::update(Crossbar& c, const at::Tensor& x, const at::Tensor& error, double rate, std::int64_t step) {
  return update_by(plain::send, c, x, error, rate, step);
}

void pulse_all(Crossbar& c, bool up, std::int64_t step) {
  const at::Tensor x = at::ones({1, c.plus.state.size(1)}),
                   error = at::full({1, c.plus.state.size(0)}, up ? -1.0F : 1.0F);
  Trains trains;
  trains.x = x.data_ptr<float>();
  trains.error = error.data_ptr<float>();
  trains.batch = 1, trains.nodes = error.size(1), trains.inputs = x.size(1);
  trains.length = 1;
  trains.gain = 1;
  trains.key = c.key("pulse", step);
  send(c.device, trains, cells(c.plus), cells(c.minus));
}

std::int64_t refresh(Crossbar& c, std::int64_t step) {
  if (!c.paired()) return 0;
  const Device& d = c.device;
  const auto above = static_cast<float>(d.refresh_above * d.high), below = static_cast<float>(d.refresh_below * d.high);
  const Cells plus = cells(c.plus), minus = cells(c.minus);
  const std::uint64_t key = c.key("refresh", step);
  const std::int64_t inputs = c.plus.state.size(1);
  std::int64_t refreshed = 0;
  for (std::int64_t i = 0; i < c.plus.state.numel(); ++i) {
    if (std::max(plus.state[i], minus.state[i]) <= above || std::min(plus.state[i], minus.state[i]) <= below) continue;
    // A stuck device cannot be reset, so a difference cannot be written against it.
    if (plus.low[i] == plus.high[i] || minus.low[i] == minus.high[i]) continue;
    ++refreshed;
    const double w = plus.seen[i] - minus.seen[i], g = std::abs(w) / d.high;
    const Words at = {static_cast<std::uint32_t>(i % inputs), static_cast<std::uint32_t>(i / inputs), 0, 0};
    const Words first = random_words(key, at), second = random_words(key, {at[0], at[1], 1, 0});
    const double empty = std::max(0.0, d.reset + d.reset_spread * normal(first[0], first[1]));
    const double sd = std::max(0.0, d.program_noise + d.program_linear * g + d.program_square * g * g) * d.high;
    const auto put = [&](const Cells& p, double value, std::uint32_t u, std::uint32_t v) {
      p.state[i] = std::clamp(static_cast<float>(value), p.low[i], p.high[i]);
      if (d.write_noise > 0) p.seen[i] = p.state[i] + static_cast<float>(d.write_noise) * normal(u, v);
    };
    const bool up = w > 0;
    const std::uint32_t* emptied = &second[up ? 2 : 0];
    const std::uint32_t* written = &second[up ? 0 : 2];
    put(up ? minus : plus, empty, emptied[0], emptied[1]);
    // Write and verify: the target takes into account the state that the other device reached after its reset.
    const double full = (up ? minus : plus).state[i] + std::abs(w) + sd * normal(first[2], first[3]);
    put(up ? plus : minus, full, written[0], written[1]);
  }
  return refreshed;
}

void drift(Crossbar& c, double from, double to) {
  TORCH_CHECK_VALUE(0 < from && from <= to, "drift: times in seconds must satisfy 0 < from <= to; got ", from, " and ",
                    to);
  const at::NoGradGuard no_grad;
  for (const Plane* p : {&c.plus, &c.minus}) {
    if (!p->state.defined() || !p->drift.defined()) continue;
    const at::Tensor kept = at::pow(to / from, -p->drift);
    p->state.mul_(kept).clamp_(p->low, p->high);
    if (!p->seen.is_same(p->state)) p->seen.mul_(kept);
  }
}

Crossbar later(const Crossbar& crossbar, double times) {
  Crossbar aged = crossbar;
  for (Plane* p : {&aged.plus, &aged.minus}) {
    if (!p->state.defined()) continue;
    const bool apart = !p->seen.is_same(p->state);
    p->state = p->state.clone();
    p->seen = apart ? p->seen.clone() : p->state;
  }
  drift(aged, 1, times);
  return aged;
}

std::vector<std::pair<std::string, at::Tensor>> state(const Crossbar& c) {
  std::vector<std::pair<std::string, at::Tensor>> all;
  const auto add = [&](const std::string& name, const Plane& p) {
    if (!p.state.defined()) return;
    all.emplace_back(name + ".state", p.state);
    if (!p.seen.is_same(p.state)) all.emplace_back(name + ".seen", p.seen);
    all.insert(all.end(),
               {{name + ".up", p.up}, {name + ".down", p.down}, {name + ".low", p.low}, {name + ".high", p.high}});
    if (p.drift.defined()) all.emplace_back(name + ".drift", p.drift);
  };
  add("plus", c.plus);
  add("minus", c.minus);
  return all;
}

}  // namespace grapes::analog
