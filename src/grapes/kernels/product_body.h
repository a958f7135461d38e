// Matrix products. This file is part of loops_body.h and lies inside its namespace.

/// a · b + c with one rounding. Products use it with every instruction set, so all give the same bits. Without such
/// an instruction it is slow; see Loops::multiplies.
template <class T>
inline __attribute__((always_inline)) typename Vector<T>::Type multiply_add(typename Vector<T>::Type a,
                                                                            typename Vector<T>::Type b,
                                                                            typename Vector<T>::Type c) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return _mm512_fmadd_ps(a, b, c);
  else
    return _mm512_fmadd_pd(a, b, c);
#elif defined(__FMA__)
  if constexpr (sizeof(T) == 4)
    return _mm256_fmadd_ps(a, b, c);
  else
    return _mm256_fmadd_pd(a, b, c);
#else
  for (Size i = 0; i < Vector<T>::width; ++i)
    if constexpr (sizeof(T) == 4)
      c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    else
      c[i] = __builtin_fma(a[i], b[i], c[i]);
  return c;
#endif
}

// Rows and vectors of a tile: as many sums as fit into the registers, beside one row of B.
#if defined(__AVX512F__)
constexpr Size tile_rows = 4, tile_vectors = 4;
constexpr bool multiplies = true;
#elif defined(__FMA__)
constexpr Size tile_rows = 6, tile_vectors = 2;
constexpr bool multiplies = true;
#else
constexpr Size tile_rows = 4, tile_vectors = 2;
constexpr bool multiplies = false;
#endif
template <class T>
constexpr Size tile_columns = tile_vectors* Vector<T>::width;
static_assert(tile_columns<float> <= widest_tile);

