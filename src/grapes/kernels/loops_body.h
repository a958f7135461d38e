// The loops of loops.h. Each instruction set has one file that includes this one. Inline functions of the standard
// library must not be called here: the linker might keep a copy with instructions that this processor does not support.
#include "grapes/kernels/loops.h"
#include "grapes/kernels/philox.h"

#include <type_traits>
#include <utility>

#if defined(__FMA__)
#include <immintrin.h>
#endif

namespace grapes::kernels::GRAPES_INSTRUCTION_SET {
namespace {

using Size = std::int64_t;
constexpr Size lanes = 16;

// Size of a register, and how many of them sums may take: half of those that there are.
#if defined(__AVX512F__)
constexpr Size register_bytes = 64, registers = 16;
#elif defined(__AVX2__)
constexpr Size register_bytes = 32, registers = 8;
#else
constexpr Size register_bytes = 16, registers = 8;
#endif

/// The numbers that one register holds. GCC keeps larger vectors on the stack, which is three times as slow.
template <class T>
struct Vector;
template <>
struct Vector<float> {
  typedef float Type __attribute__((vector_size(register_bytes), aligned(4), may_alias));
  static constexpr Size width = register_bytes / 4;
};
template <>
struct Vector<double> {
  typedef double Type __attribute__((vector_size(register_bytes), aligned(8), may_alias));
  static constexpr Size width = register_bytes / 8;
};

float magnitude(float x) { return __builtin_fabsf(x); }
double magnitude(double x) { return __builtin_fabs(x); }
float square_root(float x) { return __builtin_sqrtf(x); }
double square_root(double x) { return __builtin_sqrt(x); }

/// 16 partial sums, and their total.
template <class T>
struct Sum {
  T part[lanes] = {};
  T total() {
    for (Size width = lanes / 2; width > 0; width /= 2)
      for (Size i = 0; i < width; ++i) part[i] += part[i + width];
    return part[0];
  }
};

/// Visits a row 16 columns at a time. visit(i) returns the new weight at column i. @return Σ of absolute values
template <class T, class Visit>
inline __attribute__((always_inline)) T over_row(Size columns, Visit visit) {
  Sum<T> sum;
  Size i = 0;
  for (; i + lanes <= columns; i += lanes)
#pragma GCC ivdep
    for (Size lane = 0; lane < lanes; ++lane) sum.part[lane] += magnitude(visit(i + lane));
  for (Size lane = 0; i < columns; ++i, ++lane) sum.part[lane] += magnitude(visit(i));
  return sum.total();
}

#include "grapes/kernels/product_body.h"

template <class T>
void abs_sums(const T* w, Size rows, Size columns, T* sums) {
  for (Size n = 0; n < rows; ++n) {
    const T* row = w + n * columns;
    sums[n] = over_row<T>(columns, [&](Size i) { return row[i]; });
  }
}

/// 16 parallel Philox4x32-10 blocks, 64 random words: word[w][lane].
struct Philox {
  std::uint32_t word[4][lanes];

