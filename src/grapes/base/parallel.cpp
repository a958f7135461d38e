#include "grapes/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace grapes {

void for_each_number(std::int64_t count, int threads, const std::function<void(std::int64_t)>& work) {
  std::atomic<std::int64_t> next = 0;
  std::mutex mutex;  // protects the next two
  std::exception_ptr failure;
  std::int64_t failed = count;
  const auto run = [&] {
    for (std::int64_t number = next++; number < count; number = next++) {
      try {
        work(number);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (number < failed) failure = std::current_exception();
        failed = std::min(failed, number);
        next = count;  // all numbers below this one are done or in progress
      }
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::int64_t i = 1; i < std::min<std::int64_t>(threads, count); ++i) others.emplace_back(run);
    run();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace grapes
