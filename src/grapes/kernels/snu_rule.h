#pragma once

#include <cstdint>

/// What the spiking loops know of a neuron's rule; nn/neuron.h says what each means and has the tables for users.
namespace grapes::kernels {

enum class Surrogate { tanh, sigmoid, fast_sigmoid, arctan, triangular, rectangular };
enum class Reset { hard, subtract, none, lateral };

/// One sample's nodes at one time step, forwards.
template <class T>
struct SnuForward {
  std::int64_t nodes;
  T slope;  ///< of g below 0: 1 identity, 0 relu
  const T *decay, *threshold;
  const T *state, *output;  ///< s and y of the step before
  T gate;                   ///< lateral: 1 - max y of the step before
  T* current;               ///< in: the input current; out: s
  T* value;                 ///< out: y
};

/// The same backwards. No pointer may be null: rows of zeros or ones stand for what is not there.
template <class T>
struct SnuBackward {
  std::int64_t nodes;
  T slope, width;
  const T *decay, *threshold;
  const T *state, *output;                 ///< s and y of this step
  const T *state_before, *output_before;   ///< of the step before
  T gate;                                  ///< lateral: 1 - max y of the step before
  T through_reset;                         ///< 1, or 0: the reset is detached
  const T* error;                          ///< dL/dy from above
  const T* membrane_error;                 ///< dL/ds from above
  const T* factor;                         ///< what `trace` is scaled by
  T* carried_state;                        ///< in: dL/ds from the step after; out: for the step before
  T* carried_output;                       ///< in: dL/dy from the step after; out: for the step before. lateral, out:
                                           ///< d s' δ, whose sum over nodes goes to those that were largest
  T* delta;                                ///< out: δ, the error at the current
  T* trace;                                ///< out: factor · δ
  T *decay_gradient, *threshold_gradient;  ///< [node], added to
};

template <class T>
struct SnuLoops {
  /// [smooth][reset]: smooth is y = sigmoid(s - θ), else a step
  void (*forward[2][4])(const SnuForward<T>& row);
  /// [surrogate][reset]; the last surrogate stands for the smooth output
  void (*backward[7][4])(const SnuBackward<T>& row);
  /// sums[n] += Σ_k rows[names[k] · stride + n], the sums held in registers. n < columns
  void (*sum_named)(const std::uint16_t* names, std::int64_t count, const T* rows, std::int64_t columns,
                    std::int64_t stride, T* sums);
  /// A bit for every number that is not 0: bit k of words[16 j + lane] is that of x[512 j + 16 k + lane].
  /// @return whether all are 0 or 1
  bool (*pack)(const T* x, std::int64_t count, std::uint32_t* words);
};

}  // namespace grapes::kernels
