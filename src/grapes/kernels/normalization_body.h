// Loops of normalized maps. This file is part of loops_body.h and lies inside its namespace. As in convolution_body.h,
// a position has 8 or 16 channels. Normalized values are recomputed from z where needed, which costs less than reading
// them from memory.

/// Eight numbers: as doubles, one register of AVX-512.
template <class T>
struct Eight;
template <>
struct Eight<float> {
  typedef float Type __attribute__((vector_size(32), aligned(4), may_alias));
};
template <>
struct Eight<double> {
  typedef double Type __attribute__((vector_size(64), aligned(8), may_alias));
};

template <class T, Size parts>
void moments_by(const T* z, Size places, double* sum, double* squares) {
  using Wide = Eight<double>::Type;
  Wide s[parts], q[parts];
#pragma GCC unroll 2
  for (Size i = 0; i < parts; ++i) {
    s[i] = *reinterpret_cast<const Wide*>(sum + 8 * i);
    q[i] = *reinterpret_cast<const Wide*>(squares + 8 * i);
  }
  for (Size p = 0; p < places; ++p, z += 8 * parts) {
#pragma GCC unroll 2
    for (Size i = 0; i < parts; ++i) {
      const Wide x = __builtin_convertvector(*reinterpret_cast<const typename Eight<T>::Type*>(z + 8 * i), Wide);
      s[i] += x;
      q[i] += x * x;
    }
  }
#pragma GCC unroll 2
  for (Size i = 0; i < parts; ++i) {
    *reinterpret_cast<Wide*>(sum + 8 * i) = s[i];
    *reinterpret_cast<Wide*>(squares + 8 * i) = q[i];
  }
}

template <class T>
void moments(const T* z, Size places, Size lanes, double* sum, double* squares) {
  (lanes == 8 ? moments_by<T, 1> : moments_by<T, 2>)(z, places, sum, squares);
}

/// A line (see loops.h) for some of the channels. Vectors are passed to functions inside objects only. As plain
/// arguments, every instruction set would pass them differently.
template <class T>
struct LineIn {
  using V = typename Vector<T>::Type;
  V center, scale, shift;
  T slope;

  LineIn(const typename Loops<T>::Line& line, Size lane)
      : center(*reinterpret_cast<const V*>(line.center + lane)),
        scale(*reinterpret_cast<const V*>(line.scale + lane)),
        shift(*reinterpret_cast<const V*>(line.shift + lane)),
        slope(line.slope) {}
};

/// The value at a position before and after normalization.
template <class T>
struct Place {
  using V = typename Vector<T>::Type;
  V distance, a;  ///< z - center, φ(scale (z - center) + shift)

  inline __attribute__((always_inline)) Place(const LineIn<T>& line, const T* z)
      : distance(*reinterpret_cast<const V*>(z) - line.center), a(line.scale * distance + line.shift) {
    a = a > 0 ? a : line.slope * a;
  }
};

/// The first position of a window with the largest a.
template <class T>
struct Largest : Place<T> {
  inline __attribute__((always_inline))
  Largest(const LineIn<T>& line, const T* first, Size columns, Size pool, Size lanes)
      : Place<T>(line, first) {
    for (Size i = 0; i < pool; ++i)
      for (Size j = i == 0 ? 1 : 0; j < pool; ++j) {
        const Place<T> other(line, first + (i * columns + j) * lanes);
        this->distance = other.a > this->a ? other.distance : this->distance;
        this->a = other.a > this->a ? other.a : this->a;
      }
  }
};

/// @tparam fixed  side of the windows if it is known at compile time, else 0
template <class T, Size fixed>
void normalize_by(const typename Loops<T>::Map& map, const typename Loops<T>::Line& line, T* top) {
  using V = typename Vector<T>::Type;
  const Size pool = fixed == 0 ? map.pool : fixed, lanes = map.lanes, rows = map.rows / pool,
             columns = map.columns / pool;
  for (Size lane = 0; lane < lanes; lane += Vector<T>::width) {
    const LineIn<T> line_in(line, lane);
    T* to = top + lane;
    for (Size r = 0; r < rows; ++r)
      for (Size c = 0; c < columns; ++c, to += lanes) {
        const T* first = map.values + (r * pool * map.columns + c * pool) * lanes + lane;
        *reinterpret_cast<V*>(to) = Largest<T>(line_in, first, map.columns, pool, lanes).a;
      }
  }
}

