// Loops of spiking layers. This file is part of loops_body.h and lies inside its namespace. See snu_rule.h.

/// e^x for x <= 0, with an error in the last one or two bits: 2^k p(r) with x = k ln 2 + r and Taylor's polynomial p.
/// It has no branches and no calls.
template <class T>
inline __attribute__((always_inline)) T exponential(T x);
template <>
inline __attribute__((always_inline)) double exponential(double x) {
  x = x < -700.0 ? -700.0 : x;
  const double shifted = x * 1.4426950408889634 + 0x1.8p52, k = shifted - 0x1.8p52;
  const double r = (x - k * 0x1.62e42fefa38p-1) - k * 0x1.ef35793c7673p-45;
  double p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  std::uint64_t power;
  __builtin_memcpy(&power, &shifted, sizeof power);
  power = (power << 52) + 0x3FF0000000000000U;
  double scale;
  __builtin_memcpy(&scale, &power, sizeof scale);
  return p * scale;
}
template <>
inline __attribute__((always_inline)) float exponential(float x) {
  x = x < -87.0F ? -87.0F : x;
  const float shifted = x * 1.44269504F + 0x1.8p23F, k = shifted - 0x1.8p23F;
  const float r = (x - k * 0.693359375F) + k * 2.12194440e-4F;
  float p = 1.0F / 5040.0F;
  p = p * r + 1.0F / 720.0F;
  p = p * r + 1.0F / 120.0F;
  p = p * r + 1.0F / 24.0F;
  p = p * r + 1.0F / 6.0F;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  std::uint32_t power;
  __builtin_memcpy(&power, &shifted, sizeof power);
  power = (power << 23) + 0x3F800000U;
  float scale;
  __builtin_memcpy(&scale, &power, sizeof scale);
  return p * scale;
}

template <class T>
inline __attribute__((always_inline)) T logistic(T x) {
  const T e = exponential<T>(-magnitude(x));
  return (x >= 0 ? T(1) : e) / (1 + e);
}

template <class T, Surrogate surrogate>
inline __attribute__((always_inline)) T surrogate_slope(T u) {
  const T size = magnitude(u);
  switch (surrogate) {
    case Surrogate::tanh: {
      const T e = exponential<T>(-2 * size);
      return 4 * e / ((1 + e) * (1 + e));
    }
    case Surrogate::sigmoid: {
      const T e = exponential<T>(-size);
      return e / ((1 + e) * (1 + e));
    }
    case Surrogate::fast_sigmoid:
      return 1 / ((1 + size) * (1 + size));
    case Surrogate::arctan:
      return 1 / (1 + T(3.14159265358979323846 * 3.14159265358979323846) * u * u);
    case Surrogate::triangular:
      return size < 1 ? 1 - size : T(0);
    default:
      return size < T(0.5) ? T(1) : T(0);
  }
}

template <class T, bool smooth, Reset reset>
void snu_forward(const SnuForward<T>& row) {
  const T slope = row.slope, gate = row.gate;
  const T *decay = row.decay, *threshold = row.threshold, *rest = row.rest, *state = row.state, *output = row.output;
  T *current = row.current, *value = row.value;
#pragma GCC ivdep
  for (Size n = 0; n < row.nodes; ++n) {
    T kept = state[n];
    if constexpr (reset == Reset::hard) kept *= 1 - output[n];
    if constexpr (reset == Reset::value) kept += output[n] * (rest[n] - kept);
    if constexpr (reset == Reset::lateral) kept *= gate;
    if constexpr (reset == Reset::subtract) kept -= threshold[n] * output[n];
    const T before = current[n] + decay[n] * kept;
    const T s = before > 0 ? before : slope * before;
    const T x = s - threshold[n];
    current[n] = s;
    if constexpr (smooth)
      value[n] = logistic<T>(x);
    else
      value[n] = x > 0 ? T(1) : T(0);
  }
}

template <class T, bool smooth, Surrogate surrogate, Reset reset>
void snu_backward(const SnuBackward<T>& row) {
  const T slope = row.slope, gate = row.gate, through = row.through_reset, narrow = 1 / row.width;
  const T *decay = row.decay, *threshold = row.threshold, *rest = row.rest, *state = row.state, *output = row.output;
  const T *state_before = row.state_before, *output_before = row.output_before;
  const T *error = row.error, *membrane_error = row.membrane_error, *factor = row.factor;
  T *carried_state = row.carried_state, *carried_output = row.carried_output, *delta = row.delta, *trace = row.trace;
  T *decay_gradient = row.decay_gradient, *threshold_gradient = row.threshold_gradient;
#pragma GCC ivdep
  for (Size n = 0; n < row.nodes; ++n) {
    const T theta = threshold[n], d = decay[n], s = state[n], before = state_before[n], fired = output_before[n];
    T h;
    if constexpr (smooth)
      h = output[n] * (1 - output[n]);
    else
      h = surrogate_slope<T, surrogate>((s - theta) * narrow);
    const T at_output = (error[n] + carried_output[n]) * h;
    const T at_current = (at_output + carried_state[n] + membrane_error[n]) * (s > 0 ? T(1) : slope);
    T to_threshold = -at_output, kept = before, back = at_current * d, reset_back = 0;
    const T at_kept = back;
    if constexpr (reset == Reset::hard) {
      kept = before * (1 - fired);
      back = at_kept * (1 - fired);
      reset_back = -at_kept * before * through;
    }
    if constexpr (reset == Reset::value) {
      kept = before + fired * (rest[n] - before);
      back = at_kept * (1 - fired);
      reset_back = at_kept * (rest[n] - before) * through;
    }
    if constexpr (reset == Reset::lateral) {
      kept = before * gate;
      back = at_kept * gate;
      reset_back = at_kept * before * through;
    }
    if constexpr (reset == Reset::subtract) {
      kept = before - theta * fired;
      reset_back = -at_kept * theta * through;
      to_threshold -= at_kept * fired;
    }
    carried_state[n] = back;
    carried_output[n] = reset_back;
    delta[n] = at_current;
    trace[n] = factor[n] * at_current;
    decay_gradient[n] += at_current * kept;
    threshold_gradient[n] += to_threshold;
  }
}

