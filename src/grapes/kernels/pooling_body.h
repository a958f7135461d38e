// Loops of pooling. This file is part of loops_body.h and lies inside its namespace. A position has map.lanes channels.

/// What is processed at once: a vector of the 8 or 16 channels of a block (Vector of loops_body.h), because the
/// compiler itself would turn comparisons into branches; or the number of a map with one lane. It is no template
/// argument, which would lose the alignment of the vector.
template <class T, bool blocks>
struct Lanes : Vector<T> {};
template <class T>
struct Lanes<T, false> {
  using Type = T;
  static constexpr Size width = 1;
};

/// The windows of a map. @tparam fixed  their side if it is known at compile time, else 0
template <class T, bool blocks, Size fixed>
struct Windows {
  explicit Windows(const typename Loops<T>::Map& map)
      : pool(fixed == 0 ? map.pool : fixed),
        lanes(blocks ? map.lanes : 1),
        rows(map.rows / pool),
        columns(map.columns / pool) {}
  const Size pool, lanes, rows, columns;
};

template <class T, bool blocks, Size fixed, bool sums>
void pool_by(const typename Loops<T>::Map& map, [[maybe_unused]] T divisor, T* top) {
  using V = typename Lanes<T, blocks>::Type;
  constexpr Size width = Lanes<T, blocks>::width;
  const auto [pool, lanes, rows, columns] = Windows<T, blocks, fixed>(map);
  for (Size r = 0; r < rows; ++r, top += columns * lanes)
    for (Size lane = 0; lane < lanes; lane += width) {
      const T* row = map.values + r * pool * map.columns * lanes + lane;
#pragma GCC ivdep
      for (Size c = 0; c < columns; ++c) {
        const T* first = row + c * pool * lanes;
        V value = *reinterpret_cast<const V*>(first);
        for (Size i = 0; i < pool; ++i)
          for (Size j = i == 0 ? 1 : 0; j < pool; ++j) {
            const V a = *reinterpret_cast<const V*>(first + (i * map.columns + j) * lanes);
            if constexpr (sums)
              value += a;
            else
              value = a > value ? a : value;
          }
        if constexpr (sums) value /= divisor;
        *reinterpret_cast<V*>(top + c * lanes + lane) = value;
      }
    }
}

/// Sets positions that belong to no window to zero.
template <class T>
void clear_edges(const typename Loops<T>::Map& map) {
  const Size inner_rows = map.rows / map.pool * map.pool, inner_columns = map.columns / map.pool * map.pool;
  for (Size r = 0; r < map.rows; ++r)
    for (Size i = (r < inner_rows ? inner_columns : 0) * map.lanes; i < map.columns * map.lanes; ++i)
      map.values[r * map.columns * map.lanes + i] = 0;
}

template <class T, bool blocks, Size fixed>
void unpool_by(const typename Loops<T>::Map& map, const T* top, const T* error, const T* factor, T slope) {
  using V = typename Lanes<T, blocks>::Type;
  constexpr Size width = Lanes<T, blocks>::width;
  const auto [pool, lanes, rows, columns] = Windows<T, blocks, fixed>(map);
  const V nothing = {};
  for (Size r = 0; r < rows; ++r)
    for (Size c = 0; c < columns; ++c, top += lanes, error += lanes)
      for (Size lane = 0; lane < lanes; lane += width) {
        const V largest = *reinterpret_cast<const V*>(top + lane);
        // The first position with the maximum receives the error; the others receive none.
        V rest = *reinterpret_cast<const V*>(factor + lane) * *reinterpret_cast<const V*>(error + lane);
        rest = largest > 0 ? rest : slope * rest;
        T* first = map.values + (r * pool * map.columns + c * pool) * lanes + lane;
        for (Size i = 0; i < pool; ++i)
          for (Size j = 0; j < pool; ++j) {
            V* place = reinterpret_cast<V*>(first + (i * map.columns + j) * lanes);
            const V taken = *place == largest ? rest : nothing;
            rest = *place == largest ? nothing : rest;
            *place = taken;
          }
      }
  clear_edges<T>(map);
}

template <class T, bool blocks, Size fixed>
void spread_by(const typename Loops<T>::Map& map, const T* error, T divisor) {
  using V = typename Lanes<T, blocks>::Type;
  constexpr Size width = Lanes<T, blocks>::width;
  const auto [pool, lanes, rows, columns] = Windows<T, blocks, fixed>(map);
  for (Size r = 0; r < rows; ++r, error += columns * lanes)
    for (Size lane = 0; lane < lanes; lane += width) {
      T* row = map.values + r * pool * map.columns * lanes + lane;
#pragma GCC ivdep
      for (Size c = 0; c < columns; ++c) {
        const V share = *reinterpret_cast<const V*>(error + c * lanes + lane) / divisor;
        for (Size i = 0; i < pool; ++i)
          for (Size j = 0; j < pool; ++j) *reinterpret_cast<V*>(row + (i * map.columns + c * pool + j) * lanes) = share;
      }
    }
  clear_edges<T>(map);
}

template <class T, bool sums>
void pool_map(const typename Loops<T>::Map& map, T divisor, T* top) {
  const bool two = map.pool == 2;
  if (map.lanes == 1)
    (two ? pool_by<T, false, 2, sums> : pool_by<T, false, 0, sums>)(map, divisor, top);
  else
    (two ? pool_by<T, true, 2, sums> : pool_by<T, true, 0, sums>)(map, divisor, top);
}

template <class T>
void largest_of_map(const typename Loops<T>::Map& map, T* top) {
  pool_map<T, false>(map, 1, top);
}

template <class T>
void unpool_map(const typename Loops<T>::Map& map, const T* top, const T* error, const T* factor, T slope) {
  const bool two = map.pool == 2;
  if (map.lanes == 1)
    (two ? unpool_by<T, false, 2> : unpool_by<T, false, 0>)(map, top, error, factor, slope);
  else
    (two ? unpool_by<T, true, 2> : unpool_by<T, true, 0>)(map, top, error, factor, slope);
}

template <class T>
void spread_map(const typename Loops<T>::Map& map, const T* error, T divisor) {
  const bool two = map.pool == 2;
  if (map.lanes == 1)
    (two ? spread_by<T, false, 2> : spread_by<T, false, 0>)(map, error, divisor);
  else
    (two ? spread_by<T, true, 2> : spread_by<T, true, 0>)(map, error, divisor);
}