/// Computes `sums` [tile_rows, tile_columns] = Σ_k a(row, k) b[k, :], for `rows` rows and `vectors` vectors.
template <class T, Size rows, Size vectors>
inline __attribute__((always_inline)) void tile_of(const Product<T>& p, const T* a, const T* b, Size b_stride,
                                                   T* sums) {
  using V = typename Vector<T>::Type;
  constexpr Size width = Vector<T>::width;
  V sum[rows][vectors] = {};
  const T* const end = b + p.depth * b_stride;
  do {  // the depth is not 0; a test before the first step would keep two copies of all sums
    V x[vectors];
#pragma GCC unroll 8
    for (Size v = 0; v < vectors; ++v) x[v] = *reinterpret_cast<const V*>(b + v * width);
#pragma GCC unroll 8
    for (Size r = 0; r < rows; ++r) {
      const V factor = a[r * p.a_row] - V{};  // in all lanes
#pragma GCC unroll 8
      for (Size v = 0; v < vectors; ++v) sum[r][v] = multiply_add<T>(factor, x[v], sum[r][v]);
    }
    a += p.a_depth;
    b += b_stride;
  } while (b != end);
#pragma GCC unroll 8
  for (Size r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (Size v = 0; v < vectors; ++v) *reinterpret_cast<V*>(sums + r * tile_columns<T> + v * width) = sum[r][v];
}

/// The same with numbers that are known only at run time, 1 ... tile_rows and 1 ... tile_vectors.
template <class T, Size most_rows = tile_rows, Size most_vectors = tile_vectors>
inline void tile(const Product<T>& p, Size rows, Size vectors, const T* a, const T* b, Size b_stride, T* sums) {
  if constexpr (most_rows > 1)
    if (rows < most_rows) return tile<T, most_rows - 1, most_vectors>(p, rows, vectors, a, b, b_stride, sums);
  if constexpr (most_vectors > 1)
    if (vectors < most_vectors) return tile<T, most_rows, most_vectors - 1>(p, rows, vectors, a, b, b_stride, sums);
  tile_of<T, most_rows, most_vectors>(p, a, b, b_stride, sums);
}

/// Below this depth a product goes through memory row after row. A deeper one stays in a tile's columns, whose rows of
/// B then stay in the cache.
constexpr Size shallow = 32;
/// Columns of B are copied if this many rows of A use them, or if its rows are far apart in memory: reading every
/// second or more page misses the cache of addresses.
constexpr Size worth_a_copy = 128, far = 1024;

/// Calls visit(row, column, count, sums) for pieces of the rows of a product, from left to right in each row, and
/// ahead(row, column, count) before the piece is computed.
template <class T, class Visit, class Ahead>
inline __attribute__((always_inline)) void over_product(const Product<T>& p, Visit visit, Ahead ahead) {
  constexpr Size width = Vector<T>::width, columns = tile_columns<T>;
  T sums[tile_rows * columns];
  const auto run = [&](Size row, Size column, Size count, const T* b, Size b_stride) __attribute__((always_inline)) {
    const Size rows = p.rows - row < tile_rows ? p.rows - row : tile_rows;
    for (Size r = 0; r < rows; ++r) ahead(row + r, column, count);
    if (rows == tile_rows && count == columns) {  // with constants, for the compiler
      tile_of<T, tile_rows, tile_vectors>(p, p.a + row * p.a_row, b, b_stride, sums);
      for (Size r = 0; r < tile_rows; ++r) visit(row + r, column, columns, static_cast<const T*>(sums + r * columns));
    } else {
      tile<T>(p, rows, (count + width - 1) / width, p.a + row * p.a_row, b, b_stride, sums);
      for (Size r = 0; r < rows; ++r) visit(row + r, column, count, static_cast<const T*>(sums + r * columns));
    }
  };
  Size column = 0;
  if (p.depth < shallow)
    for (Size row = 0; row < p.rows; row += tile_rows)
      for (column = 0; column + columns <= p.columns; column += columns)
        run(row, column, columns, p.b + column, p.b_stride);
  const bool copies = p.b_stride != columns && (p.rows >= worth_a_copy || p.b_stride > far);
  for (; column < p.columns; column += columns) {
    const Size count = p.columns - column < columns ? p.columns - column : columns;
    const T* b = p.b + column;
    Size b_stride = p.b_stride;
    if (copies || count % width != 0) {  // with zeros after the last column
      for (Size k = 0; k < p.depth; ++k)
        if (count == columns) {
          __builtin_memcpy(p.room + k * columns, b + k * b_stride, columns * sizeof(T));
        } else {
          for (Size i = 0; i < columns; ++i) p.room[k * columns + i] = i < count ? b[k * b_stride + i] : T(0);
        }
      b = p.room;
      b_stride = columns;
    }
    for (Size row = 0; row < p.rows; row += tile_rows) run(row, column, count, b, b_stride);
  }
}

template <class T>
void product(const Product<T>& p, T alpha, T beta, T* c, Size c_stride) {
  over_product(
      p,
      [&](Size row, Size column, Size count, const T* sums) __attribute__((always_inline)) {
        T* to = c + row * c_stride + column;
        if (beta == 0) {
#pragma GCC ivdep
          for (Size i = 0; i < count; ++i) to[i] = alpha * sums[i];
        } else {
#pragma GCC ivdep
          for (Size i = 0; i < count; ++i) to[i] = alpha * sums[i] + beta * to[i];
        }
      },
      [](Size, Size, Size) {});
}

/// The lanes of each vector are groups of partial sums. Adds the halves of each group, and joins two vectors to one.
template <Size group, class V, Size... i>
inline __attribute__((always_inline)) V halves_joined(V a, V b, std::integer_sequence<Size, i...>) {
  return __builtin_shufflevector(a, b, (i / (group / 2) * group + i % (group / 2))...) +
         __builtin_shufflevector(a, b, (i / (group / 2) * group + i % (group / 2) + group / 2)...);
}

/// totals[s] = Σ of the lanes of sum[s], in the order of Sum::total().
template <class T, Size count, Size group = Vector<T>::width>
inline __attribute__((always_inline)) void add_lanes(const typename Vector<T>::Type* sum, T* totals) {
  using V = typename Vector<T>::Type;
  constexpr Size width = Vector<T>::width;
  if constexpr (count == 1 || group == 1) {
    for (Size v = 0; v < count; ++v) {
      T part[width];
      *reinterpret_cast<V*>(part) = sum[v];
      for (Size s = 0; s < width; s += group) {
        for (Size half = group / 2; half > 0; half /= 2)
          for (Size i = 0; i < half; ++i) part[s + i] += part[s + i + half];
        *totals++ = part[s];
      }
    }
  } else {
    V joined[count / 2];
#pragma GCC unroll 8
    for (Size s = 0; s < count / 2; ++s)
      joined[s] = halves_joined<group>(sum[2 * s], sum[2 * s + 1], std::make_integer_sequence<Size, width>{});
    add_lanes<T, count / 2, group / 2>(joined, totals);
  }
}

template <class T, Size batch, Size rows>
inline __attribute__((always_inline)) void dots_of(const T* x, Size x_stride, const T* w, Size w_stride, Size columns,
                                                   T* sums) {
  using V = typename Vector<T>::Type;
  constexpr Size width = Vector<T>::width, parts = lanes / width;
  V sum[rows * batch][parts] = {};
  const auto add = [&](const T* from_x, Size next_x, const T* from_w, Size next_w) {
#pragma GCC unroll 8
    for (Size part = 0; part < parts; ++part) {
      V row[rows];
#pragma GCC unroll 8
      for (Size r = 0; r < rows; ++r) row[r] = *reinterpret_cast<const V*>(from_w + r * next_w + part * width);
#pragma GCC unroll 8
      for (Size b = 0; b < batch; ++b) {
        const V value = *reinterpret_cast<const V*>(from_x + b * next_x + part * width);
#pragma GCC unroll 8
        for (Size r = 0; r < rows; ++r)
          sum[r * batch + b][part] = multiply_add<T>(row[r], value, sum[r * batch + b][part]);
      }
    }
  };
  Size i = 0;
  for (; i + lanes <= columns; i += lanes) add(x + i, x_stride, w + i, w_stride);
  if (i < columns) {  // the last columns, with zeros after them
    T last_x[batch * lanes] = {}, last_w[rows * lanes] = {};
    for (Size rest = 0; i + rest < columns; ++rest) {
      for (Size b = 0; b < batch; ++b) last_x[b * lanes + rest] = x[b * x_stride + i + rest];
      for (Size r = 0; r < rows; ++r) last_w[r * lanes + rest] = w[r * w_stride + i + rest];
    }
    add(last_x, lanes, last_w, lanes);
  }
  V whole[rows * batch];
#pragma GCC unroll 16
  for (Size s = 0; s < rows * batch; ++s) {
    for (Size half = parts / 2; half > 0; half /= 2)
      for (Size part = 0; part < half; ++part) sum[s][part] += sum[s][part + half];
    whole[s] = sum[s][0];
  }
  add_lanes<T, rows * batch>(whole, sums);
}

/// Examples and rows that dots() takes together. Each needs a register for every vector of 16 lanes.
#if defined(__AVX512F__)
constexpr Size dots_registers = 16;
#else
constexpr Size dots_registers = 8;
#endif

template <class T, Size batch>
void dots_of_batch(const T* x, Size x_stride, const T* w, Size w_stride, Size rows, Size columns, T alpha, T beta, T* c,
                   Size c_stride) {
  constexpr Size parts = lanes / Vector<T>::width, fit = dots_registers / (batch * parts);
  constexpr Size together = fit < 1 ? 1 : fit > 4 ? 4 : fit;
  T sums[together * batch];
  const auto put = [&](Size row, Size count) {
    for (Size r = 0; r < count; ++r)
      for (Size b = 0; b < batch; ++b) {
        T* to = c + b * c_stride + row + r;
        *to = beta == 0 ? alpha * sums[r * batch + b] : alpha * sums[r * batch + b] + beta * *to;
      }
  };
  Size row = 0;
  for (; row + together <= rows; row += together) {
    dots_of<T, batch, together>(x, x_stride, w + row * w_stride, w_stride, columns, sums);
    put(row, together);
  }
  for (; row < rows; ++row) {
    dots_of<T, batch, 1>(x, x_stride, w + row * w_stride, w_stride, columns, sums);
    put(row, 1);
  }
}

template <class T>
void dots(const T* x, Size x_stride, const T* w, Size w_stride, Size batch, Size rows, Size columns, T alpha, T beta,
          T* c, Size c_stride) {
  constexpr Size most = dots_registers / (lanes / Vector<T>::width) >= 8 ? 8 : 4;
  const auto next = [&](auto together) {
    constexpr Size now = decltype(together)::value;
    for (; batch >= now; batch -= now, x += now * x_stride, c += now * c_stride)
      dots_of_batch<T, now>(x, x_stride, w, w_stride, rows, columns, alpha, beta, c, c_stride);
  };
  if constexpr (most == 8) next(std::integral_constant<Size, 8>{});
  next(std::integral_constant<Size, 4>{});
  next(std::integral_constant<Size, 2>{});
  next(std::integral_constant<Size, 1>{});
}
