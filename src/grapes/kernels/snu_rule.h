#pragma once

#include <cstdint>

/// The neuron's rule as the spiking loops use it. nn/neuron.h explains the fields and has the tables for users.
namespace grapes::kernels {

enum class Surrogate { tanh, sigmoid, fast_sigmoid, arctan, triangular, rectangular };
/// `value` is `hard` to a value other than 0.
enum class Reset { hard, subtract, none, lateral, value };

/// Forward step: the units of one example at one time step.
template <class T>
struct SnuForward {
  std::int64_t nodes;
  T slope;  ///< of g below 0: 1 identity, 0 relu
  const T *decay, *threshold;
  const T* rest;            ///< value: the membrane after a reset; else not read
  const T *state, *output;  ///< s and y of the previous step
  T gate;                   ///< lateral: 1 - max y of the previous step
  T* current;               ///< in: the input current; out: s
  T* value;                 ///< out: y
};

/// Backward step. Pointers must not be null; missing inputs are rows of zeros or ones.
template <class T>
struct SnuBackward {
  std::int64_t nodes;
  T slope, width;
  const T *decay, *threshold;
  const T* rest;                          ///< value: the membrane after a reset; else not read
  const T *state, *output;                ///< s and y of this step
  const T *state_before, *output_before;  ///< of the previous step
  T gate;                                 ///< lateral: 1 - max y of the previous step
  T through_reset;                        ///< 1, or 0 if the reset is detached
  const T* error;                         ///< dL/dy from the layer above
  const T* membrane_error;                ///< dL/ds from the layer above
  const T* factor;                        ///< scales `trace`
  T* carried_state;                       ///< in: dL/ds from the next step; out: for the previous step
  /// in: dL/dy from the next step; out: for the previous step. With lateral reset, out: d s' δ, whose sum over units
  /// goes to the units with the largest y.
  T* carried_output;
  T* delta;                                ///< out: δ, the error at the current
  T* trace;                                ///< out: factor · δ
  T *decay_gradient, *threshold_gradient;  ///< [unit], accumulated
};

template <class T>
struct SnuLoops {
  /// [smooth][reset]: smooth is y = sigmoid(s - θ), else a step
  void (*forward[2][5])(const SnuForward<T>& row);
  /// [surrogate][reset]; the last surrogate is the derivative of the smooth output
  void (*backward[7][5])(const SnuBackward<T>& row);
  /// sums[n] += Σ_k rows[names[k] · stride + n] for n < columns, with the sums in registers
  void (*sum_named)(const std::uint16_t* names, std::int64_t count, const T* rows, std::int64_t columns,
                    std::int64_t stride, T* sums);
  /// Sets a bit for every number that is not 0: bit k of words[16 j + lane] belongs to x[512 j + 16 k + lane].
  /// @return whether all are 0 or 1
  bool (*pack)(const T* x, std::int64_t count, std::uint32_t* words);
};

}  // namespace grapes::kernels
