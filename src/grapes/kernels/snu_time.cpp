#include "grapes/kernels/snu_time.h"

#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/threads.h"

#include <algorithm>
#include <initializer_list>

namespace grapes::kernels {
namespace {

/// Number of units in a strip. A strip has a dozen rows of numbers, which together fit into the cache of a core.
constexpr std::int64_t strip = 1024;

template <class T>
T largest(const T* y, std::int64_t count) {
  return *std::max_element(y, y + count);
}

/// Updates the synaptic current: c = α c + (W x + b + R y). It stays unchanged at missing steps.
template <class T>
void run_synapse(const SnuKept& kept, const SnuTile& tile, std::int64_t b, T* input) {
  const T* alpha = kept.layer.synapse.data_ptr<T>() + tile.first;
  T* current = kept.current.data_ptr<T>() + b * kept.nodes + tile.first;
  for (std::int64_t n = 0; n < tile.count; ++n) input[n] = current[n] = input[n] + alpha[n] * current[n];
}

/// The error at c plus α times that of the next step is the error at W x + R y. Times m it is the trace.
template <class T>
void run_synapse_back(const SnuKept& kept, const SnuTile& tile, const T* factor, T* later, T* delta, T* trace) {
  const T* alpha = kept.layer.synapse.data_ptr<T>() + tile.first;
  for (std::int64_t n = 0; n < tile.count; ++n) {
    delta[n] = later[n] = delta[n] + alpha[n] * later[n];
    trace[n] = factor[n] * delta[n];
  }
}

/// The derivative of lateral inhibition: the sum of `product` is divided among the units with the largest y.
template <class T>
void to_largest(const T* y, std::int64_t nodes, T* product) {
  T sum = 0, top = largest(y, nodes), count = 0;
  for (std::int64_t n = 0; n < nodes; ++n) {
    sum += product[n];
    count += y[n] == top ? T(1) : T(0);
  }
  for (std::int64_t n = 0; n < nodes; ++n) product[n] = y[n] == top ? -sum / count : T(0);
}

/// y of the previous step for example b, if only s is stored.
template <class T>
const T* spikes_of(const T* s, const T* threshold, std::int64_t nodes, T* y) {
  for (std::int64_t n = 0; n < nodes; ++n) y[n] = s[n] - threshold[n] > 0 ? T(1) : T(0);
  return y;
}

}  // namespace

bool SnuKept::strips() const {
  return nodes > 2 * strip && !layer.recurrent.defined() && layer.reset != Reset::lateral;
}

void SnuKept::in_tiles(bool strips, std::int64_t work, const std::function<void(const SnuTile&)>& do_tile) const {
  if (layer.recurrent.defined()) return do_tile({0, batch, 0, nodes});
  work *= time * batch * nodes;
  if (!strips)
    return in_parallel(batch, work, [&](std::int64_t begin, std::int64_t end) { do_tile({begin, end, 0, nodes}); });
  in_parallel((nodes + strip - 1) / strip, work, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin * strip; first < std::min(end * strip, nodes); first += strip)
      for (std::int64_t b = 0; b < batch; ++b) do_tile({b, b + 1, first, std::min(strip, nodes - first)});
  });
}

