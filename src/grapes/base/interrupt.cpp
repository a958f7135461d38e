#include "grapes/base/interrupt.h"

#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>

namespace grapes::interrupt {
namespace {

std::atomic<int> signal_number{0};
std::atomic<std::int64_t> first_at{0};  // milliseconds; 0: not yet
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free,
              "a signal handler may only touch lock-free atomics");

std::int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return 1000 * static_cast<std::int64_t>(time.tv_sec) + time.tv_nsec / 1000000;
}

/// The second signal has the default effect. Within a second it counts as the first: a batch system may signal all
/// processes of a job, and `grapes launch` passes its own signal to the same processes.
extern "C" void remember(int number) {
  if (first_at.load() == 0) first_at.store(now());
  signal_number.store(number);
  if (now() - first_at.load() > 1000) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
}

}  // namespace

void install() {
  std::signal(SIGINT, remember);
  std::signal(SIGTERM, remember);
}

int pending() noexcept { return signal_number.load(); }
void clear() noexcept {
  signal_number.store(0);
  first_at.store(0);
}

}  // namespace grapes::interrupt
