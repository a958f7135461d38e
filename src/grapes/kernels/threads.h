#pragma once

#include <cstdint>
#include <functional>
#include <string>

/// One policy for all thread pools of the program. Large matrix products and loops use the threads of in_parallel();
/// everything else runs on the calling thread. If OpenBLAS uses its own pthreads, LibTorch gets one thread: both pools
/// spin while they wait, and together on the same cores they are up to six times slower than one pool. With any other
/// BLAS, LibTorch's pool is used too.
namespace grapes::kernels {

/// Which pool computes the large products of a network.
enum class Pool { blas, libtorch };
/// Sets the threads for matrix products of this process, and LibTorch's threads for the calling thread. @param threads
/// at least 1
/// @param pool  libtorch: LibTorch gets the threads (for convolutions, which oneDNN computes), and the BLAS one
void set_threads(std::int64_t threads, Pool pool = Pool::blas);

/// The result of set_threads(), for messages and records.
struct Threads {
  std::int64_t products = 1;  ///< maximum for matrix products; small ones use one, see threads_for()
  int libtorch = 1;
  int blas = -1;  ///< of OpenBLAS; -1: another BLAS, whose number is unknown
  std::string policy;
};
Threads threads();

/// Returns the number of threads for so much work: at most that of set_threads(), and so few that two threads are not
/// slower than one. Inside a part of in_parallel() it is 1.
std::int64_t threads_worth(std::int64_t multiply_adds);
/// Sets OpenBLAS's number of threads for a product of this size. For a small product, waking another thread costs more
/// than the product.
void threads_for(std::int64_t multiply_adds);

/// Calls do_part(begin, end) for parts of 0 ... count-1, each on another thread. The number of threads is
/// threads_worth(multiply_adds), and at most `count`. The threads wait for the next call, actively for some 50 µs.
/// Parts must be independent. Products inside a part use one thread.
void in_parallel(std::int64_t count, std::int64_t multiply_adds,
                 const std::function<void(std::int64_t begin, std::int64_t end)>& do_part);

/// While this object lives, subnormal numbers are flushed to zero on this thread. They slow down arithmetic a hundred
/// times and do not matter to learning.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
};

}  // namespace grapes::kernels