  Philox(std::uint64_t key, std::uint32_t row, std::uint32_t first_block) {
#pragma GCC ivdep
    for (Size lane = 0; lane < lanes; ++lane) {
      std::uint32_t c0 = first_block + static_cast<std::uint32_t>(lane), c1 = row, c2 = 0, c3 = 0;
      philox(key, c0, c1, c2, c3);
      word[0][lane] = c0;
      word[1][lane] = c1;
      word[2][lane] = c2;
      word[3][lane] = c3;
    }
  }
};

template <class T>
void dropout_mask(std::uint64_t key, std::uint32_t row, Size begin, Size count, std::uint32_t last, T kept, T* mask) {
  for (Size i = 0; i < count; i += 4 * lanes) {
    const Philox random(key, row, static_cast<std::uint32_t>((begin + i) / 4));
    if (count - i >= 4 * lanes) {
      for (Size w = 0; w < 4; ++w)
        for (Size lane = 0; lane < lanes; ++lane)
          mask[i + w * lanes + lane] = random.word[w][lane] <= last ? kept : T(0);
    } else {
      for (Size rest = 0; rest < count - i; ++rest)
        mask[i + rest] = random.word[rest / lanes][rest % lanes] <= last ? kept : T(0);
    }
  }
}

template <class T>
void rectify(T slope, const T* mask, Size count, T* z) {
  if (mask == nullptr) {
    if (slope == 1) return;
#pragma GCC ivdep
    for (Size i = 0; i < count; ++i) z[i] = z[i] > 0 ? z[i] : slope * z[i] + T(0);
    return;
  }
#pragma GCC ivdep
  for (Size i = 0; i < count; ++i) z[i] = (z[i] > 0 ? z[i] : slope * z[i]) * mask[i] + T(0);
}

/// φ'(z) from y = φ(z)
template <class T, Activation activation>
T derivative(T y) {
  switch (activation) {
    case Activation::relu:
      return y > 0 ? T(1) : T(0);
    case Activation::leaky_relu:
      return y > 0 ? T(1) : T(leaky_slope);
    case Activation::tanh:
      return 1 - y * y;
    case Activation::sigmoid:
      return (1 - y) * y;
    case Activation::scaled_tanh: {
      const T t = y / T(scaled_tanh_outer);
      return (1 - t * t) * T(scaled_tanh_outer * scaled_tanh_inner);
    }
    default:
      return 1;
  }
}

template <class T, Activation activation, bool masked, bool modulated>
void error_of(const T* h, const T* mask, const T* factor, T scale, Size count, T* error) {
#pragma GCC ivdep
  for (Size i = 0; i < count; ++i) {
    T delta = error[i] * scale, y = h[i];
    if constexpr (masked) {
      delta *= mask[i];
      y = mask[i] != 0 ? y / mask[i] : T(0);
    }
    delta *= derivative<T, activation>(y);
    if constexpr (modulated) delta *= factor[i];
    error[i] = delta;
  }
}

template <class T, Activation activation>
void error(const T* h, const T* mask, const T* factor, T scale, Size count, T* error) {
  if (mask != nullptr)
    factor != nullptr ? error_of<T, activation, true, true>(h, mask, factor, scale, count, error)
                      : error_of<T, activation, true, false>(h, mask, factor, scale, count, error);
  else
    factor != nullptr ? error_of<T, activation, false, true>(h, mask, factor, scale, count, error)
                      : error_of<T, activation, false, false>(h, mask, factor, scale, count, error);
}

/// Calls rule(i, g) for every element i of a weight, with its gradient *g. It returns the new value; absolute values
/// are summed by row.
template <class T, class Rule>
inline __attribute__((always_inline)) void update(const Rows<T>& w, Rule rule) {
  if (w.product == nullptr) {
    for (Size n = 0; n < w.rows; ++n) {
      const Size at = n * w.columns;
      const T sum =
          over_row<T>(w.columns, [&](Size i) { return w.weight[at + i] = rule(at + i, w.gradient + at + i); });
      if (w.sums != nullptr) w.sums[n] = sum;
    }
    return;
  }
  for (Size i = 0; i < w.rows * lanes; ++i) w.parts[i] = 0;
  over_product(
      *w.product,
      [&](Size row, Size column, Size count, const T* gradient) __attribute__((always_inline)) {
        const Size at = row * w.columns + column;
        T* part = w.parts + row * lanes + column % lanes;
        Size i = 0;
        if (count >= lanes) {
          T sum[lanes];  // not in memory that `weight` might refer to
          for (Size lane = 0; lane < lanes; ++lane) sum[lane] = part[lane];
          for (; i + lanes <= count; i += lanes)
#pragma GCC ivdep
            for (Size lane = 0; lane < lanes; ++lane)
              sum[lane] += magnitude(w.weight[at + i + lane] = rule(at + i + lane, gradient + i + lane));
          for (Size lane = 0; lane < lanes; ++lane) part[lane] = sum[lane];
        }
        for (Size lane = 0; i < count; ++i, ++lane)
          part[lane] += magnitude(w.weight[at + i] = rule(at + i, gradient + i));
      },
      [&](Size row, Size column, Size count) __attribute__((always_inline)) {
        const Size at = row * w.columns + column;
        const T* const memories[] = {w.weight, w.state1, w.state2};
        for (const T* memory : memories)
          if (memory != nullptr)
            for (Size i = 0; i < count; i += 64 / static_cast<Size>(sizeof(T))) __builtin_prefetch(memory + at + i, 1);
      });
  if (w.sums == nullptr) return;
  for (Size n = 0; n < w.rows; ++n) {
    Sum<T> sum;
    for (Size lane = 0; lane < lanes; ++lane) sum.part[lane] = w.parts[n * lanes + lane];
    w.sums[n] = sum.total();
  }
}

template <class T>
void sgd(const Coefficients<T>& c, const Rows<T>& w) {
  update(w, [&](Size i, const T* g) { return w.weight[i] - c.rate * (*g + c.decay * w.weight[i]); });
}

template <class T>
void momentum(const Coefficients<T>& c, const Rows<T>& w) {
  update(w, [&](Size i, const T* g) {
    w.state1[i] = c.a * w.state1[i] + c.rate * (*g + c.decay * w.weight[i]);
    return w.weight[i] - w.state1[i];
  });
}

template <class T>
void nag_ahead(const Coefficients<T>& c, const Rows<T>& w) {
  update(w, [&](Size i, const T*) {
    w.state2[i] = w.weight[i];
    return w.weight[i] - c.a * w.state1[i];
  });
}

template <class T>
void nag(const Coefficients<T>& c, const Rows<T>& w) {
  update(w, [&](Size i, const T* g) {
    w.state1[i] = c.a * w.state1[i] + c.rate * (*g + c.decay * w.weight[i]);
    return w.state2[i] - w.state1[i];
  });
}

template <class T>
void rmsprop(const Coefficients<T>& c, const Rows<T>& w) {
  update(w, [&](Size i, const T* gradient) {
    const T g = *gradient + c.decay * w.weight[i];
    w.state1[i] = c.a * w.state1[i] + (1 - c.a) * g * g;
    return w.weight[i] - c.rate * g / square_root(w.state1[i] + c.epsilon);
  });
}

template <class T>
void adam(const Coefficients<T>& c, const Rows<T>& w) {
  const T rate = c.rate / c.correct1;
  update(w, [&](Size i, const T* gradient) {
    const T g = *gradient + c.decay * w.weight[i];
    w.state1[i] = c.a * w.state1[i] + (1 - c.a) * g;
    w.state2[i] = c.b * w.state2[i] + (1 - c.b) * g * g;
    return w.weight[i] - rate * w.state1[i] / (square_root(w.state2[i] / c.correct2) + c.epsilon);
  });
}

#include "grapes/kernels/convolution_body.h"
#include "grapes/kernels/normalization_body.h"
#include "grapes/kernels/pooling_body.h"
#include "grapes/kernels/snu_body.h"

template <class T>
Loops<T> table() {
  return {multiplies,
          product<T>,
          dots<T>,
          abs_sums<T>,
          dropout_mask<T>,
          rectify<T>,
          {error<T, Activation::identity>, error<T, Activation::relu>, error<T, Activation::leaky_relu>,
           error<T, Activation::tanh>, error<T, Activation::sigmoid>, error<T, Activation::scaled_tanh>},
          largest_of_map<T>,
          unpool_map<T>,
          pool_map<T, true>,
          spread_map<T>,
          block_error<T>,
          moments<T>,
          normalize<T>,
          error_sums<T>,
          normalized_error<T>,
          sgd<T>,
          momentum<T>,
          nag_ahead<T>,
          nag<T>,
          rmsprop<T>,
          adam<T>,
          snu_table<T>()};
}

}  // namespace

#define GRAPES_TEXT_(name) #name
#define GRAPES_TEXT(name) GRAPES_TEXT_(name)
InstructionSet loops() { return {GRAPES_TEXT(GRAPES_INSTRUCTION_SET), table<float>(), table<double>()}; }

}  // namespace grapes::kernels::GRAPES_INSTRUCTION_SET
