#include "grapes/analog/pulse.h"

#include "grapes/base/random.h"
#include "grapes/kernels/philox.h"
#include "grapes/kernels/threads.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <numbers>
#include <type_traits>
#include <vector>

namespace grapes::analog {
namespace {

/// The numbers of a device for the loops.
struct Law {
  explicit Law(const Device& d)
      : one_sided(d.pair == Pair::one_sided),
        a(static_cast<float>(2 * d.a)),
        b(static_cast<float>(d.b)),
        gamma{static_cast<float>(d.gamma_up), static_cast<float>(-d.gamma_down)},
        A{static_cast<float>(d.A_up), static_cast<float>(d.A_down)},
        noise_step(static_cast<float>(d.noise_step)),
        noise_add(static_cast<float>(d.noise_add)),
        noise_state(static_cast<float>(d.noise_state)),
        write_noise(static_cast<float>(d.write_noise)),
        noisy(d.noise_step > 0 || d.noise_add > 0 || d.noise_state > 0) {}
  bool one_sided;
  float a, b, gamma[2], A[2];  // up, down
  float noise_step, noise_add, noise_state, write_noise;
  bool noisy;
};

/// Returns the state after one pulse; xi from N(0,1).
template <Response response>
float pulsed(const Law& law, bool up, float w, float s, float low, float high, float xi) {
  if (!(low < high)) return w;
  float step = s;
  if constexpr (response == Response::soft_bounds) step = s * (1 - w / (up ? high : low));
  if constexpr (response == Response::exponential) {
    const float z = law.a * w / (high - low) + law.b;
    step = s * std::max(0.0F, 1 - law.A[up ? 0 : 1] * std::exp(law.gamma[up ? 0 : 1] * z));
  }
  if (law.noisy) step += (law.noise_step * std::abs(step) + law.noise_add + law.noise_state * std::abs(w)) * xi;
  return std::min(std::max(up ? w + step : w - step, low), high);
}

/// Random words of a pulse or a device. One block serves a pulse; its second half is for the write noise.
Words draw(const Trains& t, std::int64_t sample, std::int64_t node, std::int64_t input, std::uint32_t pulse) {
  return random_words(t.key, {static_cast<std::uint32_t>(input), static_cast<std::uint32_t>(node),
                              static_cast<std::uint32_t>(sample), pulse});
}

/// Sends all pulses of one example to one device, one after the other.
template <Response response>
void pulse(const Law& law, const Trains& t, std::int64_t sample, std::int64_t node, std::int64_t input, bool up,
           int count, const Cells& plus, const Cells& minus) {
  const Cells& cells = law.one_sided && !up ? minus : plus;
  const bool rise = law.one_sided || up;
  const std::int64_t at = node * t.inputs + input;
  const float s = (rise ? cells.up : cells.down)[at];
  const bool draws = law.noisy || law.write_noise > 0;
  float w = cells.state[at];
  Words words{};
  for (int k = 0; k < count; ++k) {
    if (draws) words = draw(t, sample, node, input, static_cast<std::uint32_t>(k));
    const float xi = law.noisy ? normal(words[0], words[1]) : 0;
    w = pulsed<response>(law, rise, w, s, cells.low[at], cells.high[at], xi);
  }
  cells.state[at] = w;
  if (law.write_noise > 0)
    cells.seen[at] = cells.low[at] < cells.high[at] ? w + law.write_noise * normal(words[2], words[3]) : w;
}

std::uint64_t key_of_x(const Trains& t) { return stream_seed(t.key, "x"); }
std::uint64_t key_of_error(const Trains& t) { return stream_seed(t.key, "error"); }

float largest(const float* values, std::int64_t count) {
  float most = 0;
  for (std::int64_t i = 0; i < count; ++i) most = std::max(most, std::abs(values[i]));
  return most;
}

/// Returns C_x and C_δ of one example; 0 if nothing is sent.
std::array<double, 2> probabilities(const Trains& t, std::int64_t sample) {
  if (!t.management) return {std::sqrt(t.gain), std::sqrt(t.gain)};
  const double x = largest(t.x + sample * t.inputs, t.inputs), error = largest(t.error + sample * t.nodes, t.nodes);
  if (x == 0 || error == 0) return {0, 0};
  return {std::sqrt(t.gain * error / x), std::sqrt(t.gain * x / error)};
}

std::uint64_t threshold(double probability) {
  return static_cast<std::uint64_t>(std::min(1.0, probability) * 0x1p32 + 0.5);
}

/// A line that sends at least one bit.
struct Line {
  std::uint32_t bits;
  std::int32_t place;
  bool negative;
};

/// The lines of all examples; example b has begin[b] ... begin[b + 1] - 1.
struct Lines {
  std::vector<Line> all;
  std::vector<std::size_t> begin = {0};
  void add(std::uint64_t key, std::int64_t sample, const float* values, std::int64_t count, double C, int length) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint64_t most = threshold(C * std::abs(static_cast<double>(values[i])));
      if (most == 0) continue;
      const std::uint32_t bits =
          train(key, static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(sample), most, length);
      if (bits != 0) all.push_back({bits, static_cast<std::int32_t>(i), values[i] < 0});
    }
    begin.push_back(all.size());
  }
};

