#pragma once

#include "grapes/kernels/snu_rule.h"

#include <cstdint>

/// The inner loops of the kernels: plain arithmetic over rows of numbers, compiled once per instruction set from one
/// source (loops_body.h) and chosen when the program starts. Sums run over 16 partial sums in a fixed order and no
/// multiply-add is contracted, so that every instruction set gives the same bits.
namespace grapes::kernels {

/// Element-wise functions that the fused layers know; nn::activations() is the table for users.
enum class Activation { identity, relu, leaky_relu, tanh, sigmoid, scaled_tanh };
constexpr double leaky_slope = 0.1, scaled_tanh_inner = 0.6666, scaled_tanh_outer = 1.7159;

/// The numbers of an update rule; each takes those that its equation names.
template <class T>
struct Coefficients {
  T rate = 0;   ///< η
  T decay = 0;  ///< λ: the gradient is g + λ W
  T a = 0;      ///< μ, ρ or β₁
  T b = 0;      ///< β₂
  T epsilon = 0;
  T correct1 = 1, correct2 = 1;  ///< adam: 1 - β₁ᵗ, 1 - β₂ᵗ
};

/// One weight [rows, columns] and what belongs to it: gradient, up to two states, and the sum of magnitudes per row of
/// the weight after the update. `sums` may be null.
template <class T>
struct Rows {
  std::int64_t rows, columns;
  T* weight;
  const T* gradient;
  T* state1;
  T* state2;
  T* sums;
};

template <class T>
struct Loops {
  using Size = std::int64_t;
  /// sums[n] = Σ_i |w[n,i]|
  void (*abs_sums)(const T* w, Size rows, Size columns, T* sums);
  /// w[n,:] += Σ_b a[b,n] x[b,:], and the sums of magnitudes of the new rows, if wanted. a is [batch, rows].
  void (*add_outer)(const T* a, const T* x, Size batch, Size rows, Size columns, T* w, T* sums);
  /// Inverted dropout's mask of one row of nodes: kept (1/(1-p)) where the random bits are at most `last`, else 0. The
  /// bits are Philox4x32-10 (Salmon et al. 2011) of (key, row, column): any part can be made without the rest.
  /// @param begin  first column, a multiple of 64
  void (*dropout_mask)(std::uint64_t key, std::uint32_t row, Size begin, Size count, std::uint32_t last, T kept,
                       T* mask);
  /// z = (z > 0 ? z : slope z) · mask, the mask possibly null. slope 0: relu; 1: identity
  void (*rectify)(T slope, const T* mask, Size count, T* z);
  /// δ = scale · mask · factor · φ'(z) · error, in place, from the layer's value h = mask · φ(z). Null: 1 everywhere.
  void (*error[6])(const T* h, const T* mask, const T* factor, T scale, Size count, T* error);
  // Maps of 16 channels, [rows, columns, 16].
  struct Map {
    T* values;
    Size rows, columns;
    Size pool;  ///< side of the squares; what is left over at the edges is in none
  };
  /// The largest of each square.
  void (*pool)(const Map& map, T* top);
  /// The error of each square to the first place that has the largest value, times φ' and factor, in the place of the
  /// map's values. @param slope  of φ below 0
  void (*unpool)(const Map& map, const T* top, const T* error, const T* factor, T slope);
  /// error = factor · φ'(z) · error, from h = φ(z); h null: φ' = 1
  void (*block_error)(const T* h, const T* factor, T slope, Size places, T* error);
  /// What each channel of a normalized map becomes: a = φ(scale (z - center) + shift). All [16].
  struct Line {
    const T *center, *scale, *shift;
    T slope;  ///< of φ below 0
  };
  /// Its error: dz = by_error · δ + by_distance (z - center) + constant. All [16].
  struct Back {
    const T *by_error, *by_distance, *constant;
  };
  /// sum += Σ z, squares += Σ z², both [16] and in double, where the squares of floats are exact.
  void (*moments)(const T* z, Size places, double* sum, double* squares);
  /// The largest a of each square; into the map itself where a square is a place.
  void (*normalize)(const Map& z, const Line& line, T* top);
  /// With δ = φ' · error at the first place of each square that has the largest a:
  /// sum += Σ δ, products += Σ δ (z - center), both [16].
  void (*error_sums)(const Map& z, const Line& line, const T* error, double* sum, double* products);
  /// dz, in the place of z.
  void (*normalized_error)(const Map& z, const Line& line, const T* error, const Back& back);
  // Update rules, in the order of optim::optimizers(); nag_ahead keeps W in state2 and moves to W - μ v.
  void (*sgd)(const Coefficients<T>& c, const Rows<T>& w);
  void (*momentum)(const Coefficients<T>& c, const Rows<T>& w);
  void (*nag_ahead)(const Coefficients<T>& c, const Rows<T>& w);
  void (*nag)(const Coefficients<T>& c, const Rows<T>& w);
  void (*rmsprop)(const Coefficients<T>& c, const Rows<T>& w);
  void (*adam)(const Coefficients<T>& c, const Rows<T>& w);
  SnuLoops<T> snu;
};

/// The loops for one instruction set.
struct InstructionSet {
  const char* name;  ///< "portable", "avx2", "avx512"
  Loops<float> float32;
  Loops<double> float64;
};

namespace portable {
InstructionSet loops();
}
namespace avx2 {
InstructionSet loops();
}
namespace avx512 {
InstructionSet loops();
}

}  // namespace grapes::kernels
