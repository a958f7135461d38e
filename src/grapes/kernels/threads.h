#pragma once

#include <cstdint>
#include <functional>
#include <string>

/// One policy for every pool of threads in the program. Matrix products get the threads; everything else runs on the
/// thread that calls it. With OpenBLAS on its own pthreads, LibTorch stays at one: both pools wait by spinning, and two
/// of them on the same cores are up to six times slower than one. With any other BLAS, LibTorch's pool is the one.
namespace grapes::kernels {

/// Who does the large products of a network.
enum class Pool { blas, libtorch };
/// For matrix products of the calling thread's process, and LibTorch's for the calling thread. @param threads >= 1
/// @param pool  libtorch: its threads get them (convolutions, which oneDNN does), and the BLAS has one
void set_threads(std::int64_t threads, Pool pool = Pool::blas);

/// What set_threads() led to, for people and records.
struct Threads {
  std::int64_t products = 1;  ///< matrix products at most; small ones take one, see products_threads()
  int libtorch = 1;
  int blas = -1;  ///< of OpenBLAS; -1: another BLAS, which does not tell
  std::string policy;
};
Threads threads();

/// Let OpenBLAS take the threads that a product of so many multiply-adds is worth: waking another thread costs more
/// than a small product.
void threads_for(std::int64_t multiply_adds);

/// do_part(begin, end) for parts of 0 ... count-1, each on a thread of its own made for it, as many as set_threads()
/// says and the arithmetic is worth. What a part does must not depend on the others. Products in parts take one thread
/// each.
void in_parallel(std::int64_t count, std::int64_t multiply_adds,
                 const std::function<void(std::int64_t begin, std::int64_t end)>& do_part);

/// OpenBLAS's configuration and kernels; "reference, or another that does not say".
std::string blas_name();

/// While it lives, numbers too small for the exponent become zero on this thread: they slow arithmetic a hundred times
/// and mean nothing to learning.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
};

}  // namespace grapes::kernels