template <class T, bool smooth, Surrogate surrogate>
void fill_backward(void (*(&by_reset)[5])(const SnuBackward<T>&)) {
  by_reset[0] = snu_backward<T, smooth, surrogate, Reset::hard>;
  by_reset[1] = snu_backward<T, smooth, surrogate, Reset::subtract>;
  by_reset[2] = snu_backward<T, smooth, surrogate, Reset::none>;
  by_reset[3] = snu_backward<T, smooth, surrogate, Reset::lateral>;
  by_reset[4] = snu_backward<T, smooth, surrogate, Reset::value>;
}

template <class T, bool smooth>
void fill_forward(void (*(&by_reset)[5])(const SnuForward<T>&)) {
  by_reset[0] = snu_forward<T, smooth, Reset::hard>;
  by_reset[1] = snu_forward<T, smooth, Reset::subtract>;
  by_reset[2] = snu_forward<T, smooth, Reset::none>;
  by_reset[3] = snu_forward<T, smooth, Reset::lateral>;
  by_reset[4] = snu_forward<T, smooth, Reset::value>;
}

template <class T, Size vectors>
inline __attribute__((always_inline)) void sum_named_block(const std::uint16_t* names, Size count, const T* rows,
                                                           Size stride, T* sums) {
  using V = typename Vector<T>::Type;
  constexpr Size width = Vector<T>::width;
  V sum[vectors];
#pragma GCC unroll 16
  for (Size v = 0; v < vectors; ++v) sum[v] = *reinterpret_cast<const V*>(sums + v * width);
  for (Size k = 0; k < count; ++k) {
    const T* row = rows + names[k] * stride;
#pragma GCC unroll 16
    for (Size v = 0; v < vectors; ++v) sum[v] += *reinterpret_cast<const V*>(row + v * width);
  }
#pragma GCC unroll 16
  for (Size v = 0; v < vectors; ++v) *reinterpret_cast<V*>(sums + v * width) = sum[v];
}

template <class T>
void sum_named(const std::uint16_t* names, Size count, const T* rows, Size columns, Size stride, T* sums) {
  constexpr Size width = Vector<T>::width;
  Size n = 0;
  for (; n + registers * width <= columns; n += registers * width)
    sum_named_block<T, registers>(names, count, rows + n, stride, sums + n);
  for (; n + 4 * width <= columns; n += 4 * width) sum_named_block<T, 4>(names, count, rows + n, stride, sums + n);
  for (; n + width <= columns; n += width) sum_named_block<T, 1>(names, count, rows + n, stride, sums + n);
  if (n == columns) return;
  for (Size k = 0; k < count; ++k)
    for (Size i = n; i < columns; ++i) sums[i] += rows[names[k] * stride + i];
}

/// No branches on values: spikes would be mispredicted.
template <class T>
bool pack(const T* x, Size count, std::uint32_t* words) {
  std::uint32_t strange[lanes] = {};
  for (Size base = 0; base < count; base += 32 * lanes, words += lanes) {
    std::uint32_t word[lanes] = {};
    Size k = 0;
    for (; k < 32 && base + (k + 1) * lanes <= count; ++k)
#pragma GCC ivdep
      for (Size lane = 0; lane < lanes; ++lane) {
        const T value = x[base + k * lanes + lane];
        const auto on = static_cast<std::uint32_t>(value != 0), one = static_cast<std::uint32_t>(value == 1);
        word[lane] |= on << k;
        strange[lane] |= on ^ one;
      }
    if (k < 32)
      for (Size lane = 0; base + k * lanes + lane < count; ++lane) {
        const T value = x[base + k * lanes + lane];
        const auto on = static_cast<std::uint32_t>(value != 0), one = static_cast<std::uint32_t>(value == 1);
        word[lane] |= on << k;
        strange[lane] |= on ^ one;
      }
    for (Size lane = 0; lane < lanes; ++lane) words[lane] = word[lane];
  }
  std::uint32_t any = 0;
  for (Size lane = 0; lane < lanes; ++lane) any |= strange[lane];
  return any == 0;
}

template <class T>
SnuLoops<T> snu_table() {
  SnuLoops<T> table{};
  fill_forward<T, false>(table.forward[0]);
  fill_forward<T, true>(table.forward[1]);
  fill_backward<T, false, Surrogate::tanh>(table.backward[0]);
  fill_backward<T, false, Surrogate::sigmoid>(table.backward[1]);
  fill_backward<T, false, Surrogate::fast_sigmoid>(table.backward[2]);
  fill_backward<T, false, Surrogate::arctan>(table.backward[3]);
  fill_backward<T, false, Surrogate::triangular>(table.backward[4]);
  fill_backward<T, false, Surrogate::rectangular>(table.backward[5]);
  fill_backward<T, true, Surrogate::tanh>(table.backward[6]);
  table.sum_named = sum_named<T>;
  table.pack = pack<T>;
  return table;
}