template <class T>
void run_forward(const SnuKept& kept, const at::Tensor& output, const at::Tensor& states) {
  const Snu& layer = kept.layer;
  const std::int64_t batch = kept.batch, nodes = kept.nodes, plane = batch * nodes;
  const at::Tensor decay = kept.decays();
  const auto loop = loops<T>().snu.forward[layer.smooth ? 1 : 0][static_cast<std::size_t>(layer.reset)];
  constexpr std::int64_t work = 24;  // per unit and step, in multiply-adds
  kept.in_tiles(kept.strips(), work, [&](const SnuTile& tile) {
    T *membrane = kept.membrane.data_ptr<T>(), *state = states.data_ptr<T>();
    for (std::int64_t t = 0; t < kept.time; ++t, membrane += plane, state += plane) {
      if (layer.recurrent.defined())
        gemm<T>(1, {t > 0 ? state - plane : kept.output0.data_ptr<T>(), batch, nodes, nodes},
                transposed(read<T>(layer.recurrent)), 1, {membrane, batch, nodes, nodes});
      for (std::int64_t b = tile.begin; b < tile.end; ++b) {
        const std::int64_t at = b * nodes + tile.first;
        T *s = membrane + at, *y = state + at;
        const T* s_before = t > 0 ? s - plane : kept.initial<T>(kept.membrane0, b) + tile.first;
        const T* y_before = t > 0 ? y - plane : kept.initial<T>(kept.output0, b) + tile.first;
        if (kept.present.defined() && !kept.runs()[t * batch + b]) {
          std::copy_n(s_before, tile.count, s);
          std::copy_n(y_before, tile.count, y);
          std::fill_n(output.data_ptr<T>() + t * plane + at, tile.count, T(0));
          continue;
        }
        if (kept.current.defined()) run_synapse(kept, tile, b, s);
        const T gate = layer.reset == Reset::lateral ? 1 - largest(y_before, nodes) : T(1);
        loop({tile.count, static_cast<T>(layer.slope), decay.data_ptr<T>() + tile.first,
              layer.threshold.data_ptr<T>() + tile.first, kept.rest<T>(tile), s_before, y_before, gate, s, y});
        if (kept.present.defined()) std::copy_n(y, tile.count, output.data_ptr<T>() + t * plane + at);
      }
    }
  });
}

