// Loops of convolutional layers. This file is part of loops_body.h and lies inside its namespace. A position has
// map.lanes channels, 8 or 16, which are processed in vectors (Vector of snu_body.h); the compiler itself would turn
// these comparisons into branches.

template <class T>
void pool_map(const typename Loops<T>::Map& map, T* top) {
  using V = typename Vector<T>::Type;
  const Size lanes = map.lanes, rows = map.rows / map.pool, columns = map.columns / map.pool;
  for (Size r = 0; r < rows; ++r)
    for (Size c = 0; c < columns; ++c, top += lanes)
      for (Size lane = 0; lane < lanes; lane += Vector<T>::width) {
        const T* first = map.values + (r * map.pool * map.columns + c * map.pool) * lanes + lane;
        V largest = *reinterpret_cast<const V*>(first);
        for (Size i = 0; i < map.pool; ++i)
          for (Size j = 0; j < map.pool; ++j) {
            const V a = *reinterpret_cast<const V*>(first + (i * map.columns + j) * lanes);
            largest = a > largest ? a : largest;
          }
        *reinterpret_cast<V*>(top + lane) = largest;
      }
}

template <class T>
void unpool_map(const typename Loops<T>::Map& map, const T* top, const T* error, const T* factor, T slope) {
  using V = typename Vector<T>::Type;
  const Size lanes = map.lanes, rows = map.rows / map.pool, columns = map.columns / map.pool;
  const V nothing = {};
  for (Size r = 0; r < rows; ++r)
    for (Size c = 0; c < columns; ++c, top += lanes, error += lanes)
      for (Size lane = 0; lane < lanes; lane += Vector<T>::width) {
        const V largest = *reinterpret_cast<const V*>(top + lane);
        // The first position with the maximum receives the error; the others receive none.
        V rest = *reinterpret_cast<const V*>(factor + lane) * *reinterpret_cast<const V*>(error + lane);
        rest = largest > 0 ? rest : slope * rest;
        T* first = map.values + (r * map.pool * map.columns + c * map.pool) * lanes + lane;
        for (Size i = 0; i < map.pool; ++i)
          for (Size j = 0; j < map.pool; ++j) {
            V* place = reinterpret_cast<V*>(first + (i * map.columns + j) * lanes);
            const V taken = *place == largest ? rest : nothing;
            rest = *place == largest ? nothing : rest;
            *place = taken;
          }
      }
  for (Size r = 0; r < map.rows; ++r)
    for (Size c = r < rows * map.pool ? columns * map.pool : 0; c < map.columns; ++c)
      for (Size lane = 0; lane < lanes; ++lane) map.values[(r * map.columns + c) * lanes + lane] = 0;
}

template <class T>
void block_error(const T* h, const T* factor, T slope, Size places, Size lanes, T* error) {
  using V = typename Vector<T>::Type;
  for (Size lane = 0; lane < lanes; lane += Vector<T>::width) {
    const V m = *reinterpret_cast<const V*>(factor + lane);
    for (Size p = lane; p < places * lanes; p += lanes) {
      V* e = reinterpret_cast<V*>(error + p);
      const V scaled = m * *e;
      *e = h == nullptr || slope == 1 ? scaled : (*reinterpret_cast<const V*>(h + p) > 0 ? scaled : slope * scaled);
    }
  }
}