template <class T, Size fixed>
void error_sums_by(const typename Loops<T>::Map& map, const typename Loops<T>::Line& line, const T* error, double* sum,
                   double* products) {
  using V = typename Vector<T>::Type;
  const Size pool = fixed == 0 ? map.pool : fixed, lanes = map.lanes, rows = map.rows / pool,
             columns = map.columns / pool;
  for (Size lane = 0; lane < lanes; lane += Vector<T>::width) {
    const LineIn<T> line_in(line, lane);
    const T* from = error + lane;
    for (Size r = 0; r < rows; ++r) {
      V s = {}, p = {};  // sums of one row, short enough for T
      for (Size c = 0; c < columns; ++c, from += lanes) {
        const T* first = map.values + (r * pool * map.columns + c * pool) * lanes + lane;
        const Largest<T> largest(line_in, first, map.columns, pool, lanes);
        const V e = *reinterpret_cast<const V*>(from);
        const V delta = largest.a > 0 ? e : line.slope * e;
        s += delta;
        p += delta * largest.distance;
      }
      for (Size i = 0; i < Vector<T>::width; ++i) {
        sum[lane + i] += static_cast<double>(s[i]);
        products[lane + i] += static_cast<double>(p[i]);
      }
    }
  }
}

template <class T, Size fixed>
void normalized_error_by(const typename Loops<T>::Map& map, const typename Loops<T>::Line& line, const T* error,
                         const typename Loops<T>::Back& back) {
  using V = typename Vector<T>::Type;
  const Size pool = fixed == 0 ? map.pool : fixed, lanes = map.lanes, rows = map.rows / pool,
             columns = map.columns / pool;
  const V nothing = {};
  for (Size lane = 0; lane < lanes; lane += Vector<T>::width) {
    const LineIn<T> line_in(line, lane);
    const V by_error = *reinterpret_cast<const V*>(back.by_error + lane),
            by_distance = *reinterpret_cast<const V*>(back.by_distance + lane),
            constant = *reinterpret_cast<const V*>(back.constant + lane);
    const T* from = error + lane;
    for (Size r = 0; r < rows; ++r)
      for (Size c = 0; c < columns; ++c, from += lanes) {
        T* first = map.values + (r * pool * map.columns + c * pool) * lanes + lane;
        const V largest = Largest<T>(line_in, first, map.columns, pool, lanes).a;
        // The first position with the maximum receives the error; the others receive none.
        V rest = by_error * *reinterpret_cast<const V*>(from);
        rest = largest > 0 ? rest : line.slope * rest;
        for (Size i = 0; i < pool; ++i)
          for (Size j = 0; j < pool; ++j) {
            T* z = first + (i * map.columns + j) * lanes;
            const Place<T> place(line_in, z);
            const V taken = place.a == largest ? rest : nothing;
            rest = place.a == largest ? nothing : rest;
            *reinterpret_cast<V*>(z) = taken + (by_distance * place.distance + constant);
          }
      }
    for (Size r = 0; r < map.rows; ++r)
      for (Size c = r < rows * pool ? columns * pool : 0; c < map.columns; ++c) {
        V* z = reinterpret_cast<V*>(map.values + (r * map.columns + c) * lanes + lane);
        *z = by_distance * (*z - line_in.center) + constant;
      }
  }
}

template <class T>
void normalize(const typename Loops<T>::Map& map, const typename Loops<T>::Line& line, T* top) {
  const auto by = map.pool == 1 ? normalize_by<T, 1> : map.pool == 2 ? normalize_by<T, 2> : normalize_by<T, 0>;
  by(map, line, top);
}

template <class T>
void error_sums(const typename Loops<T>::Map& map, const typename Loops<T>::Line& line, const T* error, double* sum,
                double* products) {
  const auto by = map.pool == 1 ? error_sums_by<T, 1> : map.pool == 2 ? error_sums_by<T, 2> : error_sums_by<T, 0>;
  by(map, line, error, sum, products);
}

template <class T>
void normalized_error(const typename Loops<T>::Map& map, const typename Loops<T>::Line& line, const T* error,
                      const typename Loops<T>::Back& back) {
  const auto by = map.pool == 1   ? normalized_error_by<T, 1>
                  : map.pool == 2 ? normalized_error_by<T, 2>
                                  : normalized_error_by<T, 0>;
  by(map, line, error, back);
}
