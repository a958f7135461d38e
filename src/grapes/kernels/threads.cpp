#include "grapes/kernels/threads.h"

#include "grapes/kernels/libraries.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace grapes::kernels {
namespace {

/// Multiply-adds for which a thread of its own pays: about 17 µs. Two threads begin at twice as many.
constexpr std::int64_t worth_a_thread = 1 << 20;

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
  // All three set and get the number of threads that products of the calling thread use.
  static inline auto* const mkl_ = blas_function<int(int)>("MKL_Set_Num_Threads_Local");
  static inline auto* const get_openmp_ = blas_function<int()>("omp_get_max_threads");
  static inline auto* const set_openmp_ = blas_function<void(int)>("omp_set_num_threads");
};

/// While this object lives, OpenBLAS uses one thread. A product in a part could otherwise wake its threads, which would
/// then spin. Products of LibTorch outside of parts still use several.
class OneBlasThread {
 public:
  OneBlasThread() {
    if (openblas().own_pool()) tell_openblas(1);
  }
  ~OneBlasThread() {
    if (before_ > 1) tell_openblas(before_);
  }
  OneBlasThread(const OneBlasThread&) = delete;
  OneBlasThread& operator=(const OneBlasThread&) = delete;

 private:
  int before_ = current;
};

#if defined(__x86_64__)
void pause() { _mm_pause(); }
/// Whether the calling thread flushes subnormal numbers.
unsigned arithmetic_mode() { return _mm_getcsr(); }
void set_arithmetic_mode(unsigned mode) { _mm_setcsr(mode); }
#else
void pause() { std::this_thread::yield(); }
unsigned arithmetic_mode() { return 0; }
void set_arithmetic_mode(unsigned) {}
#endif

/// Waits until `ready()`, first actively and then asleep until `value` is no longer `old`. Between two products of a
/// step lie a few microseconds, and waking a thread takes longer.
template <class Value, class Ready>
void wait(const std::atomic<Value>& value, Value old, Ready ready) {
  constexpr int turns = 1500;  // about 50 µs
  for (int i = 0; i < turns; ++i) {
    if (ready()) return;
    pause();
  }
  if (!ready()) value.wait(old);
}

/// Threads that take parts of the work of the thread that owns them. The owner takes parts too, and all of them if no
/// other thread wakes up in time, so a busy machine costs little.
class Team {
 public:
  ~Team() {
    stop_ = true;
    announce(0);
  }
  /// Calls do_part(0) ... do_part(parts - 1). Throws what one of them has thrown, after all have ended.
  void run(std::int64_t parts, const std::function<void(std::int64_t)>& do_part) {
    for (auto i = static_cast<std::int64_t>(members_.size()); i < parts - 1; ++i)
      members_.emplace_back([this, i] { serve(i); });
    do_part_ = &do_part;
    left_ = static_cast<int>(parts);
    announce(static_cast<std::uint64_t>(parts));
    while (take_part()) {
    }
    for (int left = left_; left > 0; left = left_) wait(left_, left, [&] { return left_ != left; });
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  // The state of a round: its number, its parts, and the next part that nobody has taken. A thread that has taken a
  // part keeps the round from ending.
  static constexpr std::uint64_t round = std::uint64_t{1} << 32, one_part = std::uint64_t{1} << 16, low = one_part - 1;

  void announce(std::uint64_t parts) {
    state_ = (state_ / round + 1) * round + parts * one_part;
    state_.notify_all();
  }
  /// @return whether there was a part left
  bool take_part() {
    std::uint64_t state = state_;
    do {
      if ((state & low) >= (state / one_part & low)) return false;
    } while (!state_.compare_exchange_weak(state, state + 1));
    try {
      (*do_part_)(static_cast<std::int64_t>(state & low));
    } catch (...) {
      const std::lock_guard lock(error_mutex_);
      error_ = std::current_exception();
    }
    if (--left_ == 0) left_.notify_all();
    return true;
  }
  /// What member i does until the team ends. A member that the last round did not need sleeps at once.
  void serve(std::int64_t i) {
    while (!stop_) {
      while (take_part()) {
      }
      const std::uint64_t state = state_;
      const bool taken = (state & low) >= (state / one_part & low);
      if (!taken || stop_) continue;
      if (i + 1 < static_cast<std::int64_t>(state / one_part & low))
        wait(state_, state, [&] { return state_ != state; });
      else
        state_.wait(state);
    }
  }

  std::atomic<std::uint64_t> state_ = 0;
  std::atomic<int> left_ = 0;  // parts that are not done
  std::atomic<bool> stop_ = false;
  const std::function<void(std::int64_t)>* do_part_ = nullptr;
  std::exception_ptr error_;  // what a part of this round has thrown; the last one
  std::mutex error_mutex_;
  std::vector<std::jthread> members_;  // last: joined before the rest is destroyed
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
  all.policy =
      openblas().own_pool()
          ? "Grapes's own threads for large products and loops; OpenBLAS's for LibTorch's products; one for LibTorch"
          : "LibTorch's threads, shared with the BLAS";
  return all;
}

std::int64_t threads_worth(std::int64_t multiply_adds) {
  const std::int64_t most = in_part ? 1 : wanted.load(std::memory_order_relaxed);
  return std::clamp<std::int64_t>(multiply_adds / worth_a_thread, 1, most);
}

void threads_for(std::int64_t multiply_adds) {
  if (wanted.load(std::memory_order_relaxed) > 1 && !in_part && openblas().own_pool())
    tell_openblas(static_cast<int>(threads_worth(multiply_adds)));
}

void in_parallel(std::int64_t count, std::int64_t multiply_adds,
                 const std::function<void(std::int64_t, std::int64_t)>& do_part) {
  const std::int64_t parts = std::min(threads_worth(multiply_adds), count);
  if (parts <= 1) return do_part(0, count);
  const OneBlasThread one;
  thread_local Team team;
  const unsigned mode = arithmetic_mode();
  team.run(parts, [&](std::int64_t part) {
    const InPart here;
    set_arithmetic_mode(mode);
    do_part(count * part / parts, count * (part + 1) / parts);
  });
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
