// Loops of convolutional layers. This file is part of loops_body.h and lies inside its namespace. A position has 8 or
// 16 channels, which are processed in vectors (Vector of loops_body.h); the compiler itself would turn these
// comparisons into branches.

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