/// Sends the pulses of one example's inputs to one unit.
template <Response response>
std::int64_t send_to(const Law& law, const Trains& t, std::int64_t sample, const Line& node, const Line* inputs,
                     std::size_t count, std::vector<std::uint32_t>& hits, const Cells& plus, const Cells& minus) {
  // First find the inputs with coincidences, without a branch. They are rare, and a mispredicted branch costs more than
  // the rest.
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    hits[found] = static_cast<std::uint32_t>(i);
    found += (inputs[i].bits & node.bits) != 0 ? 1 : 0;
  }
  std::int64_t pulses = 0;
  for (std::size_t k = 0; k < found; ++k) {
    const Line& input = inputs[hits[k]];
    const int times = std::popcount(input.bits & node.bits);
    pulse<response>(law, t, sample, node.place, input.place, input.negative != node.negative, times, plus, minus);
    pulses += times;
  }
  return pulses;
}

template <Response response>
std::int64_t send_all(const Law& law, const Trains& t, const Cells& plus, const Cells& minus) {
  Lines inputs;
  std::vector<Line> nodes(static_cast<std::size_t>(t.batch * t.nodes));  // [unit, example], bits 0: nothing sent
  Lines some;
  for (std::int64_t b = 0; b < t.batch; ++b) {
    const auto [C_x, C_error] = probabilities(t, b);
    inputs.add(key_of_x(t), b, t.x + b * t.inputs, t.inputs, C_x, t.length);
    some.add(key_of_error(t), b, t.error + b * t.nodes, t.nodes, C_error, t.length);
    for (std::size_t i = some.begin[static_cast<std::size_t>(b)]; i < some.all.size(); ++i)
      nodes[static_cast<std::size_t>(some.all[i].place * t.batch + b)] = some.all[i];
  }
  // Unit by unit over the whole batch: its devices stay in the nearest cache, and no two threads share a device.
  std::atomic<std::int64_t> pulses = 0;
  const auto part = [&](std::int64_t first, std::int64_t last) {
    std::vector<std::uint32_t> hits(static_cast<std::size_t>(t.inputs) + 1);
    std::int64_t sent = 0;
    for (std::int64_t n = first; n < last; ++n)
      for (std::int64_t b = 0; b < t.batch; ++b) {
        const Line& node = nodes[static_cast<std::size_t>(n * t.batch + b)];
        const std::size_t begin = inputs.begin[static_cast<std::size_t>(b)];
        const std::size_t end = inputs.begin[static_cast<std::size_t>(b) + 1];
        if (node.bits != 0)
          sent += send_to<response>(law, t, b, node, inputs.all.data() + begin, end - begin, hits, plus, minus);
      }
    pulses += sent;
  };
  kernels::in_parallel(t.nodes, t.nodes * static_cast<std::int64_t>(inputs.all.size()), part);
  return pulses;
}

/// Returns the trains of an example's lines, bit by bit by their definition: [line, bit].
std::vector<bool> bits_of(std::uint64_t key, std::int64_t sample, const float* values, std::int64_t count, double C,
                          int length) {
  std::vector<bool> bits;
  for (std::int64_t line = 0; line < count; ++line)
    for (int bit = 0; bit < length; ++bit) {
      std::uint64_t number = 0;
      for (std::uint32_t k = 0; k < 32; ++k) {
        const Words words =
            random_words(key, {static_cast<std::uint32_t>(line), static_cast<std::uint32_t>(sample), k / 4, 0});
        number = 2 * number + (words[k % 4] >> bit & 1U);
      }
      bits.push_back(number < threshold(C * std::abs(static_cast<double>(values[line]))));
    }
  return bits;
}

