// The loops of convolutional layers; part of loops_body.h, inside its namespace. A place is 16 channels.

template <class T>
void pool_map(const typename Loops<T>::Map& map, T* top) {
  const Size rows = map.rows / map.pool, columns = map.columns / map.pool;
  for (Size r = 0; r < rows; ++r)
    for (Size c = 0; c < columns; ++c, top += lanes) {
      T largest[lanes];
      const T* first = map.values + (r * map.pool * map.columns + c * map.pool) * lanes;
      for (Size lane = 0; lane < lanes; ++lane) largest[lane] = first[lane];
      for (Size i = 0; i < map.pool; ++i)
        for (Size j = 0; j < map.pool; ++j) {
          const T* place = first + (i * map.columns + j) * lanes;
#pragma GCC ivdep
          for (Size lane = 0; lane < lanes; ++lane) largest[lane] = place[lane] > largest[lane] ? place[lane] : largest[lane];
        }
      for (Size lane = 0; lane < lanes; ++lane) top[lane] = largest[lane];
    }
}

template <class T>
void unpool_map(const typename Loops<T>::Map& map, const T* top, const T* error, const T* factor, T slope) {
  const Size rows = map.rows / map.pool, columns = map.columns / map.pool;
  for (Size r = 0; r < rows; ++r)
    for (Size c = 0; c < columns; ++c, top += lanes, error += lanes) {
      T rest[lanes];  // of the error, until the first place has it
      for (Size lane = 0; lane < lanes; ++lane) rest[lane] = factor[lane] * error[lane];
      for (Size i = 0; i < map.pool; ++i)
        for (Size j = 0; j < map.pool; ++j) {
          T* place = map.values + ((r * map.pool + i) * map.columns + c * map.pool + j) * lanes;
#pragma GCC ivdep
          for (Size lane = 0; lane < lanes; ++lane) {
            const T a = place[lane], taken = a == top[lane] ? rest[lane] : T(0);
            rest[lane] -= taken;
            place[lane] = a > 0 ? taken : slope * taken;
          }
        }
    }
  for (Size r = 0; r < map.rows; ++r)
    for (Size c = r < rows * map.pool ? columns * map.pool : 0; c < map.columns; ++c)
      for (Size lane = 0; lane < lanes; ++lane) map.values[(r * map.columns + c) * lanes + lane] = 0;
}

template <class T>
void block_error(const T* h, const T* factor, T slope, Size places, T* error) {
  T m[lanes];
  for (Size lane = 0; lane < lanes; ++lane) m[lane] = factor[lane];
  if (h == nullptr) {
    for (Size p = 0; p < places; ++p)
#pragma GCC ivdep
      for (Size lane = 0; lane < lanes; ++lane) error[p * lanes + lane] *= m[lane];
    return;
  }
  for (Size p = 0; p < places; ++p)
#pragma GCC ivdep
    for (Size lane = 0; lane < lanes; ++lane) {
      const T scaled = m[lane] * error[p * lanes + lane];
      error[p * lanes + lane] = h[p * lanes + lane] > 0 ? scaled : slope * scaled;
    }
}
