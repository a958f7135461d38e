#pragma once

#include "grapes/kernels/snu_rule.h"

#include <cstdint>

/// The inner loops of the kernels: plain arithmetic over rows of numbers. They are compiled once per instruction set
/// from one source (loops_body.h), and the program chooses one when it starts. Sums use 16 partial sums in a fixed
/// order, and multiply-adds are not contracted, so every instruction set gives the same bits.
namespace grapes::kernels {

/// Activations that the fused layers support. nn::activations() is the table for users.
enum class Activation { identity, relu, leaky_relu, tanh, sigmoid, scaled_tanh };
constexpr double leaky_slope = 0.1, scaled_tanh_inner = 0.6666, scaled_tanh_outer = 1.7159;

/// Coefficients of an update rule. Each rule uses those in its equation.
template <class T>
struct Coefficients {
  T rate = 0;   ///< η
  T decay = 0;  ///< λ: the gradient is g + λ W
  T a = 0;      ///< μ, ρ or β₁
  T b = 0;      ///< β₂
  T epsilon = 0;
  T correct1 = 1, correct2 = 1;  ///< adam: 1 - β₁ᵗ, 1 - β₂ᵗ
};

/// A product Σ_k a(r,k) B[k,c]. B is row-major; A may be transposed.
template <class T>
struct Product {
  std::int64_t rows, columns, depth;
  const T* a;
  std::int64_t a_row, a_depth;  ///< distances between neighboring rows and neighboring k of A
  const T* b;
  std::int64_t b_stride;  ///< distance between rows of B
  T* room;                ///< for a copy of some columns of B, [depth, widest_tile]
};
constexpr std::int64_t widest_tile = 64;

/// One weight [rows, columns] with its gradient, up to two states, and the absolute row sums after the update. `sums`
/// may be null.
template <class T>
struct Rows {
  std::int64_t rows, columns;
  T* weight;
  const T* gradient;
  T* state1;
  T* state2;
  T* sums;
  const Product<T>* product = nullptr;  ///< the gradient, instead of `gradient`; it is computed in pieces
  T* parts = nullptr;                   ///< room for partial sums of the rows of a product, [rows, 16]
};

template <class T>
struct Loops {
  using Size = std::int64_t;
  /// Whether the processor has the fused multiply-add of these products. Without it they are right, but slow.
  bool multiplies;
  /// C = alpha · product + beta · C. With beta = 0, C is not read. Every number of C is one sum in the order of k.
  void (*product)(const Product<T>& p, T alpha, T beta, T* c, Size c_stride);
  /// C[b,r] = alpha · Σ_i x[b,i] w[r,i] + beta · C[b,r], for a few examples: each row of w is read once for up to 8.
  void (*dots)(const T* x, Size x_stride, const T* w, Size w_stride, Size batch, Size rows, Size columns, T alpha,
               T beta, T* c, Size c_stride);
  /// sums[n] = Σ_i |w[n,i]|
  void (*abs_sums)(const T* w, Size rows, Size columns, T* sums);
  /// Dropout mask of one row of units: `kept` = 1/(1-p) if the random bits are at most `last`, else 0. The bits are
  /// Philox4x32-10 (Salmon et al. 2011) of (key, row, column), so any part can be computed alone.
  /// @param begin  first column, a multiple of 64
  void (*dropout_mask)(std::uint64_t key, std::uint32_t row, Size begin, Size count, std::uint32_t last, T kept,
                       T* mask);
  /// z = (z > 0 ? z : slope z) · mask; the mask may be null. slope 0: relu; 1: identity
  void (*rectify)(T slope, const T* mask, Size count, T* z);
  /// δ = scale · mask · factor · φ'(z) · error, in place, from the layer's value h = mask · φ(z). Null pointers mean 1.
  void (*error[6])(const T* h, const T* mask, const T* factor, T scale, Size count, T* error);
  // Maps of a block of channels, [rows, columns, lanes]. Pooling also takes those of one channel, with one lane.
  struct Map {
    T* values;
    Size rows, columns;
    Size lanes;  ///< 8 or 16, at least the numbers in a vector of the instruction set; or 1
    Size pool;   ///< side of the pooling windows; incomplete windows at the edges are dropped
  };
  /// Computes the maximum of each window.
  void (*pool)(const Map& map, T* top);
  /// Sends the error of each window to the first position with the maximum, times φ' and factor. Overwrites the map.
  /// @param slope  of φ below 0
  void (*unpool)(const Map& map, const T* top, const T* error, const T* factor, T slope);
  /// Computes the sum of each window, divided by `divisor`.
  void (*sum_windows)(const Map& map, T divisor, T* top);
  /// Overwrites every value of a window with its error divided by `divisor`.
  void (*spread)(const Map& map, const T* error, T divisor);
  /// error = factor · φ'(z) · error, from h = φ(z). h null: φ' = 1
  void (*block_error)(const T* h, const T* factor, T slope, Size places, Size lanes, T* error);
  /// Normalization of one channel: a = φ(scale (z - center) + shift). All [lanes].
  struct Line {
    const T *center, *scale, *shift;
    T slope;  ///< of φ below 0
  };
  /// The error of a normalized channel: dz = by_error · δ + by_distance (z - center) + constant. All [lanes].
  struct Back {
    const T *by_error, *by_distance, *constant;
  };
  /// sum += Σ z, squares += Σ z², both [lanes] and double, in which squares of floats are exact.
  void (*moments)(const T* z, Size places, Size lanes, double* sum, double* squares);
  /// Computes the largest a of each window. With windows of size 1 the map itself is overwritten.
  void (*normalize)(const Map& z, const Line& line, T* top);
  /// With δ = φ' · error at the first position in each window that has the largest a: sum += Σ δ, products += Σ δ (z -
  /// center), both [lanes].
  void (*error_sums)(const Map& z, const Line& line, const T* error, double* sum, double* products);
  /// Overwrites z with dz.
  void (*normalized_error)(const Map& z, const Line& line, const T* error, const Back& back);
  // Update rules, in the order of the elementwise rows of optim::optimizers(). nag_ahead stores W in state2 and moves
  // to W - μ v.
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
