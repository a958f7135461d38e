#pragma once

#include "grapes/kernels/gemm.h"
#include "grapes/kernels/snu.h"
#include "grapes/kernels/spikes.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <optional>

/// The time steps of snu(). Include it only in .cpp files.
namespace grapes::kernels {

template <class T>
Matrix<const T> read(const at::Tensor& t) {
  return {t.data_ptr<T>(), t.size(0), t.size(1), t.size(1)};
}

/// Examples and units that run through all time steps before the next ones do.
struct SnuTile {
  std::int64_t begin, end;    ///< examples
  std::int64_t first, count;  ///< units
};

/// Values of the forward pass that the backward pass needs, besides the tensors that autograd saves.
struct SnuKept {
  Snu layer;
  std::optional<Spikes> inputs;   ///< the inputs as spikes, instead of x
  at::Tensor x;                   ///< or the inputs themselves, [time · batch, in]
  at::Tensor membrane0, output0;  ///< initial state, [batch, unit]; at rest, all examples share a row of zeros
  at::Tensor membrane;            ///< s after each step, [time, batch, unit]
  at::Tensor states;   ///< y after each step, [time, batch, unit], if it does not follow from s > θ; see tells()
  at::Tensor current;  ///< c of the synapse, [batch, unit]: before the first step, later after the last one
  at::Tensor present;  ///< [time, batch] bool: false for missing steps; undefined: all true
  std::int64_t time = 0, batch = 0, in = 0, nodes = 0;

  at::Tensor take(at::IntArrayRef shape) const {
    return layer.workspace->take(shape, options().dtype().toScalarType());
  }
  at::TensorOptions options() const { return layer.threshold.options().requires_grad(false); }
  at::Tensor decays() const { return layer.decay.expand({nodes}).contiguous(); }
  /// Of Reset::value; else null.
  template <class T>
  const T* rest(const SnuTile& tile) const {
    return layer.rest.defined() ? layer.rest.data_ptr<T>() + tile.first : nullptr;
  }
  /// Row b of membrane0 or output0.
  template <class T>
  const T* initial(const at::Tensor& state, std::int64_t b) const {
    return state.data_ptr<T>() + b * state.stride(0);
  }
  const bool* runs() const { return present.defined() ? present.data_ptr<bool>() : nullptr; }
  /// Whether y follows from s. It does not if y is not a step or if steps are missing. R's gradient needs all of y.
  bool tells() const { return !layer.smooth && !present.defined() && !layer.recurrent.defined(); }
  /// Whether the units of an example run in strips: those of a map have too many states for the cache. Units that
  /// depend on others of their time step stay together.
  bool strips() const;
  /// Calls do_tile(tile) until all examples and units are done. Products with R involve all examples, and have threads
  /// of their own. @param work  per unit and step, in multiply-adds
  void in_tiles(bool strips, std::int64_t work, const std::function<void(const SnuTile&)>& do_tile) const;
};

struct SnuErrors {
  at::Tensor trace;  // factor · δ of all steps, [time · batch, unit]; overwrites s if no other tensor uses its memory
  at::Tensor membrane0, output0;  // gradients of the initial state, [batch, unit]
  at::Tensor decay, threshold;    // [unit]
};

/// Overwrites kept.membrane, which has the current c of all steps, with s, and computes y.
/// @param output  [time, batch, unit], receives y with zeros at missing steps
/// @param states  [time, batch, unit], receives y itself; the same tensor as `output` if no steps are missing
template <class T>
void run_forward(const SnuKept& kept, const at::Tensor& output, const at::Tensor& states);
/// @param error, membrane_error  at y and s, [time, batch, unit]; may be undefined
/// @param last_error             at the last y, [batch, unit]; may be undefined
/// @param states_learn           whether the gradients of the initial state are needed
/// @param decay_learns           whether the gradient of the decay is needed
template <class T>
SnuErrors run_backward(const SnuKept& kept, const at::Tensor& error, const at::Tensor& membrane_error,
                       const at::Tensor& last_error, bool states_learn, bool decay_learns);

}  // namespace grapes::kernels