template <class T>
SnuErrors run_backward(const SnuKept& kept, const at::Tensor& error, const at::Tensor& membrane_error,
                       const at::Tensor& last_error, bool states_learn, bool decay_learns) {
  const Snu& layer = kept.layer;
  const std::int64_t time = kept.time, batch = kept.batch, nodes = kept.nodes, plane = batch * nodes;
  const at::TensorOptions options = kept.options();
  const auto zeros = [&](at::IntArrayRef shape) { return at::zeros(shape, options); };
  const bool over = layer.once && layer.workspace->exclusive(kept.membrane);
  // In strips, one example follows the other, so they share a row for what they carry back in time. Otherwise each has
  // its own, so that the order of sums does not depend on the threads.
  const bool strips = kept.strips() && !states_learn && !last_error.defined();
  const std::int64_t rows = strips ? 1 : batch;
  SnuErrors all{(over ? kept.membrane : kept.take({time, batch, nodes})).view({time * batch, nodes}),
                zeros({rows, nodes}),
                last_error.defined() ? last_error.clone() : zeros({rows, nodes}),
                {},
                {}};
  const at::Tensor decays = decay_learns ? zeros({rows, nodes}) : at::Tensor(), thresholds = zeros({rows, nodes});
  const bool recurs = layer.recurrent.defined() && !layer.eprop;
  const at::Tensor delta = recurs ? at::empty({batch, nodes}, options) : at::Tensor(), nothing = zeros({nodes});
  const at::Tensor later = kept.current.defined() ? zeros({rows, nodes}) : at::Tensor();
  const bool scales = layer.factor.defined() && !layer.local, lateral = layer.reset == Reset::lateral;
  const at::Tensor factor = scales ? layer.factor.contiguous() : at::ones({nodes}, options), decay = kept.decays();
  const auto loop = loops<T>().snu.backward[layer.smooth ? 6 : static_cast<std::size_t>(layer.surrogate)]
                                           [static_cast<std::size_t>(layer.reset)];
  constexpr std::int64_t work = 48;  // per unit and step, in multiply-adds
  kept.in_tiles(strips, work, [&](const SnuTile& tile) {
    const auto of_units = [&](const at::Tensor& constant) { return constant.data_ptr<T>() + tile.first; };
    const auto of_example = [&](const at::Tensor& carried, std::int64_t b) {
      return of_units(carried) + (strips ? 0 : b * nodes);
    };
    const auto forget = [&] {
      for (std::int64_t b = tile.begin; b < tile.end; ++b)
        for (const at::Tensor* carried : std::initializer_list<const at::Tensor*>{&all.membrane0, &all.output0, &later})
          if (carried->defined()) std::fill_n(of_example(*carried, b), tile.count, T(0));
    };
    if (strips) forget();  // the example before
    const at::Tensor room = zeros({3, tile.count});
    T *row = room.data_ptr<T>(), *unused = row + 2 * tile.count;
    const T *theta = of_units(layer.threshold), *m = of_units(factor), *none = of_units(nothing);
    for (std::int64_t t = time; t-- > 0;) {
      for (std::int64_t b = tile.begin; b < tile.end; ++b) {
        const std::int64_t at = b * nodes + tile.first, now = t * plane + at;
        T *to_state = of_example(all.membrane0, b), *to_output = of_example(all.output0, b);
        T* trace = all.trace.data_ptr<T>() + now;
        const T* at_membrane = membrane_error.defined() ? membrane_error.data_ptr<T>() + now : none;
        if (kept.present.defined() && !kept.runs()[t * batch + b]) {
          for (std::int64_t n = 0; n < tile.count; ++n) to_state[n] += at_membrane[n];
          std::fill_n(trace, tile.count, T(0));
          if (recurs) std::fill_n(delta.data_ptr<T>() + at, tile.count, T(0));
          continue;
        }
        const T* s = kept.membrane.data_ptr<T>() + now;
        const T* s_before = t > 0 ? s - plane : kept.initial<T>(kept.membrane0, b) + tile.first;
        const T* y = kept.states.defined() ? kept.states.data_ptr<T>() + now : nullptr;
        const T* y_before = t == 0         ? kept.initial<T>(kept.output0, b) + tile.first
                            : y != nullptr ? y - plane
                                           : spikes_of(s_before, theta, tile.count, row);
        T* d = recurs ? delta.data_ptr<T>() + at : row + tile.count;
        const T gate = lateral ? 1 - largest(y_before, nodes) : T(1);
        loop({tile.count,
              static_cast<T>(layer.slope),
              static_cast<T>(layer.width),
              of_units(decay),
              theta,
              kept.rest<T>(tile),
              s,
              y,
              s_before,
              y_before,
              gate,
              layer.detach_reset ? T(0) : T(1),
              error.defined() ? error.data_ptr<T>() + now : none,
              at_membrane,
              m,
              to_state,
              to_output,
              d,
              trace,
              decay_learns ? of_example(decays, b) : unused,
              of_example(thresholds, b)});
        if (lateral) to_largest(y_before, nodes, to_output);
        if (later.defined()) run_synapse_back(kept, tile, m, of_example(later, b), d, trace);
      }
      if (recurs)
        gemm<T>(1, {layer.compounding ? all.trace.data_ptr<T>() + t * plane : delta.data_ptr<T>(), batch, nodes, nodes},
                read<T>(layer.recurrent), 1, {all.output0.data_ptr<T>(), batch, nodes, nodes});
      if (layer.truncate > 0 && t > 0 && t % layer.truncate == 0) forget();
    }
  });
  if (decay_learns) all.decay = decays.sum(0);
  all.threshold = thresholds.sum(0);
  return all;
}

template void run_forward<float>(const SnuKept&, const at::Tensor&, const at::Tensor&);
template void run_forward<double>(const SnuKept&, const at::Tensor&, const at::Tensor&);
template SnuErrors run_backward<float>(const SnuKept&, const at::Tensor&, const at::Tensor&, const at::Tensor&, bool,
                                       bool);
template SnuErrors run_backward<double>(const SnuKept&, const at::Tensor&, const at::Tensor&, const at::Tensor&, bool,
                                        bool);

}  // namespace grapes::kernels