template <Response response>
std::int64_t send_one_by_one(const Law& law, const Trains& t, const Cells& plus, const Cells& minus) {
  std::int64_t pulses = 0;
  for (std::int64_t b = 0; b < t.batch; ++b) {
    const float* x = t.x + b * t.inputs;
    const float* error = t.error + b * t.nodes;
    const auto [C_x, C_error] = probabilities(t, b);
    const std::vector<bool> x_bits = bits_of(key_of_x(t), b, x, t.inputs, C_x, t.length);
    const std::vector<bool> error_bits = bits_of(key_of_error(t), b, error, t.nodes, C_error, t.length);
    for (std::int64_t n = 0; n < t.nodes; ++n)
      for (std::int64_t i = 0; i < t.inputs; ++i) {
        std::uint32_t sent = 0;
        for (std::int64_t bit = 0; bit < t.length; ++bit) {
          if (!x_bits[static_cast<std::size_t>(i * t.length + bit)]) continue;
          if (!error_bits[static_cast<std::size_t>(n * t.length + bit)]) continue;
          const bool up = (x[i] < 0) != (error[n] < 0);
          const bool rise = law.one_sided || up;
          const Cells& cells = law.one_sided && !up ? minus : plus;
          const std::int64_t at = n * t.inputs + i;
          const Words words = draw(t, b, n, i, sent++);
          float& w = cells.state[at];
          w = pulsed<response>(law, rise, w, (rise ? cells.up : cells.down)[at], cells.low[at], cells.high[at],
                               normal(words[0], words[1]));
          if (law.write_noise > 0)
            cells.seen[at] = cells.low[at] < cells.high[at] ? w + law.write_noise * normal(words[2], words[3]) : w;
        }
        pulses += sent;
      }
  }
  return pulses;
}

}  // namespace

Words random_words(std::uint64_t key, const Words& counter) {
  auto [c0, c1, c2, c3] = counter;
  kernels::philox(key, c0, c1, c2, c3);
  return {c0, c1, c2, c3};
}

float normal(std::uint32_t first, std::uint32_t second) {
  const float u = (static_cast<float>(first) + 1) * 0x1p-32F;  // in (0, 1]
  const float turn = static_cast<float>(second) * (0x1p-32F * 2 * std::numbers::pi_v<float>);
  return std::sqrt(-2 * std::log(u)) * std::cos(turn);
}

void normals(std::uint64_t key, std::uint32_t row, std::int64_t count, float* numbers) {
  for (std::int64_t i = 0; i < count; i += 2) {
    const Words words = random_words(key, {static_cast<std::uint32_t>(i / 2), row, 0, 0});
    numbers[i] = normal(words[0], words[1]);
    if (i + 1 < count) numbers[i + 1] = normal(words[2], words[3]);
  }
}

std::uint32_t train(std::uint64_t key, std::uint32_t line, std::uint32_t sample, std::uint64_t threshold, int length) {
  const std::uint32_t all = length >= 32 ? ~0U : (1U << length) - 1;
  if (threshold >> 32 != 0) return all;
  // All bits at once, from the first digit of the numbers. A bit is undecided as long as its digits equal the
  // threshold's.
  std::uint32_t undecided = all, below = 0;
  for (std::uint32_t block = 0; block < 8 && undecided != 0; ++block) {
    const Words words = random_words(key, {line, sample, block, 0});
    for (std::uint32_t k = 0; k < 4; ++k) {
      const bool one = (threshold >> (31 - 4 * block - k) & 1) != 0;
      if (one) below |= undecided & ~words[k];
      undecided &= one ? words[k] : ~words[k];
    }
  }
  return below;
}

namespace {

/// Calls act(the response as a type), so that the loops are compiled for each response.
template <class Act>
std::int64_t by_response(Response response, const Act& act) {
  using enum Response;
  switch (response) {
    case constant:
      return act(std::integral_constant<Response, constant>());
    case soft_bounds:
      return act(std::integral_constant<Response, soft_bounds>());
    case exponential:
      return act(std::integral_constant<Response, exponential>());
  }
  return 0;
}

}  // namespace

std::int64_t send(const Device& device, const Trains& trains, const Cells& plus, const Cells& minus) {
  return by_response(device.response, [&](auto response) {
    return send_all<decltype(response)::value>(Law(device), trains, plus, minus);
  });
}

std::int64_t plain::send(const Device& device, const Trains& trains, const Cells& plus, const Cells& minus) {
  return by_response(device.response, [&](auto response) {
    return send_one_by_one<decltype(response)::value>(Law(device), trains, plus, minus);
  });
}

}  // namespace grapes::analog
