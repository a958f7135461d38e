#include "grapes/kernels/threads.h"

#include "grapes/kernels/libraries.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace grapes::kernels {
namespace {

/// Below this number of multiply-adds a product finishes before a second thread wakes up (measured:
/// docs/performance.md).
constexpr std::int64_t worth_two_threads = 1 << 21;

struct OpenBlas {
  void (*set_threads)(int) = blas_function<void(int)>("openblas_set_num_threads");
  int (*get_threads)() = blas_function<int()>("openblas_get_num_threads");
  int (*kind)() = blas_function<int()>("openblas_get_parallel");
  /// Whether it has a thread pool of its own: neither sequential (0) nor LibTorch's OpenMP (2).
  bool own_pool() const { return set_threads != nullptr && kind != nullptr && kind() == 1; }
};

const OpenBlas& openblas() {
  static const OpenBlas functions;
  return functions;
}

std::atomic<int> wanted = 1;   // set by set_threads()
std::atomic<int> current = 0;  // the last value set in OpenBLAS; 0: none yet
thread_local bool in_part = false;

void tell_openblas(int n) {
  if (current.exchange(n) != n) openblas().set_threads(n);
}

/// While this object lives, the calling thread is in a part of in_parallel() and its products use one thread. A BLAS on
/// OpenMP's threads would otherwise start as many for each part.
class InPart {
 public:
  InPart() {
    in_part = true;
    if (openblas().own_pool()) return;  // in_parallel() has set its threads
    if (mkl_ != nullptr) mkl_threads_ = mkl_(1);
    if (get_openmp_ == nullptr || set_openmp_ == nullptr) return;
    openmp_threads_ = get_openmp_();
    set_openmp_(1);
  }
  ~InPart() {
    in_part = false;
    if (openblas().own_pool()) return;
    if (mkl_ != nullptr) mkl_(mkl_threads_);
    if (openmp_threads_ > 0) set_openmp_(openmp_threads_);
  }
  InPart(const InPart&) = delete;
  InPart& operator=(const InPart&) = delete;

 private:
  int mkl_threads_ = 0, openmp_threads_ = 0;
  // All three set and get the calling thread's own number.
  static inline auto* const mkl_ = blas_function<int(int)>("MKL_Set_Num_Threads_Local");
  static inline auto* const get_openmp_ = blas_function<int()>("omp_get_max_threads");
  static inline auto* const set_openmp_ = blas_function<void(int)>("omp_set_num_threads");
};

}  // namespace

void set_threads(std::int64_t threads, Pool pool) {
  const int n = static_cast<int>(std::max<std::int64_t>(threads, 1));
  wanted = pool == Pool::libtorch ? 1 : n;
  if (openblas().own_pool() && pool == Pool::libtorch) {
    at::set_num_threads(n);
    tell_openblas(1);
  } else if (openblas().own_pool()) {
    at::set_num_threads(1);
    tell_openblas(n);
  } else {
    at::set_num_threads(n);
    if (openblas().set_threads != nullptr) openblas().set_threads(n);
  }
}

Threads threads() {
  Threads all;
  all.products = wanted;
  all.libtorch = at::get_num_threads();
  if (openblas().get_threads != nullptr) all.blas = openblas().get_threads();
  all.policy = openblas().own_pool()
                   ? "OpenBLAS's own threads for large matrix products; one thread for LibTorch and the loops"
                   : "LibTorch's threads, shared with the BLAS";
  return all;
}

std::int64_t threads_worth(std::int64_t multiply_adds) {
  return in_part || multiply_adds < worth_two_threads ? 1 : wanted.load(std::memory_order_relaxed);
}

void threads_for(std::int64_t multiply_adds) {
  if (wanted.load(std::memory_order_relaxed) > 1 && !in_part && openblas().own_pool())
    tell_openblas(static_cast<int>(threads_worth(multiply_adds)));
}

void in_parallel(std::int64_t count, std::int64_t multiply_adds,
                 const std::function<void(std::int64_t, std::int64_t)>& do_part) {
  // New threads do not spin. They start in 30 µs, and leave the cores to the BLAS's threads when done.
  constexpr std::int64_t worth_a_thread = 1 << 22;
  const std::int64_t parts = std::clamp<std::int64_t>(multiply_adds / worth_a_thread, 1, wanted.load());
  if (in_part) return do_part(0, count);
  threads_for(0);  // else a product in a part could wake the BLAS's threads, which would then spin
  const auto run = [&](std::int64_t part) {
    const InPart here;
    do_part(count * part / parts, count * (part + 1) / parts);
  };
  std::vector<std::jthread> others;
  for (std::int64_t part = 1; part < parts; ++part) others.emplace_back(run, part);
  run(0);
}

#if defined(__x86_64__)
namespace {
constexpr unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x0040;
thread_local unsigned kept = 0;
thread_local int depth = 0;
}  // namespace
FlushDenormals::FlushDenormals() {
  if (depth++ > 0) return;
  kept = _mm_getcsr();
  _mm_setcsr(kept | flush_to_zero | denormals_are_zero);
}
FlushDenormals::~FlushDenormals() {
  constexpr unsigned both = flush_to_zero | denormals_are_zero;
  if (--depth == 0) _mm_setcsr((_mm_getcsr() & ~both) | (kept & both));
}
#else
FlushDenormals::FlushDenormals() {}
FlushDenormals::~FlushDenormals() {}
#endif

}  // namespace grapes::kernels
